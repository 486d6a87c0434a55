//! One-time tokens by mail: another password for who has forgotten theirs, and verified addresses.

use serde_json::{Value, json};
use shopflow_testkit::{Response, wait_for, wait_until};

use crate::world::{AUTH, Backend, NOTIFY, PASSWORD, Person, SOON, World, assert_problem};

back_ends! {
    both:
        a_forgotten_password_is_set_anew_by_the_mailed_token,
        a_token_works_once_and_not_for_another_purpose,
        an_expired_token_does_nothing,
        a_weak_new_password_leaves_the_token_good,
        known_and_unknown_addresses_are_answered_alike_and_cost_the_same_row,
        a_second_request_within_a_minute_sends_no_second_mail,
        the_token_lies_nowhere_but_in_the_mail,
        who_registers_verifies_the_address_by_mail,
        where_it_is_required_only_verified_addresses_log_in,
        only_services_are_told_a_token;
    servers:
        a_mail_that_comes_too_late_is_a_dead_letter,
        without_a_broker_nobody_is_mailed_and_nobody_is_verified,
        a_request_waits_in_the_queue_and_then_for_auth;
}

const NEW_PASSWORD: &str = "An0ther-s3cret!";

async fn forgot(world: &World, email: &str) -> Response {
    let body = json!({ "email": email });
    world.auth.post("/auth/password/forgot", &body).await
}

async fn reset(world: &World, token: &str, password: &str) -> Response {
    let body = json!({ "token": token, "new_password": password });
    world.auth.post("/auth/password/reset", &body).await
}

async fn verify(world: &World, token: &str) -> Response {
    let body = json!({ "token": token });
    world.auth.post("/auth/email/verify", &body).await
}

async fn log_in(world: &World, email: &str, password: &str) -> Response {
    let body = json!({ "email": email, "password": password });
    world.auth.post_again("/auth/login", &body).await
}

async fn register(world: &World, email: &str) {
    let body = json!({
        "email": email, "password": PASSWORD, "first_name": "Jane", "last_name": "Doe",
    });
    let made = world.auth.post_again("/auth/register", &body).await;
    assert_eq!(made.status, 201, "{}", made.text());
}

/// The tokens in the mails with this subject, oldest first.
async fn tokens(world: &World, to: &str, subject: &str) -> Vec<String> {
    let mails = world.mails().await;
    let mails = mails
        .iter()
        .filter(|mail| mail.to == to && mail.subject == subject);
    mails.map(|mail| token_in(&mail.text)).collect()
}

fn token_in(text: &str) -> String {
    let mut words = text.split_whitespace();
    let token = words.find(|word| word.len() == 64 && word.bytes().all(|b| b.is_ascii_hexdigit()));
    token.unwrap_or_else(|| panic!("no token in {text}")).into()
}

pub(crate) async fn mailed(world: &World, to: &str, subject: &str) -> String {
    wait_for("a mail with a token", SOON, || async {
        tokens(world, to, subject).await.pop()
    })
    .await
}

pub(crate) const RESET: &str = "Reset your ShopFlow password";
pub(crate) const VERIFY: &str = "Confirm your email address";

/// Somebody who has asked for another password, and the token that was mailed.
async fn forgetful(world: &World) -> (Person, String) {
    let jane = world.customer("jane").await;
    let asked = forgot(world, " Jane@Example.com ").await;
    assert_eq!((asked.status, asked.text()), (202, String::new()));
    let token = mailed(world, &jane.email, RESET).await;
    (jane, token)
}

