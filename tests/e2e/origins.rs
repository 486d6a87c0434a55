//! Contract §2, §8: pages of other origins.

use http::Method;
use shopflow_testkit::{Client, Response};

use crate::world::{Backend, World, assert_problem};

back_ends! {
    both:
        a_browser_is_told_what_a_listed_origin_may_call,
        an_answer_may_be_read_by_a_listed_origin_whatever_it_is,
        an_unlisted_origin_gets_no_leave,
        no_page_gets_leave_to_validate_tokens,
        without_origins_there_is_no_cors;
    embedded:
        no_page_gets_leave_to_read_the_inbox;
}

type Headers<'a> = &'a [(&'a str, &'a str)];

const SHOP: &str = "https://shop.example";

async fn with_shop(on: Backend) -> World {
    let origins = "https://shop.example,http://localhost:5173";
    let setting = ("CORS_ALLOWED_ORIGINS", origins.to_owned());
    World::start_with(on, |setup| setup.extra.push(setting)).await
}

async fn ask(client: &Client, method: Method, path: &str, headers: Headers<'_>) -> Response {
    client.request(method, path, headers, "").await.unwrap()
}

async fn preflight(client: &Client, path: &str, origin: &str) -> Response {
    let headers = [
        ("origin", origin),
        ("access-control-request-method", "POST"),
        (
            "access-control-request-headers",
            "authorization,content-type",
        ),
    ];
    ask(client, Method::OPTIONS, path, &headers).await
}

#[track_caller]
fn assert_no_leave(answer: &Response) {
    let names = answer.headers.keys().map(http::HeaderName::as_str);
    let leave: Vec<_> = names
        .filter(|name| name.starts_with("access-control-"))
        .collect();
    assert!(leave.is_empty(), "{leave:?}");
}

async fn a_browser_is_told_what_a_listed_origin_may_call(on: Backend) {
    let world = with_shop(on).await;
    for (client, path, methods) in [
        (&world.auth, "/auth/login", "POST"),
        (&world.auth, "/auth/users/x", "GET, HEAD"),
        (&world.orders, "/orders", "GET, HEAD, POST"),
        (&world.orders, "/orders/x/status", "PATCH"),
        (&world.notify, "/notifications", "GET, HEAD"),
    ] {
        for origin in [SHOP, "http://localhost:5173"] {
            let answer = preflight(client, path, origin).await;
            assert_eq!((answer.status, answer.body.len()), (204, 0), "{path}");
            let header = |name| answer.header(name).unwrap().to_lowercase();
            assert_eq!(header("access-control-allow-origin"), origin);
            assert_eq!(header("vary"), "origin");
            let allowed = answer.header("access-control-allow-methods");
            assert!(allowed.unwrap().starts_with(methods), "{path}: {allowed:?}");
            let headers = header("access-control-allow-headers");
            for name in ["authorization", "content-type", "idempotency-key"] {
                assert!(headers.contains(name), "{headers}");
            }
            assert_eq!(header("access-control-max-age"), "600");
            assert_eq!(answer.header("access-control-allow-credentials"), None);
        }
    }
    let plain = ask(
        &world.orders,
        Method::OPTIONS,
        "/orders",
        &[("origin", SHOP)],
    )
    .await;
    assert_problem(&plain, 405, "method_not_allowed");
}

async fn an_answer_may_be_read_by_a_listed_origin_whatever_it_is(on: Backend) {
    let world = with_shop(on).await;
    let jane = world.customer("jane").await;
    let token = format!("Bearer {}", jane.access);
    for (headers, status) in [
        (
            &[("origin", SHOP), ("authorization", token.as_str())][..],
            200,
        ),
        (&[("origin", SHOP)][..], 401),
    ] {
        for (client, path) in [
            (&world.orders, "/orders"),
            (&world.notify, "/notifications"),
            (&world.auth, &format!("/auth/users/{}", jane.id)),
        ] {
            let answer = ask(client, Method::GET, path, headers).await;
            assert_eq!(answer.status, status, "{path}");
            assert_eq!(answer.header("access-control-allow-origin"), Some(SHOP));
            assert_eq!(answer.header("vary"), Some("origin"));
            let exposed = answer.header("access-control-expose-headers").unwrap();
            for name in ["x-request-id", "location", "ratelimit", "retry-after"] {
                assert!(exposed.split(", ").any(|one| one == name), "{exposed}");
            }
        }
    }
    let nobody = world.orders.get("/orders").await;
    assert_no_leave(&nobody);
    assert_eq!(nobody.header("vary"), Some("origin"));
}

async fn an_unlisted_origin_gets_no_leave(on: Backend) {
    let world = with_shop(on).await;
    for origin in [
        "https://shop.example.evil",
        "http://shop.example",
        "null",
        "",
    ] {
        assert_no_leave(&preflight(&world.orders, "/orders", origin).await);
        let headers = [("origin", origin)];
        let answer = ask(&world.orders, Method::GET, "/orders", &headers).await;
        assert_problem(&answer, 401, "invalid_token");
        assert_no_leave(&answer);
    }
}

async fn no_page_gets_leave_to_validate_tokens(on: Backend) {
    let world = with_shop(on).await;
    let asked = preflight(&world.auth, "/auth/validate", SHOP).await;
    assert_problem(&asked, 405, "method_not_allowed");
    assert_no_leave(&asked);
    let headers = [("origin", SHOP)];
    let answer = ask(&world.auth, Method::POST, "/auth/validate", &headers).await;
    assert_problem(&answer, 401, "invalid_token");
    assert_no_leave(&answer);
}

async fn without_origins_there_is_no_cors(on: Backend) {
    let world = World::start(on).await;
    for (client, path) in [
        (&world.auth, "/auth/login"),
        (&world.orders, "/orders"),
        (&world.notify, "/notifications"),
    ] {
        let asked = preflight(client, path, SHOP).await;
        assert_problem(&asked, 405, "method_not_allowed");
        assert_no_leave(&asked);
        let answer = ask(client, Method::GET, path, &[("origin", SHOP)]).await;
        assert_no_leave(&answer);
        assert_eq!(answer.header("vary"), None);
    }
}

async fn no_page_gets_leave_to_read_the_inbox() {
    let world = with_shop(Backend::Embedded).await;
    for path in ["/inbox", "/inbox/messages", "/inbox/faults"] {
        assert_no_leave(&preflight(&world.notify, path, SHOP).await);
        let answer = ask(&world.notify, Method::GET, path, &[("origin", SHOP)]).await;
        assert_eq!(answer.status, 200, "{path}");
        assert_no_leave(&answer);
    }
}
