//! `shopflow orders`.

use serde_json::json;

use super::told;
use crate::world::{Backend, World};

back_ends! {
    both:
        orders_are_listed_by_user_and_state_as_over_http,
        orders_are_listed_by_their_age,
        an_order_is_shown_as_over_http,
        a_reason_is_for_operators_alone,
        a_transition_is_the_one_of_the_api_with_the_operator_in_the_history,
        a_forbidden_transition_is_exit_code_four_and_names_the_next_state,
        an_unknown_order_is_exit_code_three,
        a_filter_that_is_no_id_is_exit_code_two;
}

async fn orders_are_listed_by_user_and_state_as_over_http(on: Backend) {
    let world = World::start(on).await;
    let (jane, joe) = (world.customer("jane").await, world.customer("joe").await);
    let first = world.place(&jane).await;
    let second = world.place(&jane).await;
    world.place(&joe).await;
    let list = ["orders", "list", "--user", &jane.id];
    let listed = told(&world, &[&list[..], &["--output", "json"]].concat())
        .await
        .json();
    let own = world
        .orders
        .with_token(&jane.access)
        .get("/orders")
        .await
        .json();
    assert_eq!(listed, json!({ "data": own["data"] }));

    let id = first["id"].as_str().unwrap();
    told(&world, &["orders", "transition", id, "confirmed"])
        .await
        .lines();
    let pending = told(&world, &[&list[..], &["--status", "pending"]].concat()).await;
    let lines = pending.lines();
    assert_eq!(lines[0], ["ID", "STATUS", "TOTAL", "CREATED"]);
    assert_eq!(
        lines[1][..3],
        [second["id"].as_str().unwrap(), "pending", "112.97 USD"]
    );
    assert_eq!(lines.len(), 2);

    let page = told(&world, &[&list[..], &["--limit", "1"]].concat()).await;
    let newest = second["id"].as_str().unwrap();
    let rest = format!("more follow; see --after {newest} and --limit");
    assert!(page.output.contains(&rest), "{}", page.output);
    let page = told(
        &world,
        &[&list[..], &["--after", newest, "--output", "json"]].concat(),
    )
    .await;
    assert_eq!(page.json()["data"].as_array().unwrap().len(), 1);
    assert_eq!(page.json()["data"][0]["id"], id);
}

async fn orders_are_listed_by_their_age(on: Backend) {
    let world = World::start(on).await;
    let jane = world.customer("jane").await;
    world.place(&jane).await;
    for (flag, age, listed) in [
        ("--older-than", "1h", 0),
        ("--older-than", "0s", 1),
        ("--newer-than", "1h", 1),
        ("--newer-than", "0s", 0),
    ] {
        let list = [
            "orders", "list", "--user", &jane.id, flag, age, "--output", "json",
        ];
        let data = told(&world, &list).await.json()["data"].clone();
        assert_eq!(data.as_array().unwrap().len(), listed, "{flag} {age}");
    }
    for wrong in ["soon", "200000000h"] {
        let wrong = told(&world, &["orders", "list", "--older-than", wrong]).await;
        let said =
            "error: --older-than: must be a duration such as 90m or 24h, of 100 years at most\n";
        assert_eq!((wrong.code, &*wrong.output), (Some(2), said));
    }
}

async fn a_reason_is_for_operators_alone(on: Backend) {
    let world = World::start(on).await;
    let jane = world.customer("jane").await;
    let order = world.place(&jane).await;
    let id = order["id"].as_str().unwrap();
    let transition = ["orders", "transition", id, "confirmed", "--reason"];
    let empty = told(&world, &[&transition[..], &[""]].concat()).await;
    let said = "error: --reason: must have 1 to 200 characters\n";
    assert_eq!((empty.code, &*empty.output), (Some(2), said));
    told(&world, &[&transition[..], &["paid by transfer"]].concat())
        .await
        .lines();

    let history = told(&world, &["orders", "history", id, "--output", "json"])
        .await
        .json();
    assert_eq!(history["data"][0]["reason"], serde_json::Value::Null);
    assert_eq!(history["data"][1]["reason"], "paid by transfer");
    let path = format!("/orders/{id}/history");
    let own = world.orders.with_token(&jane.access).get(&path).await;
    assert!(!own.text().contains("paid by transfer"), "{}", own.text());
}

