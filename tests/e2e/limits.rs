//! Contract §2, §3, §8: limits, and who is counted.

use http::Method;
use serde_json::json;
use shopflow_testkit::{Client, Response, Setup, wait_for, wait_until};

use crate::world::{Backend, PASSWORD, Person, SOON, World, assert_problem, run};

back_ends! {
    both:
        the_101st_request_of_an_address_is_refused_and_told_when_to_come_again,
        what_a_path_does_not_have_is_told_beyond_the_limit_too,
        zero_is_no_limit,
        a_valid_service_token_is_not_counted,
        what_is_no_valid_service_token_is_counted,
        a_service_token_beside_the_users_counts_only_where_tokens_are_validated,
        orders_and_notify_are_not_held_to_the_limit_of_their_address,
        behind_a_trusted_proxy_each_client_is_counted_by_itself,
        behind_a_trusted_proxy_nobody_can_invent_addresses,
        what_an_untrusted_peer_forwards_is_not_believed,
        failed_logins_slow_an_account_down_whether_or_not_it_exists,
        a_slowed_account_opens_again_and_a_success_forgets_the_failures,
        guesses_at_once_are_no_more_guesses,
        an_account_that_is_slowed_down_has_it_in_its_audit_once,
        a_stolen_access_token_is_no_way_to_guess_the_password,
        one_users_orders_are_limited_and_no_other_users;
}

type Headers<'a> = &'a [(&'a str, &'a str)];

async fn world(on: Backend, settings: &[(&'static str, &str)]) -> World {
    let more = settings
        .iter()
        .map(|(name, value)| (*name, (*value).to_owned()));
    let more: Vec<_> = more.collect();
    World::start_with(on, |setup: &mut Setup| setup.extra.extend(more)).await
}

async fn limited(on: Backend, requests: &str) -> World {
    world(on, &[("RATE_LIMIT_AUTH_PER_MINUTE", requests)]).await
}

async fn ask(client: &Client, method: Method, path: &str, headers: Headers<'_>) -> Response {
    client.request(method, path, headers, "").await.unwrap()
}

/// Asks for a token to be validated; without a good one that is a 401, and counts all the same.
async fn validate(world: &World, headers: Headers<'_>) -> Response {
    ask(&world.auth, Method::POST, "/auth/validate", headers).await
}

async fn login(world: &World, email: &str, password: &str) -> Response {
    let body = json!({ "email": email, "password": password });
    world.auth.post("/auth/login", &body).await
}

/// The number behind `name=` in a header.
fn number(answer: &Response, header: &str, name: &str) -> u64 {
    let text = answer.header(header).unwrap();
    let parameter = text.split(';').find_map(|part| part.strip_prefix(name));
    parameter.unwrap().parse().unwrap()
}

#[track_caller]
fn assert_refused(answer: &Response) -> u64 {
    assert_problem(answer, 429, "rate_limited");
    let wait = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=60).contains(&wait), "{wait}");
    wait
}

async fn the_101st_request_of_an_address_is_refused_and_told_when_to_come_again(on: Backend) {
    let world = limited(on, "100").await;
    for index in 1..=100 {
        let answer = validate(&world, &[]).await;
        assert_problem(&answer, 401, "invalid_token");
        let policy = answer.header("ratelimit-policy");
        assert_eq!(policy, Some("\"auth\";q=100;w=60"));
        assert_eq!(number(&answer, "ratelimit", "r="), 100 - index);
        let reset = number(&answer, "ratelimit", "t=");
        assert!((1..=60).contains(&reset), "{reset}");
    }
    let refused = validate(&world, &[]).await;
    let wait = assert_refused(&refused);
    let state = format!("\"auth\";r=0;t={wait}");
    assert_eq!(refused.header("ratelimit"), Some(state.as_str()));
    let policy = refused.header("ratelimit-policy");
    assert_eq!(policy, Some("\"auth\";q=100;w=60"));
    // The right password does not help either, nor another path.
    assert_refused(&login(&world, "jane@example.com", PASSWORD).await);
    assert_eq!(world.auth.get("/health").await.status, 200);
}

async fn what_a_path_does_not_have_is_told_beyond_the_limit_too(on: Backend) {
    let world = limited(on, "1").await;
    validate(&world, &[]).await;
    assert_refused(&validate(&world, &[]).await);
    let unknown = world.auth.get("/auth/nothing").await;
    assert_problem(&unknown, 404, "not_found");
    let wrong = world.auth.get("/auth/login").await;
    assert_problem(&wrong, 405, "method_not_allowed");
    assert_eq!(wrong.header("ratelimit"), None, "it was not counted");
}

