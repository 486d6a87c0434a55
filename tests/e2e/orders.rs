//! Contract §3: orders.

use serde_json::{Value, json};

use crate::world::{Backend, Person, World, assert_problem, new_order};

back_ends! {
    both:
        an_order_comes_back_as_it_was_placed_to_the_last_digit,
        the_limits_of_an_order_are_exact,
        who_may_see_and_do_what,
        only_the_next_state_can_be_reached_and_the_answer_names_it,
        of_racing_transitions_one_wins,
        pages_of_a_list_neither_repeat_nor_skip;
}

async fn an_order_comes_back_as_it_was_placed_to_the_last_digit(on: Backend) {
    let world = World::start(on).await;
    let jane = world.customer("jane").await;
    let mut order = new_order();
    order["items"][0]["unit_price"] = json!("49.9");
    order["items"][1]["unit_price"] = serde_json::from_str("1.50e1").unwrap();
    order["total_amount"] = json!(1);
    order["status"] = json!("delivered");
    order.as_object_mut().unwrap().remove("currency");
    order["notes"] = Value::Null;
    let placed = world
        .orders
        .with_token(&jane.access)
        .post("/orders", &order)
        .await;
    assert_eq!(placed.status, 201, "{}", placed.text());
    let body = placed.text();
    for amount in [
        r#""unit_price":49.90"#,
        r#""subtotal":99.80"#,
        r#""unit_price":15.00"#,
        r#""total_amount":114.80"#,
    ] {
        assert!(body.contains(amount), "{amount} in {body}");
    }
    let placed_json = placed.json();
    let id = placed_json["id"].as_str().unwrap();
    assert_eq!(placed.header("location"), Some(&*format!("/orders/{id}")));
    assert_eq!(placed_json["currency"], "USD");
    assert_eq!(placed_json["status"], "pending");
    for absent in ["notes", "confirmed_at", "shipped_at", "delivered_at"] {
        assert_eq!(placed_json.get(absent), Some(&Value::Null), "{absent}");
    }
    let path = format!("/orders/{}", id.to_uppercase());
    let found = world.orders.with_token(&jane.access).get(&path).await;
    assert_eq!(found.text(), body);
}

/// Makes a good order into another.
type Change<'a> = &'a dyn Fn(&mut Value);

async fn the_limits_of_an_order_are_exact(on: Backend) {
    let world = World::start(on).await;
    let jane = world.customer("jane").await;
    let place = async |change: &dyn Fn(&mut Value)| {
        let mut order = new_order();
        change(&mut order);
        world
            .orders
            .with_token(&jane.access)
            .post("/orders", &order)
            .await
    };
    let item = new_order()["items"][1].clone();
    let good: [Change; 6] = [
        &|o| o["items"] = json!(vec![item.clone(); 100]),
        &|o| o["items"][0]["product_name"] = json!("ä".repeat(200)),
        &|o| o["items"] = json!([{ "product_id": item["product_id"], "product_name": "x", "quantity": 1, "unit_price": 99999999.99 }]),
        &|o| {
            o["shipping_address"] =
                json!({ "street": "1", "city": "Berlin", "zip_code": "10115", "country": "DE" });
        },
        &|o| o["notes"] = json!("ä".repeat(500)),
        &|o| o["items"][0]["quantity"] = json!(1_000_000),
    ];
    for change in good {
        let answer = place(change).await;
        assert_eq!(answer.status, 201, "{}", answer.text());
    }
    let bad: [(Change, &str); 12] = [
        (&|o| o["items"] = json!([]), "/items"),
        (&|o| o["items"] = json!(vec![item.clone(); 101]), "/items"),
        (&|o| o["items"] = json!(vec![json!({}); 101]), "/items"),
        (&|o| o["items"] = json!("none"), "/items"),
        (&|o| o["items"][0] = json!(7), "/items/0"),
        (
            &|o| o["items"][0]["quantity"] = json!(1_000_001),
            "/items/0/quantity",
        ),
        (
            &|o| o["items"][0]["quantity"] = json!(1.5),
            "/items/0/quantity",
        ),
        (
            &|o| o["items"][0]["unit_price"] = json!(0),
            "/items/0/unit_price",
        ),
        (
            &|o| o["items"][0]["unit_price"] = json!("1e2"),
            "/items/0/unit_price",
        ),
        (
            &|o| o["items"][0]["unit_price"] = json!(99999999.99),
            "/items",
        ),
        (
            &|o| o["shipping_address"]["state"] = Value::Null,
            "/shipping_address/state",
        ),
        (
            &|o| o["shipping_address"] = Value::Null,
            "/shipping_address",
        ),
    ];
    for (change, pointer) in bad {
        let answer = place(change).await;
        assert_problem(&answer, 400, "validation_failed");
        let errors = answer.json()["errors"].clone();
        assert_eq!(errors.as_array().unwrap().len(), 1, "{errors}");
        assert_eq!(errors[0]["pointer"], pointer, "{errors}");
    }
    assert_eq!(world.count("SELECT count(*) FROM orders").await, 6);
    assert_eq!(world.count("SELECT count(*) FROM order_outbox").await, 6);
}