async fn an_order_is_shown_as_over_http(on: Backend) {
    let world = World::start(on).await;
    let jane = world.customer("jane").await;
    let order = world.place(&jane).await;
    let id = order["id"].as_str().unwrap();
    let shown = told(&world, &["orders", "show", id, "--output", "json"])
        .await
        .json();
    let path = format!("/orders/{id}");
    let own = world
        .orders
        .with_token(&jane.access)
        .get(&path)
        .await
        .json();
    assert_eq!(shown, own);
    let shown = told(&world, &["orders", "show", id]).await;
    let lines = shown.lines();
    for line in [
        &["Order", id][..],
        &["Status", "pending"],
        &["Total", "112.97 USD"],
        &[
            "Ship to",
            "742 Evergreen Terrace, Springfield, IL, 62704, US",
        ],
        &["ITEM", "QUANTITY", "PRICE", "SUBTOTAL"],
        &["Wireless Headphones", "2", "49.99", "99.98"],
        &["USB-C Cable", "1", "12.99", "12.99"],
    ] {
        assert!(
            lines.iter().any(|own| own == line),
            "{line:?}: {}",
            shown.output
        );
    }
}

async fn a_transition_is_the_one_of_the_api_with_the_operator_in_the_history(on: Backend) {
    let world = World::start(on).await;
    let jane = world.customer("jane").await;
    let order = world.place(&jane).await;
    let id = order["id"].as_str().unwrap();
    for status in ["confirmed", "shipped"] {
        let moved = told(&world, &["orders", "transition", id, status]).await;
        let said = format!("order {id} is {status}\n");
        assert_eq!((moved.code, moved.output), (Some(0), said));
    }
    // Two mails and two texts: the event of "shipped" went the way that it always does.
    world.wait_notified(&jane, 4, "sent").await;
    let history = told(&world, &["orders", "history", id, "--output", "json"])
        .await
        .json();
    let path = format!("/orders/{id}/history");
    let own = world
        .orders
        .with_token(&jane.access)
        .get(&path)
        .await
        .json();
    let (entries, own) = (&history["data"], &own["data"]);
    for (entry, own) in entries
        .as_array()
        .unwrap()
        .iter()
        .zip(own.as_array().unwrap())
    {
        for field in ["from", "to", "actor", "at", "request_id"] {
            assert_eq!(entry[field], own[field], "{field}");
        }
    }
    let by = json!({ "id": "cli:ada", "role": "operator" });
    assert_eq!(history["data"][2]["actor"], by);
    let table = told(&world, &["orders", "history", id]).await;
    let lines = table.lines();
    assert_eq!(
        lines[0],
        ["AT", "FROM", "TO", "ACTOR", "ROLE", "TRACE", "REASON"]
    );
    assert_eq!(
        lines[3][1..5],
        ["confirmed", "shipped", "cli:ada", "operator"]
    );
}

async fn a_forbidden_transition_is_exit_code_four_and_names_the_next_state(on: Backend) {
    let world = World::start(on).await;
    let jane = world.customer("jane").await;
    let order = world.place(&jane).await;
    let id = order["id"].as_str().unwrap();
    for (to, why) in [
        (
            "shipped",
            "an order that is pending cannot become \"shipped\"",
        ),
        ("lost", "an order that is pending cannot become \"lost\""),
        ("pending", "the order is already pending"),
    ] {
        let refused = told(&world, &["orders", "transition", id, to]).await;
        let said = format!("error: {why}; the next state is confirmed\n");
        assert_eq!((refused.code, refused.output), (Some(4), said));
    }
    let shown = told(&world, &["orders", "show", id, "--output", "json"])
        .await
        .json();
    assert_eq!(shown, order, "nothing has changed");
}

async fn an_unknown_order_is_exit_code_three(on: Backend) {
    let world = World::start(on).await;
    for id in ["b2c3d4e5-f6a7-8901-bcde-f12345678901", "17"] {
        for args in [
            &["orders", "show", id][..],
            &["orders", "history", id],
            &["orders", "transition", id, "confirmed"],
        ] {
            let told = told(&world, args).await;
            let said = format!("error: no order has the id {id}\n");
            assert_eq!((told.code, told.output), (Some(3), said), "{args:?}");
        }
    }
}

async fn a_filter_that_is_no_id_is_exit_code_two(on: Backend) {
    let world = World::start(on).await;
    for (args, said) in [
        (
            ["orders", "list", "--user", "jane"],
            "error: --user: must be a user's id\n",
        ),
        (
            ["notifications", "list", "--order", "17"],
            "error: --order: must be an order's id\n",
        ),
    ] {
        let told = told(&world, &args).await;
        assert_eq!((told.code, &*told.output), (Some(2), said));
    }
}