async fn zero_is_no_limit(on: Backend) {
    let world = limited(on, "0").await;
    for _ in 0..120 {
        let answer = validate(&world, &[]).await;
        assert_problem(&answer, 401, "invalid_token");
        assert_eq!(answer.header("ratelimit"), None);
    }
    for _ in 0..8 {
        let answer = login(&world, "nobody@example.com", "Wr0ng!Passw0rd").await;
        assert_problem(&answer, 401, "invalid_credentials");
    }
}

async fn a_valid_service_token_is_not_counted(on: Backend) {
    let world = limited(on, "1").await;
    let token = format!("Bearer {}", world.service_token("order-service"));
    for _ in 0..5 {
        let own = validate(&world, &[("authorization", &token)]).await;
        assert_eq!((own.status, own.header("ratelimit")), (200, None));
        let headers = [
            ("authorization", "Bearer theirs"),
            ("x-service-authorization", &token),
        ];
        let theirs = validate(&world, &headers).await;
        assert_problem(&theirs, 401, "invalid_token");
        assert_eq!(theirs.header("ratelimit"), None);
    }
    assert_problem(&validate(&world, &[]).await, 401, "invalid_token");
    assert_refused(&validate(&world, &[]).await);
}

async fn what_is_no_valid_service_token_is_counted(on: Backend) {
    let world = limited(on, "10").await;
    let jane = world.customer("jane").await;
    let good = world.service_token("order-service");
    let (signed, _) = good.rsplit_once('.').unwrap();
    let forged = format!("Bearer {signed}.{}", "A".repeat(43));
    let user = format!("Bearer {}", jane.access);
    let left = number(&validate(&world, &[]).await, "ratelimit", "r=");
    let tries: [Headers<'_>; 4] = [
        &[("authorization", &forged)],
        &[("x-service-authorization", &forged)],
        &[("authorization", &user)],
        &[("x-service-authorization", &user)],
    ];
    for (index, headers) in (1..).zip(tries) {
        let answer = validate(&world, headers).await;
        assert_eq!(number(&answer, "ratelimit", "r="), left - index);
    }
}

async fn a_service_token_beside_the_users_counts_only_where_tokens_are_validated(on: Backend) {
    let world = limited(on, "10").await;
    let token = format!("Bearer {}", world.service_token("order-service"));
    let headers = [("x-service-authorization", token.as_str())];
    let answer = ask(&world.auth, Method::GET, "/auth/users/x", &headers).await;
    assert_problem(&answer, 401, "invalid_token");
    assert_eq!(number(&answer, "ratelimit", "r="), 9);
}

async fn orders_and_notify_are_not_held_to_the_limit_of_their_address(on: Backend) {
    // Three to register, to log in and to look at the token.
    let world = limited(on, "3").await;
    let jane = world.customer("jane").await;
    assert_refused(&validate(&world, &[]).await);
    for _ in 0..10 {
        world.place(&jane).await;
    }
    world.wait_notified(&jane, 20, "sent").await;
}

async fn from(world: &World, forwarded: &str) -> Response {
    validate(world, &[("x-forwarded-for", forwarded)]).await
}

async fn proxied(on: Backend, proxies: &str) -> World {
    let limit = ("RATE_LIMIT_AUTH_PER_MINUTE", "2");
    world(on, &[limit, ("TRUSTED_PROXIES", proxies)]).await
}

async fn behind_a_trusted_proxy_each_client_is_counted_by_itself(on: Backend) {
    let world = proxied(on, "127.0.0.0/8, 10.0.0.0/8").await;
    for client in [
        "192.0.2.1",
        "192.0.2.2",
        "192.0.2.3, 10.1.2.3",
        "2001:db8::1",
    ] {
        for _ in 0..2 {
            assert_problem(&from(&world, client).await, 401, "invalid_token");
        }
        assert_refused(&from(&world, client).await);
    }
    let neighbour = from(&world, "2001:db8::2").await;
    assert_refused(&neighbour);
}

async fn behind_a_trusted_proxy_nobody_can_invent_addresses(on: Backend) {
    let world = proxied(on, "127.0.0.1").await;
    for invented in ["198.51.100.1, ", ""] {
        let answer = from(&world, &format!("{invented}192.0.2.1")).await;
        assert_problem(&answer, 401, "invalid_token");
    }
    for invented in ["198.51.100.2, ", "127.0.0.1, ", "x, "] {
        assert_refused(&from(&world, &format!("{invented}192.0.2.1")).await);
    }
    let lines = [
        ("x-forwarded-for", "198.51.100.3"),
        ("x-forwarded-for", "192.0.2.1"),
    ];
    assert_refused(&validate(&world, &lines).await);
}