async fn who_may_see_and_do_what(on: Backend) {
    let world = World::start(on).await;
    let (jane, joe) = (world.customer("jane").await, world.customer("joe").await);
    let admin = world.admin().await;
    let service = world.service_token("notification-service");
    let order = world.place(&jane).await;
    let id = order["id"].as_str().unwrap();
    let get = async |token: &str, path: &str| world.orders.with_token(token).get(path).await;
    for suffix in ["", "/history"] {
        let path = format!("/orders/{id}{suffix}");
        for token in [&jane.access, &admin.access, &service] {
            assert_eq!(get(token, &path).await.status, 200);
        }
        assert_problem(&get(&joe.access, &path).await, 403, "forbidden");
        for unknown in ["00000000-0000-4000-8000-000000000000", "no-uuid"] {
            let path = format!("/orders/{unknown}{suffix}");
            assert_problem(&get(&joe.access, &path).await, 404, "not_found");
        }
    }
    let answer = world
        .orders
        .with_token(&service)
        .post("/orders", &json!("rubbish"))
        .await;
    assert_problem(&answer, 403, "forbidden");
    let pass = Person {
        access: service.clone(),
        ..jane.clone()
    };
    for who in [&jane, &pass] {
        assert_problem(
            &world.transition(who, id, "confirmed").await,
            403,
            "forbidden",
        );
    }

    for (token, query, total) in [
        (&jane.access, "", 1),
        (&joe.access, "", 0),
        (&admin.access, "", 0),
        (&admin.access, "?user_id=all", 1),
        (&service, "?user_id=all", 1),
        (&jane.access, &*format!("?user_id={}", jane.id), 1),
        (&admin.access, &*format!("?user_id={}", joe.id), 0),
    ] {
        let list = get(token, &format!("/orders{query}")).await;
        assert_eq!(
            list.json()["pagination"]["total_items"],
            total,
            "{query} {}",
            list.text()
        );
    }
    for query in ["?user_id=all", &*format!("?user_id={}", joe.id)] {
        assert_problem(
            &get(&jane.access, &format!("/orders{query}")).await,
            403,
            "forbidden",
        );
    }
    assert_problem(&get(&service, "/orders").await, 400, "validation_failed");
    assert_problem(
        &get(&jane.access, "/orders?user_id=me").await,
        400,
        "validation_failed",
    );
}