async fn a_forgotten_password_is_set_anew_by_the_mailed_token(on: Backend) {
    let world = World::start(on).await;
    let (jane, token) = forgetful(&world).await;
    let done = reset(&world, &token, NEW_PASSWORD).await;
    assert_eq!((done.status, done.text()), (204, String::new()));

    let old = log_in(&world, &jane.email, PASSWORD).await;
    assert_problem(&old, 401, "invalid_credentials");
    assert_eq!(log_in(&world, &jane.email, NEW_PASSWORD).await.status, 200);
    // All sessions have ended, and their access tokens with them.
    let own = world.auth.with_token(&jane.access);
    let valid = own.post("/auth/validate", &Value::Null).await;
    assert_eq!(valid.status, 401);
    let refresh = json!({ "refresh_token": jane.refresh });
    let refreshed = world.auth.post("/auth/refresh", &refresh).await;
    assert_eq!(refreshed.status, 401);

    let admin = world.admin().await;
    let path = format!("/auth/users/{}/audit", jane.id);
    let told = world.auth.with_token(&admin.access).get(&path).await;
    let told = told.json();
    let entries = told["data"].as_array().unwrap();
    let actions: Vec<_> = entries.iter().map(|entry| &entry["action"]).collect();
    assert_eq!(
        actions,
        ["password_reset", "password_reset_requested", "created"]
    );
    assert_eq!(entries[0]["actor"]["id"], jane.id);
    assert_eq!(entries[1]["actor"]["role"], "anonymous");
}

async fn a_token_works_once_and_not_for_another_purpose(on: Backend) {
    let world = World::start(on).await;
    let (_, token) = forgetful(&world).await;
    assert_problem(&verify(&world, &token).await, 401, "invalid_token");
    assert_eq!(reset(&world, &token, NEW_PASSWORD).await.status, 204);
    let again = reset(&world, &token, NEW_PASSWORD).await;
    assert_problem(&again, 401, "invalid_token");
    for none in ["", "x", &"0".repeat(64), &"f".repeat(10_000)] {
        let refused = reset(&world, none, NEW_PASSWORD).await;
        assert_problem(&refused, 401, "invalid_token");
    }
}

async fn an_expired_token_does_nothing(on: Backend) {
    let world = World::start(on).await;
    let (jane, token) = forgetful(&world).await;
    let expire = "UPDATE one_time_tokens SET expires_at = issued_at";
    world.execute(expire).await;
    let late = reset(&world, &token, NEW_PASSWORD).await;
    assert_problem(&late, 401, "invalid_token");
    assert_eq!(log_in(&world, &jane.email, PASSWORD).await.status, 200);
}

async fn a_weak_new_password_leaves_the_token_good(on: Backend) {
    let world = World::start(on).await;
    let (_, token) = forgetful(&world).await;
    let weak = reset(&world, &token, "weak").await;
    assert_problem(&weak, 400, "validation_failed");
    assert_eq!(weak.json()["errors"][0]["pointer"], "/new_password");
    let empty = world.auth.post("/auth/password/reset", &json!({})).await;
    assert_problem(&empty, 400, "validation_failed");
    assert_eq!(empty.json()["errors"].as_array().unwrap().len(), 2);
    assert_eq!(reset(&world, &token, NEW_PASSWORD).await.status, 204);
}

async fn known_and_unknown_addresses_are_answered_alike_and_cost_the_same_row(on: Backend) {
    let world = World::start(on).await;
    let jane = world.customer("jane").await;
    let rows = "SELECT count(*) FROM one_time_tokens";
    let mut answers = Vec::new();
    for (count, email) in [
        (1, jane.email.as_str()),
        (2, "nobody@example.com"),
        (3, "no address"),
    ] {
        let answer = forgot(&world, email).await;
        let mut names: Vec<_> = answer.headers.keys().cloned().collect();
        names.sort_by(|a, b| a.as_str().cmp(b.as_str()));
        answers.push((answer.status, answer.text(), names));
        assert_eq!(world.count(rows).await, count);
    }
    assert!(answers.iter().all(|one| *one == answers[0]), "{answers:?}");
    for body in [json!({}), json!({ "email": 7 })] {
        let refused = world.auth.post("/auth/password/forgot", &body).await;
        assert_problem(&refused, 400, "validation_failed");
    }
}