async fn what_an_untrusted_peer_forwards_is_not_believed(on: Backend) {
    let world = proxied(on, "10.0.0.0/8").await;
    for client in ["192.0.2.1", "192.0.2.2"] {
        assert_problem(&from(&world, client).await, 401, "invalid_token");
    }
    assert_refused(&from(&world, "192.0.2.3").await);
    assert_refused(&validate(&world, &[]).await);
}

/// Fails until the account is slowed down; how often that went.
async fn guess(world: &World, email: &str) -> usize {
    for told in 0..20 {
        let answer = login(world, email, "Wr0ng!Passw0rd").await;
        if answer.status == 429 {
            assert_refused(&answer);
            return told;
        }
        assert_problem(&answer, 401, "invalid_credentials");
    }
    panic!("{email} is not slowed down");
}

async fn failed_logins_slow_an_account_down_whether_or_not_it_exists(on: Backend) {
    let world = limited(on, "1000").await;
    let (jane, joe) = (world.customer("jane").await, world.customer("joe").await);
    for email in [jane.email.as_str(), "nobody@example.com", "no email at all"] {
        // Six are told; on a very slow machine the seventh may be due already.
        let told = guess(&world, email).await;
        assert!((6..12).contains(&told), "{email}: {told}");
    }
    let tired = guess(&world, "JANE@example.com ").await;
    assert!(tired < 6, "the same account in another spelling: {tired}");
    assert_eq!(login(&world, &joe.email, PASSWORD).await.status, 200);
}

async fn a_slowed_account_opens_again_and_a_success_forgets_the_failures(on: Backend) {
    let world = limited(on, "1000").await;
    let jane = world.customer("jane").await;
    guess(&world, &jane.email).await;
    let refused = login(&world, &jane.email, PASSWORD).await;
    assert!(matches!(refused.status, 200 | 429), "{}", refused.text());
    wait_until("the right password is taken", SOON, || async {
        login(&world, &jane.email, PASSWORD).await.status == 200
    })
    .await;
    assert!(guess(&world, &jane.email).await >= 6);
}

async fn guesses_at_once_are_no_more_guesses(on: Backend) {
    // All are to be hashed, however long that takes one after another.
    let patience = ("PASSWORD_HASH_MAX_WAIT_SECONDS", "60");
    let world = world(on, &[("RATE_LIMIT_AUTH_PER_MINUTE", "1000"), patience]).await;
    let guesses = (0..12).map(|_| login(&world, "nobody@example.com", "Wr0ng!Passw0rd"));
    let answers = futures_util::future::join_all(guesses).await;
    let told = answers.iter().filter(|answer| answer.status == 401).count();
    assert_eq!(told, 6);
    for answer in answers.iter().filter(|answer| answer.status != 401) {
        assert_refused(answer);
    }
}

async fn an_account_that_is_slowed_down_has_it_in_its_audit_once(on: Backend) {
    let world = limited(on, "1000").await;
    let (jane, admin) = (world.customer("jane").await, world.admin().await);
    let (client, mut slowed) = (world.auth.with_token(&admin.access), None);
    for _ in 0..6 {
        let answer = login(&world, &jane.email, "Wr0ng!Passw0rd").await;
        // The sixth answer is like those before.
        assert_problem(&answer, 401, "invalid_credentials");
        slowed = answer.header("x-request-id").map(str::to_owned);
    }
    // Then come tries that are refused, and one that is due and fails too.
    wait_until("a try is due", SOON, || async {
        let answer = login(&world, &jane.email, "Wr0ng!Passw0rd").await;
        answer.status == 401
    })
    .await;
    let path = format!("/auth/users/{}/audit", jane.id);
    let entries = wait_for("it is in the audit", SOON, || async {
        let audit = client.get(&path).await.json();
        let entries = audit["data"].as_array().unwrap().clone();
        (entries.len() > 1).then_some(entries)
    })
    .await;
    let actions: Vec<_> = entries.iter().map(|entry| &entry["action"]).collect();
    assert_eq!(actions, ["login_slowed", "created"]);
    let anonymous = json!({ "id": "anonymous", "role": "anonymous" });
    assert_eq!(entries[0]["actor"], anonymous);
    assert_eq!(entries[0]["request_id"].as_str(), slowed.as_deref());
    assert_eq!(entries[0]["trace_id"].as_str().unwrap().len(), 32);
}