async fn only_the_next_state_can_be_reached_and_the_answer_names_it(on: Backend) {
    let world = World::start(on).await;
    let jane = world.customer("jane").await;
    let admin = world.admin().await;
    let order = world.place(&jane).await;
    let id = order["id"].as_str().unwrap();
    let states = ["pending", "confirmed", "shipped", "delivered"];
    for (index, state) in states.iter().enumerate() {
        let next: Vec<_> = states.get(index + 1).into_iter().collect();
        for to in states.iter().chain(&["paid", "Confirmed"]) {
            if next.contains(&to) {
                continue;
            }
            let answer = world.transition(&admin, id, to).await;
            let (status, code) = match to == state {
                true => (409, "already_in_state"),
                false => (400, "invalid_transition"),
            };
            assert_problem(&answer, status, code);
            assert_eq!(answer.json()["allowed"], json!(next), "{state} -> {to}");
        }
        if let Some(next) = next.first() {
            world.advance(&admin, id, &[next]).await;
        }
    }
    let unknown = "00000000-0000-4000-8000-000000000000";
    assert_problem(
        &world.transition(&admin, unknown, "paid").await,
        404,
        "not_found",
    );
    let path = format!("/orders/{unknown}/status");
    for body in [
        json!({}),
        json!({ "status": "" }),
        json!({ "status": 7 }),
        json!([]),
    ] {
        let answer = world
            .orders
            .with_token(&admin.access)
            .patch(&path, &body)
            .await;
        assert_problem(&answer, 400, "validation_failed");
    }
    let history = world
        .orders
        .with_token(&jane.access)
        .get(&format!("/orders/{id}/history"))
        .await;
    let history = history.json()["data"].as_array().unwrap().clone();
    assert_eq!(history[0]["from"], Value::Null);
    assert_eq!(
        history[0]["actor"],
        json!({ "id": jane.id, "role": "customer" })
    );
    assert_eq!(
        history[3]["actor"],
        json!({ "id": admin.id, "role": "admin" })
    );
    let steps: Vec<_> = history.iter().map(|entry| entry["to"].clone()).collect();
    assert_eq!(Value::from(steps), json!(states));
}

async fn of_racing_transitions_one_wins(on: Backend) {
    let world = World::start(on).await;
    let jane = world.customer("jane").await;
    let admin = world.admin().await;
    let order = world.place(&jane).await;
    let id = order["id"].as_str().unwrap();
    let racers = (0..12).map(|_| world.transition(&admin, id, "confirmed"));
    let answers = futures_util::future::join_all(racers).await;
    let won = answers.iter().filter(|answer| answer.status == 200).count();
    let lost = answers.iter().filter(|answer| answer.status == 409).count();
    assert_eq!((won, lost), (1, 11));
}

async fn pages_of_a_list_neither_repeat_nor_skip(on: Backend) {
    let world = World::start(on).await;
    let jane = world.customer("jane").await;
    for _ in 0..7 {
        world.place(&jane).await;
    }
    for sort in ["created_at", "updated_at", "total_amount", "status"] {
        for direction in ["asc", "desc"] {
            let mut seen = std::collections::HashSet::new();
            for page in 1..=3 {
                let path = format!(
                    "/orders?limit=3&page={page}&sort_by={sort}&sort_dir={direction}&status=pending"
                );
                let list = world
                    .orders
                    .with_token(&jane.access)
                    .get(&path)
                    .await
                    .json();
                let next = &list["pagination"]["next_cursor"];
                assert_eq!(next.is_string(), page < 3, "{next}");
                let expected = json!({
                    "page": page, "limit": 3, "total_items": 7, "total_pages": 3, "next_cursor": next
                });
                assert_eq!(list["pagination"], expected);
                for order in list["data"].as_array().unwrap() {
                    assert_eq!(order.as_object().unwrap().len(), 5, "{order}");
                    seen.insert(order["id"].as_str().unwrap().to_owned());
                }
            }
            assert_eq!(seen.len(), 7, "{sort} {direction}");
        }
    }
    let beyond = world
        .orders
        .with_token(&jane.access)
        .get("/orders?page=9")
        .await
        .json();
    assert_eq!(
        (&beyond["data"], &beyond["pagination"]["total_items"]),
        (&json!([]), &json!(7))
    );
}
