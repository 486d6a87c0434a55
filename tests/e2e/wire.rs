//! Contract §1: what all three services have in common.

use http::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::world::{AUTH, Backend, SOON, World, assert_problem, new_order, readiness};

back_ends! {
    both:
        paths_and_methods_are_told_apart_without_a_token,
        health_is_answered_by_every_service_and_head_works_like_get,
        a_request_keeps_its_id_and_its_trace_through_all_services,
        a_body_must_be_json_of_a_bearable_size,
        every_fault_of_a_request_is_told_at_once_with_its_place,
        without_a_good_token_there_is_no_answer,
        a_request_names_its_host_exactly_once;
}

async fn paths_and_methods_are_told_apart_without_a_token(on: Backend) {
    let world = World::start(on).await;
    for client in [&world.auth, &world.orders, &world.notify] {
        for path in ["/", "/nothing", "/orders/1/2/3", "/auth", "/health/x"] {
            assert_problem(&client.get(path).await, 404, "not_found");
        }
    }
    for (client, method, path, allow) in [
        (&world.auth, Method::GET, "/auth/login", "POST"),
        (&world.auth, Method::GET, "/auth/logout-all", "POST"),
        (&world.auth, Method::POST, "/auth/users", "GET, HEAD"),
        (
            &world.auth,
            Method::PUT,
            "/auth/users/x",
            "GET, HEAD, PATCH, DELETE",
        ),
        (&world.auth, Method::GET, "/auth/users/x/password", "POST"),
        (
            &world.auth,
            Method::DELETE,
            "/auth/users/x/audit",
            "GET, HEAD",
        ),
        (&world.orders, Method::DELETE, "/orders", "GET, HEAD, POST"),
        (&world.orders, Method::GET, "/orders/x/status", "PATCH"),
        (
            &world.orders,
            Method::POST,
            "/orders/x/history",
            "GET, HEAD",
        ),
        (&world.notify, Method::POST, "/notifications", "GET, HEAD"),
        (&world.notify, Method::POST, "/health", "GET, HEAD"),
    ] {
        let answer = client.request(method, path, &[], "").await.unwrap();
        assert_problem(&answer, 405, "method_not_allowed");
        assert_eq!(answer.header("allow"), Some(allow), "{path}");
    }
}

async fn health_is_answered_by_every_service_and_head_works_like_get(on: Backend) {
    let world = World::start(on).await;
    for client in [&world.auth, &world.orders, &world.notify] {
        for path in ["/health", "/health/live"] {
            let answer = client.get(path).await;
            assert_eq!(
                (answer.status, answer.json()),
                (200, json!({ "status": "ok" }))
            );
            let head = client.request(Method::HEAD, path, &[], "").await.unwrap();
            assert_eq!((head.status, head.body.len()), (200, 0));
            assert_eq!(head.header("content-length"), Some("15"));
        }
        let ready = readiness(client, |told| told["status"] == "ok").await;
        assert_eq!(ready["checks"]["database"], "ok");
        let metrics = client.get("/metrics").await;
        assert!(
            metrics
                .header("content-type")
                .unwrap()
                .starts_with("text/plain")
        );
        assert!(metrics.text().contains("shopflow_build_info"));
    }
    // The embedded back end has no broker, and names none.
    let broker = match on {
        Backend::Servers => json!("ok"),
        Backend::Embedded => Value::Null,
    };
    for client in [&world.orders, &world.notify] {
        let ready = readiness(client, |told| told["status"] == "ok").await;
        assert_eq!(ready["checks"]["broker"], broker, "{ready}");
    }
}

async fn a_request_keeps_its_id_and_its_trace_through_all_services(on: Backend) {
    let world = World::start(on).await;
    let jane = world.customer("jane").await;
    let mut tap = world.events().await;
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let token = format!("Bearer {}", jane.access);
    let headers = [
        ("x-request-id", "my-request-7"),
        ("traceparent", &format!("00-{trace}-00f067aa0ba902b7-01")),
        ("tracestate", "vendor=1"),
        ("authorization", &token),
        ("content-type", "application/json"),
    ];
    let placed = world
        .orders
        .request(Method::POST, "/orders", &headers, new_order().to_string())
        .await
        .unwrap();
    assert_eq!(placed.status, 201, "{}", placed.text());
    assert_eq!(placed.header("x-request-id"), Some("my-request-7"));
    let event = tap.next(SOON).await.expect("an event");
    let parent = &event.traceparent;
    assert!(parent.starts_with(&format!("00-{trace}-")), "{parent}");
    assert_eq!(event.tracestate.as_deref(), Some("vendor=1"));
    for told in ["my-request-7", trace] {
        world.process(AUTH).wait_for_line(told, SOON).await;
    }
    let history = format!("/orders/{}/history", placed.json()["id"].as_str().unwrap());
    let history = world
        .orders
        .with_token(&jane.access)
        .get(&history)
        .await
        .json();
    assert_eq!(history["data"][0]["request_id"], "my-request-7");

    for bad in ["", "has space", &"x".repeat(129)] {
        let answer = world
            .auth
            .request(Method::GET, "/health", &[("x-request-id", bad)], "")
            .await;
        let answer = answer.unwrap();
        let id = answer.header("x-request-id").unwrap();
        assert!(id != bad && id.len() == 36, "{id}");
    }
}