async fn one_users_orders_are_limited_and_no_other_users(on: Backend) {
    let world = world(on, &[("RATE_LIMIT_ORDERS_PER_MINUTE", "3")]).await;
    let (jane, joe) = (world.customer("jane").await, world.customer("joe").await);
    let list = async |who: &Person| world.orders.with_token(&who.access).get("/orders").await;
    for left in [2, 1] {
        let answer = list(&jane).await;
        assert_eq!(answer.status, 200);
        let policy = answer.header("ratelimit-policy");
        assert_eq!(policy, Some("\"orders\";q=3;w=60"));
        assert_eq!(number(&answer, "ratelimit", "r="), left);
    }
    // Another session of hers is hers, and a bad request is a request.
    let again = world.login(&jane.email).await;
    let client = world.orders.with_token(&again.access);
    let bad = client.post("/orders", &json!({})).await;
    assert_problem(&bad, 400, "validation_failed");
    assert_eq!(number(&bad, "ratelimit", "r="), 0);
    for who in [&jane, &again] {
        let refused = list(who).await;
        let wait = assert_refused(&refused);
        assert_eq!(number(&refused, "ratelimit", "t="), wait);
    }

    assert_eq!(list(&joe).await.status, 200);
    let service = world.service_token("notification-service");
    let service = world.orders.with_token(&service);
    for _ in 0..5 {
        let answer = service.get("/orders?user_id=all").await;
        assert_eq!((answer.status, answer.header("ratelimit")), (200, None));
    }
    let nobody = world.orders.with_token("x").get("/orders").await;
    assert_problem(&nobody, 401, "invalid_token");
    assert_eq!(nobody.header("ratelimit"), None);
}

#[tokio::test]
async fn wrong_settings_are_told_a_line_each() {
    let env = [
        ("RATE_LIMIT_AUTH_PER_MINUTE", "-1"),
        ("RATE_LIMIT_ORDERS_PER_MINUTE", "100001"),
        ("TRUSTED_PROXIES", "10.0.0.0/8,10.0.0.0/33"),
        ("CORS_ALLOWED_ORIGINS", "*"),
        ("REDIS_URL", "http://user:s3cret@redis"),
        ("REDIS_TIMEOUT_MS", "0"),
    ];
    for (args, known) in [
        (&["serve", "auth"][..], &[0, 2, 3, 4, 5][..]),
        (&["serve", "orders"], &[1, 2, 3, 4, 5]),
        (&["serve", "notify"], &[2, 3]),
        (&["dev"], &[0, 1, 2, 3]),
    ] {
        let (code, output) = run(args, &env).await;
        assert_eq!(code, Some(2), "{output}");
        for index in known {
            let start = format!("error: {}: ", env[*index].0);
            let lines = output.lines().filter(|line| line.starts_with(&start));
            assert_eq!(lines.count(), 1, "{start} {output}");
            assert!(!output.contains("s3cret"), "{output}");
        }
    }
    let (_, output) = run(&["dev"], &env).await;
    for said in [
        "\"10.0.0.0/33\" is no",
        "* is not taken",
        "from 0 (no limit)",
    ] {
        assert!(output.contains(said), "{output}");
    }
    assert_eq!(output.lines().count(), 4, "{output}");
}

async fn a_stolen_access_token_is_no_way_to_guess_the_password(on: Backend) {
    let world = limited(on, "1000").await;
    let jane = world.customer("jane").await;
    let path = format!("/auth/users/{}/password", jane.id);
    let guess = json!({ "current_password": "Wr0ng!Passw0rd", "new_password": "An0ther!Passw0rd" });
    let client = world.auth.with_token(&jane.access);
    let refused = async || {
        let mut told = 0;
        loop {
            let answer = client.post(&path, &guess).await;
            match answer.status {
                403 if told < 12 => told += 1,
                _ => break (told, answer),
            }
        }
    };
    let (told, slowed) = refused().await;
    assert_problem(&slowed, 429, "rate_limited");
    assert!(slowed.header("retry-after").is_some());
    // Six are told; on a very slow machine the next may be due already.
    assert!((6..12).contains(&told), "{told} guesses were told");
    // There the wait may be over by the time of the login, too; then it is guessed again.
    for _ in 0..5 {
        let login = login(&world, &jane.email, PASSWORD).await;
        if login.status != 200 {
            assert_problem(&login, 429, "rate_limited");
            return;
        }
        refused().await;
    }
    panic!("guesses never kept a login out");
}
