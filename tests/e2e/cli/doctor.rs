//! `shopflow doctor`.

mod folder;

use std::time::{Duration, Instant};

use serde_json::Value;
use shopflow_testkit::{Reply, Service, wait_for};

use super::{Told, environment};
use crate::world::{AUTH, Backend, NOTIFY, ORDERS, SOON, World};

back_ends! {
    servers:
        a_service_that_has_all_it_needs_is_healthy,
        a_wrong_setting_hides_nothing_else,
        what_is_away_or_silent_is_told_in_time_and_no_secret_with_it,
        an_auth_that_is_silent_is_waited_for_once,
        a_queue_with_other_arguments_is_named_and_nothing_is_declared,
        tables_are_compared_with_the_scripts_of_the_program,
        a_token_that_auth_refuses_is_told,
        credentials_that_a_provider_refuses_are_told_and_nothing_is_sent,
        a_weak_secret_is_a_warning;
}

/// Examines a service by its own environment, with some of it changed.
async fn examined(world: &World, service: Service, changed: &[(&'static str, &str)]) -> Told {
    let env = environment(world, service, changed);
    let env: Vec<(&str, &str)> = env.iter().map(|(name, value)| (*name, &**value)).collect();
    let args = ["doctor", service.name(), "--output", "json"];
    let (code, output) = world.run(&args, &env).await;
    Told { code, output }
}

/// The same of a service that is healthy, once it is found so: on a busy machine what it needs may be too
/// slow for a moment.
async fn found_healthy(world: &World, service: Service, changed: &[(&'static str, &str)]) -> Told {
    wait_for("it is healthy", SOON, async || {
        let told = examined(world, service, changed).await;
        (told.code == Some(0)).then_some(told)
    })
    .await
}

/// The JSON document of an examination, whatever it found. What is told beside it goes to standard error.
#[track_caller]
fn document(told: &Told) -> Value {
    let line = told.output.lines().find(|line| line.starts_with('{'));
    let line = line.unwrap_or_else(|| panic!("no document: {}", told.output));
    line.parse().unwrap()
}

/// What was found of a thing, as `verdict: what`.
fn of(document: &Value, name: &str) -> Vec<String> {
    let checks = document["checks"].as_array().unwrap().iter();
    let these = checks.filter(|check| check["name"] == name);
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    these
        .map(|check| format!("{}: {}", text(&check["verdict"]), text(&check["what"])))
        .collect()
}

async fn a_service_that_has_all_it_needs_is_healthy() {
    let world = World::start(Backend::Servers).await;
    for (service, names) in [
        (AUTH, &["JWT_SECRET", "outbox"][..]),
        (ORDERS, &["AUTH_SERVICE_TOKEN", "auth", "auth clock"]),
        (NOTIFY, &["ORDER_SERVICE_TOKEN", "orders", "ses", "twilio"]),
    ] {
        let found = found_healthy(&world, service, &[]).await.json();
        assert_eq!(found["service"], service.name());
        assert_eq!(found["healthy"], true);
        let ours = ["settings", "database", "database clock", "schema"];
        for name in ours.iter().chain(&["broker", "topology"]).chain(names) {
            let these = of(&found, name);
            assert!(!these.is_empty(), "{name}: {found}");
            let good = these.iter().all(|one| one.starts_with("ok: "));
            assert!(good || *name == "JWT_SECRET", "{name}: {these:?}");
        }
    }
    assert!(world.servers().ses.requests().is_empty());
    assert!(world.servers().twilio.requests().is_empty());
}

async fn a_wrong_setting_hides_nothing_else() {
    let world = World::start(Backend::Servers).await;
    let changed = [("PORT", "x"), ("AUTH_SERVICE_URL", "")];
    let told = examined(&world, ORDERS, &changed).await;
    assert_eq!(told.code, Some(1), "{}", told.output);
    let found = document(&told);
    let wrong = of(&found, "settings");
    assert!(wrong[0].starts_with("fail: AUTH_SERVICE_URL is required"));
    assert!(wrong[1].starts_with("fail: PORT must be a port number"));
    assert_eq!(of(&found, "topology").len(), 1, "{found}");
    assert!(of(&found, "database")[0].starts_with("ok: answers"));
}

async fn what_is_away_or_silent_is_told_in_time_and_no_secret_with_it() {
    let world = World::start(Backend::Servers).await;
    world.servers().ses.set_default(Reply::Hang);
    world.servers().twilio.set_default(Reply::Hang);
    let changed = [
        ("DATABASE_URL", "postgres://nobody:s3cret@127.0.0.1:9/none"),
        ("RABBITMQ_URL", "amqp://nobody:s3cret@127.0.0.1:9/%2f"),
        ("ORDER_SERVICE_URL", "http://127.0.0.1:9"),
        ("TWILIO_AUTH_TOKEN", "s3cret"),
    ];
    let begun = Instant::now();
    let told = examined(&world, NOTIFY, &changed).await;
    let took = begun.elapsed();
    assert_eq!(told.code, Some(1), "{}", told.output);
    let found = document(&told);
    for name in ["database", "broker", "orders", "ses", "twilio"] {
        assert!(of(&found, name)[0].starts_with("fail: "), "{name}: {found}");
    }
    assert_eq!(of(&found, "ses"), ["fail: no answer within 5 s"]);
    assert!(of(&found, "auth")[0].starts_with("ok: "), "{found}");
    assert!(!told.output.contains("s3cret"), "{}", told.output);
    // One after another they would take 25 s.
    assert!(took < Duration::from_secs(22), "{took:?}");
}

/// It is asked for its health, and for each of two tokens.
async fn an_auth_that_is_silent_is_waited_for_once() {
    let world = World::start(Backend::Servers).await;
    // The system takes connections for it, and nobody ever reads them.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let begun = Instant::now();
    let told = examined(&world, NOTIFY, &[("AUTH_SERVICE_URL", &url)]).await;
    let took = begun.elapsed();
    let found = document(&told);
    assert!(of(&found, "auth")[0].starts_with("fail: "), "{found}");
    assert_eq!(of(&found, "ORDER_SERVICE_TOKEN").len(), 1, "{found}");
    // Three times would take 15 s.
    assert!(took < Duration::from_secs(14), "{took:?}");
}

async fn a_queue_with_other_arguments_is_named_and_nothing_is_declared() {
    let mut world = World::start(Backend::Servers).await;
    for service in [ORDERS, NOTIFY, AUTH] {
        world.kill(service).await;
    }
    let vhost = &world.servers().vhost;
    let (other, away) = (
        "notifications.order.created.dlq",
        "notifications.order.shipped.dlq",
    );
    for name in [other, away] {
        vhost.delete_queue(name).await;
    }
    vhost.declare_queue(other, &[]).await;
    let told = examined(&world, NOTIFY, &[]).await;
    let found = of(&document(&told), "topology");
    assert_eq!(found.len(), 2, "{found:?}");
    let start = "fail: notifications.order.created.dlq is another: PRECONDITION_FAILED";
    assert!(found[0].starts_with(start), "{found:?}");
    assert!(found[0].contains("x-queue-type"), "{found:?}");
    assert_eq!(
        found[1],
        "warn: notifications.order.shipped.dlq is not there"
    );
    assert_eq!(vhost.queue_depth(away).await, None);
}

async fn tables_are_compared_with_the_scripts_of_the_program() {
    let world = World::start(Backend::Servers).await;
    let scripts = "shopflow_orders_migrations";
    let columns = "version, description, success, checksum, execution_time";
    world
        .execute(&format!(
            "INSERT INTO {scripts} ({columns}) VALUES (9999, 'newer', true, '', 0)"
        ))
        .await;
    let told = found_healthy(&world, ORDERS, &[]).await;
    let found = of(&told.json(), "schema");
    assert_eq!(found, ["warn: scripts 9999 are of a newer program"]);

    let altered = format!("UPDATE {scripts} SET checksum = '' WHERE version = 2");
    world.execute(&altered).await;
    let found = document(&examined(&world, ORDERS, &[]).await);
    let wanted = "fail: scripts 2 were applied with other contents";
    assert_eq!(of(&found, "schema"), [wanted]);

    world
        .execute(&format!("DELETE FROM {scripts} WHERE version IN (1, 2)"))
        .await;
    let found = document(&examined(&world, ORDERS, &[]).await);
    assert_eq!(
        of(&found, "schema"),
        ["fail: scripts 1, 2 are not applied yet"]
    );

    world.execute(&format!("DROP TABLE {scripts}")).await;
    let found = document(&examined(&world, ORDERS, &[]).await);
    assert_eq!(
        of(&found, "schema"),
        ["fail: there are no tables of orders"]
    );
}

async fn a_token_that_auth_refuses_is_told() {
    let world = World::start(Backend::Servers).await;
    let args = ["token", "service", "--subject", "order-service"];
    let secret = [("JWT_SECRET", "another secret than that of auth, as long")];
    let (_, token) = world.run(&args, &secret).await;
    let token = token.trim();
    let told = examined(&world, ORDERS, &[("AUTH_SERVICE_TOKEN", token)]).await;
    assert_eq!(told.code, Some(1), "{}", told.output);
    let found = of(&document(&told), "AUTH_SERVICE_TOKEN");
    assert_eq!(found[1], "fail: auth refuses it");
    assert!(!told.output.contains(token), "{}", told.output);
}

async fn credentials_that_a_provider_refuses_are_told_and_nothing_is_sent() {
    let world = World::start(Backend::Servers).await;
    world.servers().ses.set_default(Reply::BadCredentials);
    world.servers().twilio.set_default(Reply::BadCredentials);
    let told = examined(&world, NOTIFY, &[]).await;
    assert_eq!(told.code, Some(1), "{}", told.output);
    let found = document(&told);
    assert!(of(&found, "ses")[0].contains("UnrecognizedClientException"));
    assert_eq!(
        of(&found, "twilio"),
        ["fail: Twilio 401 20003: Authenticate"]
    );
    assert!(world.servers().ses.requests().is_empty());
    assert!(world.servers().twilio.requests().is_empty());
}

async fn a_weak_secret_is_a_warning() {
    let world = World::start(Backend::Servers).await;
    let weak = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    let told = found_healthy(&world, AUTH, &[("JWT_SECRET", weak)]).await;
    let found = of(&told.json(), "JWT_SECRET");
    assert_eq!(found, ["warn: looks as if it could be guessed"]);
    assert!(!told.output.contains(weak));
}