async fn a_body_must_be_json_of_a_bearable_size(on: Backend) {
    let world = World::start(on).await;
    let send = async |content_type: &str, body: String| {
        let headers = [("content-type", content_type)];
        world
            .auth
            .request(Method::POST, "/auth/login", &headers, body)
            .await
            .unwrap()
    };
    let good = json!({ "email": "a@example.com", "password": "x" }).to_string();
    assert_problem(
        &send("application/json; charset=utf-8", good.clone()).await,
        401,
        "invalid_credentials",
    );
    assert_problem(
        &send("text/plain", good.clone()).await,
        415,
        "unsupported_media_type",
    );
    let without = world
        .auth
        .request(Method::POST, "/auth/login", &[], good)
        .await
        .unwrap();
    assert_problem(&without, 415, "unsupported_media_type");
    for broken in ["", "{", "{\"email\": }", "\u{feff}{}", "{} x"] {
        assert_problem(
            &send("application/json", broken.into()).await,
            400,
            "malformed_json",
        );
    }
    for other in ["[]", "7", "null", "\"x\""] {
        assert_problem(
            &send("application/json", other.into()).await,
            400,
            "validation_failed",
        );
    }
    let large = format!("{{\"email\": \"{}\"}}", "x".repeat(256 * 1024));
    assert_problem(
        &send("application/json", large).await,
        413,
        "payload_too_large",
    );
}

async fn every_fault_of_a_request_is_told_at_once_with_its_place(on: Backend) {
    let world = World::start(on).await;
    let jane = world.customer("jane").await;
    let mut order = new_order();
    order["items"][0]["quantity"] = json!(0);
    order["items"][0]["product_id"] = json!("no uuid");
    order["items"][1]["unit_price"] = json!(1.999);
    order["items"][1]["product_name"] = json!("");
    order["shipping_address"]["country"] = json!("ZZ");
    order["shipping_address"]
        .as_object_mut()
        .unwrap()
        .remove("city");
    order["currency"] = json!("usd");
    order["notes"] = json!("x".repeat(501));
    let answer = world
        .orders
        .with_token(&jane.access)
        .post("/orders", &order)
        .await;
    assert_problem(&answer, 400, "validation_failed");
    let mut found: Vec<(String, String)> = answer.json()["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|fault| {
            assert!(fault["message"].is_string(), "{fault}");
            let text = |name: &str| fault[name].as_str().unwrap().to_owned();
            (text("pointer"), text("code"))
        })
        .collect();
    found.sort();
    let expected = [
        ("/currency", "format"),
        ("/items/0/product_id", "format"),
        ("/items/0/quantity", "min"),
        ("/items/1/product_name", "length"),
        ("/items/1/unit_price", "precision"),
        ("/notes", "length"),
        ("/shipping_address/city", "required"),
        ("/shipping_address/country", "format"),
    ];
    assert_eq!(
        found,
        expected.map(|(pointer, code)| (pointer.to_owned(), code.to_owned()))
    );

    let query = "/orders?page=0&limit=101&status=paid&sort_by=name&sort_dir=up";
    let answer = world.orders.with_token(&jane.access).get(query).await;
    assert_problem(&answer, 400, "validation_failed");
    let errors = answer.json()["errors"].clone();
    let names: Vec<_> = errors
        .as_array()
        .unwrap()
        .iter()
        .map(|f| f["parameter"].clone())
        .collect();
    assert_eq!(
        Value::from(names),
        json!(["status", "sort_by", "sort_dir", "page", "limit"])
    );
}

async fn without_a_good_token_there_is_no_answer(on: Backend) {
    let world = World::start(on).await;
    let jane = world.customer("jane").await;
    let basic = "Basic amFuZTpkb2U=";
    let refresh = format!("Bearer {}", jane.refresh);
    for (client, method, path) in [
        (&world.auth, Method::POST, "/auth/validate"),
        (&world.auth, Method::GET, "/auth/users/x"),
        (&world.orders, Method::GET, "/orders"),
        (&world.orders, Method::POST, "/orders"),
        (&world.orders, Method::PATCH, "/orders/x/status"),
        (&world.notify, Method::GET, "/notifications"),
    ] {
        for header in [
            None,
            Some(basic),
            Some("Bearer"),
            Some("Bearer x"),
            Some(&*refresh),
        ] {
            let headers: Vec<_> = header
                .map(|value| ("authorization", value))
                .into_iter()
                .collect();
            let answer = client
                .request(method.clone(), path, &headers, "")
                .await
                .unwrap();
            assert_problem(&answer, 401, "invalid_token");
            assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
        }
    }
}

async fn a_request_names_its_host_exactly_once(on: Backend) {
    let world = World::start(on).await;
    let port = world.setup.ports[AUTH as usize];
    for (hosts, status) in [
        ("", "400"),
        ("host: a\r\n", "200"),
        ("host: a\r\nhost: b\r\n", "400"),
    ] {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        let request = format!("GET /health HTTP/1.1\r\n{hosts}connection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{answer}"
        );
        assert!(
            answer.contains("x-content-type-options: nosniff"),
            "{answer}"
        );
    }
}