async fn a_second_request_within_a_minute_sends_no_second_mail(on: Backend) {
    let world = World::start(on).await;
    let (jane, _) = forgetful(&world).await;
    assert_eq!(forgot(&world, &jane.email).await.status, 202);
    let nobodys = "SELECT count(*) FROM one_time_tokens WHERE user_id IS NULL";
    assert_eq!(world.count(nobodys).await, 1);
    // A minute later there is another one.
    let age = match on {
        Backend::Servers => "issued_at - interval '61 seconds'",
        Backend::Embedded => "issued_at - 61000000",
    };
    let age = format!("UPDATE one_time_tokens SET issued_at = {age}");
    world.execute(&age).await;
    assert_eq!(forgot(&world, &jane.email).await.status, 202);
    wait_until("a second mail", SOON, || async {
        tokens(&world, &jane.email, RESET).await.len() == 2
    })
    .await;
}

async fn the_token_lies_nowhere_but_in_the_mail(on: Backend) {
    let world = World::start_with(on, |setup| {
        let page = "https://shop.example/reset".to_owned();
        setup.extra.push(("PASSWORD_RESET_URL", page));
    })
    .await;
    let (jane, token) = forgetful(&world).await;
    let mails = world.mails().await;
    let link = format!("https://shop.example/reset?token={token}");
    assert!(mails[0].text.contains(&link), "{}", mails[0].text);

    world.wait_notified(&jane, 1, "sent").await;
    let listed = world.notifications(&jane).await;
    assert_eq!(listed[0]["type"], "password_reset");
    assert_eq!(listed[0]["order_id"], Value::Null);
    let path = format!("/notifications/{}", listed[0]["id"].as_str().unwrap());
    let stored = world.notify.with_token(&jane.access).get(&path).await;
    let stored = stored.text();
    assert!(stored.contains("token=********"), "{stored}");
    assert!(!stored.contains(&token), "{stored}");

    for text in [
        format!("notifications WHERE body LIKE '%{token}%' OR body_text LIKE '%{token}%'"),
        match on {
            Backend::Servers => format!("user_outbox WHERE payload LIKE '%{token}%'"),
            Backend::Embedded => format!("order_outbox WHERE payload LIKE '%{token}%'"),
        },
    ] {
        let found = world.count(&format!("SELECT count(*) FROM {text}")).await;
        assert_eq!(found, 0, "{text}");
    }
    assert_eq!(reset(&world, &token, NEW_PASSWORD).await.status, 204);
    for service in [AUTH, NOTIFY] {
        assert!(!world.log(service).contains(&token));
    }
}

fn with_verification(setup: &mut shopflow_testkit::Setup) {
    setup.extra.push(("EMAIL_VERIFICATION", "true".into()));
}

fn requiring_it(setup: &mut shopflow_testkit::Setup) {
    with_verification(setup);
    setup.extra.push(("REQUIRE_VERIFIED_EMAIL", "true".into()));
}

async fn who_registers_verifies_the_address_by_mail(on: Backend) {
    let world = World::start_with(on, with_verification).await;
    let jane = world.customer("jane").await;
    let token = mailed(&world, &jane.email, VERIFY).await;
    let open = "SELECT count(*) FROM users
        WHERE email = 'jane@example.com' AND email_verified_at IS NULL";
    assert_eq!(world.count(open).await, 1);
    let wrong = reset(&world, &token, NEW_PASSWORD).await;
    assert_problem(&wrong, 401, "invalid_token");
    assert_eq!(verify(&world, &token).await.status, 204);
    assert_eq!(world.count(open).await, 0);
    assert_problem(&verify(&world, &token).await, 401, "invalid_token");
    // The session goes on.
    let own = world.auth.with_token(&jane.access);
    let valid = own.post("/auth/validate", &Value::Null).await;
    assert_eq!(valid.status, 200);
}

