//! Contract §3 and §4: lists that are walked by cursors.

use serde_json::{Value, json};

use crate::world::{Backend, World, assert_problem};

back_ends! {
    both:
        a_walk_by_cursors_meets_every_order_once_in_every_sort,
        orders_that_are_placed_meanwhile_move_nothing,
        a_cursor_is_good_for_its_own_list_only,
        notifications_are_walked_by_cursors;
}

/// One part of a list: the ids, and the pagination.
async fn part(client: &shopflow_testkit::Client, path: &str) -> (Vec<String>, Value) {
    let answer = client.get(path).await;
    assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    let mut list = answer.json();
    let data = list["data"].as_array().unwrap();
    let id = |item: &Value| item["id"].as_str().unwrap().to_owned();
    (data.iter().map(id).collect(), list["pagination"].take())
}

/// All ids from the first page on, by cursors, and how many requests that took.
async fn walk(client: &shopflow_testkit::Client, path: &str) -> (Vec<String>, usize) {
    let (mut ids, mut pagination) = part(client, path).await;
    let mut parts = 1;
    while let Some(cursor) = pagination["next_cursor"].as_str() {
        let (next, then) = part(client, &format!("{path}&cursor={cursor}")).await;
        for uncounted in ["page", "total_items", "total_pages"] {
            assert_eq!(then.get(uncounted), Some(&Value::Null), "{then}");
        }
        assert_eq!(then["limit"], pagination["limit"]);
        assert!(!next.is_empty());
        ids.extend(next);
        pagination = then;
        parts += 1;
    }
    (ids, parts)
}

async fn a_walk_by_cursors_meets_every_order_once_in_every_sort(on: Backend) {
    let world = World::start(on).await;
    let jane = world.customer("jane").await;
    let admin = world.admin().await;
    for number in 0..7 {
        let order = world.place(&jane).await;
        if number % 2 == 0 {
            let id = order["id"].as_str().unwrap();
            world.advance(&admin, id, &["confirmed"]).await;
        }
    }
    let client = world.orders.with_token(&jane.access);
    for sort in ["created_at", "updated_at", "total_amount", "status"] {
        for direction in ["asc", "desc"] {
            let path = format!("/orders?sort_by={sort}&sort_dir={direction}");
            let (whole, pagination) = part(&client, &path).await;
            assert_eq!(whole.len(), 7);
            assert_eq!(pagination["next_cursor"], Value::Null, "{pagination}");
            let (walked, parts) = walk(&client, &format!("{path}&limit=3")).await;
            assert_eq!((walked, parts), (whole, 3), "{path}");
        }
    }
    let (confirmed, parts) = walk(&client, "/orders?status=confirmed&limit=2").await;
    assert_eq!((confirmed.len(), parts), (4, 2));
}

async fn orders_that_are_placed_meanwhile_move_nothing(on: Backend) {
    let world = World::start(on).await;
    let jane = world.customer("jane").await;
    for _ in 0..4 {
        world.place(&jane).await;
    }
    let client = world.orders.with_token(&jane.access);
    let (whole, _) = part(&client, "/orders").await;
    let (first, pagination) = part(&client, "/orders?limit=2").await;
    world.place(&jane).await;
    let cursor = pagination["next_cursor"].as_str().unwrap();
    let (rest, pagination) = part(&client, &format!("/orders?limit=2&cursor={cursor}")).await;
    assert_eq!([first, rest].concat(), whole);
    assert_eq!(pagination["next_cursor"], Value::Null);
}

async fn a_cursor_is_good_for_its_own_list_only(on: Backend) {
    let world = World::start(on).await;
    let (jane, joe) = (world.customer("jane").await, world.customer("joe").await);
    for _ in 0..2 {
        world.place(&jane).await;
    }
    world.wait_notified(&jane, 4, "sent").await;
    let client = world.orders.with_token(&jane.access);
    let (_, pagination) = part(&client, "/orders?limit=1").await;
    let cursor = pagination["next_cursor"].as_str().unwrap();
    let notify = world.notify.with_token(&jane.access);
    let theirs = world.orders.with_token(&joe.access);
    for (client, path) in [
        (&client, format!("/orders?cursor={cursor}&sort_dir=asc")),
        (&client, format!("/orders?cursor={cursor}&sort_by=status")),
        (&client, format!("/orders?cursor={cursor}&status=pending")),
        (&client, format!("/orders?cursor={cursor}&page=1")),
        (&client, format!("/orders?cursor={cursor}x")),
        (&client, "/orders?cursor=".to_owned()),
        (&client, "/orders?cursor=nonsense".to_owned()),
        (&theirs, format!("/orders?cursor={cursor}")),
        (&notify, format!("/notifications?cursor={cursor}")),
        (&notify, "/notifications?cursor=x&page=1".to_owned()),
    ] {
        let answer = client.get(&path).await;
        assert_problem(&answer, 400, "validation_failed");
        let errors = answer.json()["errors"].clone();
        assert_eq!(errors.as_array().unwrap().len(), 1, "{path} {errors}");
        assert_eq!(errors[0]["parameter"], "cursor", "{path}");
    }
    // How many are wanted at once may change on the way.
    let (rest, _) = part(&client, &format!("/orders?cursor={cursor}&limit=100")).await;
    assert_eq!(rest.len(), 1);
}

async fn notifications_are_walked_by_cursors(on: Backend) {
    let world = World::start(on).await;
    let jane = world.customer("jane").await;
    for _ in 0..3 {
        world.place(&jane).await;
    }
    world.wait_notified(&jane, 6, "sent").await;
    let client = world.notify.with_token(&jane.access);
    let (whole, pagination) = part(&client, "/notifications?status=sent").await;
    let expected = json!({
        "page": 1, "limit": 20, "total_items": 6, "total_pages": 1, "next_cursor": null
    });
    assert_eq!(pagination, expected);
    let (walked, parts) = walk(&client, "/notifications?status=sent&limit=4").await;
    assert_eq!((walked, parts), (whole, 2));
    let (mails, parts) = walk(&client, "/notifications?channel=email&limit=1").await;
    assert_eq!((mails.len(), parts), (3, 3));
}