async fn where_it_is_required_only_verified_addresses_log_in(on: Backend) {
    let world = World::start_with(on, requiring_it).await;
    register(&world, "jane@example.com").await;
    let first = mailed(&world, "jane@example.com", VERIFY).await;
    let refused = log_in(&world, "jane@example.com", PASSWORD).await;
    assert_problem(&refused, 403, "email_not_verified");
    let wrong = log_in(&world, "jane@example.com", NEW_PASSWORD).await;
    assert_problem(&wrong, 401, "invalid_credentials");

    // The mail was lost: another one can be had, a minute later, and both tokens work.
    let age = match on {
        Backend::Servers => "issued_at - interval '61 seconds'",
        Backend::Embedded => "issued_at - 61000000",
    };
    let age = format!("UPDATE one_time_tokens SET issued_at = {age}");
    world.execute(&age).await;
    let body = json!({ "email": "jane@example.com" });
    let again = world.auth.post("/auth/email/resend", &body).await;
    assert_eq!((again.status, again.text()), (202, String::new()));
    wait_until("a second mail", SOON, || async {
        let tokens = tokens(&world, "jane@example.com", VERIFY).await;
        tokens.len() == 2 && tokens[1] != first
    })
    .await;
    assert_eq!(verify(&world, &first).await.status, 204);
    let let_in = log_in(&world, "jane@example.com", PASSWORD).await;
    assert_eq!(let_in.status, 200, "{}", let_in.text());
    // An admin made at the command line is vouched for.
    world.admin().await;
}

async fn only_services_are_told_a_token(on: Backend) {
    let world = World::start(on).await;
    let (jane, token) = forgetful(&world).await;
    let admin = world.admin().await;
    let notify = world.service_token("notification-service");
    let unknown = "/auth/one-time-tokens/01890000-0000-7000-8000-000000000000";
    for (path, bearer, status) in [
        (unknown, &jane.access, 403),
        (unknown, &admin.access, 403),
        (unknown, &notify, 404),
        ("/auth/one-time-tokens/x", &notify, 404),
    ] {
        let answer = world.auth.with_token(bearer).get(path).await;
        assert_eq!(answer.status, status, "{}", answer.text());
    }
    assert_eq!(world.auth.get(unknown).await.status, 401);
    assert_eq!(reset(&world, &token, NEW_PASSWORD).await.status, 204);
}

async fn without_a_broker_nobody_is_mailed_and_nobody_is_verified() {
    let mut world = World::prepare(Backend::Servers, |setup| {
        requiring_it(setup);
        setup.extra.push(("RABBITMQ_URL", String::new()));
    })
    .await;
    world.launch(AUTH);
    world.wait_ready(AUTH).await;
    register(&world, "jane@example.com").await;
    assert_eq!(world.count("SELECT count(*) FROM user_outbox").await, 0);
    let refused = log_in(&world, "jane@example.com", PASSWORD).await;
    assert_problem(&refused, 403, "email_not_verified");
    assert!(world.log(AUTH).contains("RABBITMQ_URL is not set"));
}

async fn a_mail_that_comes_too_late_is_a_dead_letter() {
    let mut world = World::prepare(Backend::Servers, |_| ()).await;
    world.launch(AUTH);
    world.wait_ready(AUTH).await;
    let jane = world.customer("jane").await;
    assert_eq!(forgot(&world, &jane.email).await.status, 202);
    let expire = "UPDATE one_time_tokens SET expires_at = issued_at";
    world.execute(expire).await;
    world.launch_all().await;
    let letter = world.dead_letter().await;
    assert_eq!(letter.error_class, "expired");
    assert_eq!(letter.attempts, 1);
    world.wait_notified(&jane, 1, "failed").await;
    assert_eq!(world.mails().await.len(), 0);
}

async fn a_request_waits_in_the_queue_and_then_for_auth() {
    let mut world = World::start(Backend::Servers).await;
    let jane = world.customer("jane").await;
    // The event waits in the queue while nobody consumes, and then for auth.
    world.kill(NOTIFY).await;
    assert_eq!(forgot(&world, &jane.email).await.status, 202);
    wait_until("the event is in the queue", SOON, || async {
        world.bus_waiting().await == 1
    })
    .await;
    world.kill(AUTH).await;
    world.launch(NOTIFY);
    world.wait_ready(NOTIFY).await;
    world.launch(AUTH);
    world.wait_ready(AUTH).await;
    mailed(&world, &jane.email, RESET).await;
    assert_eq!(world.dead_letters().await, 0);
}
