//! `shopflow orders explain`.

use serde_json::Value;
use shopflow_testkit::{Channel, Fault, wait_until};

use super::{told, told_with};
use crate::world::{Backend, SOON, World};

back_ends! {
    both:
        an_order_is_explained_from_its_placing_to_its_mails,
        an_order_whose_event_waits_is_waiting_for_it,
        an_order_whose_mail_failed_is_waiting_for_an_operator,
        an_order_whose_event_was_given_up_is_waiting_for_its_replay,
        an_order_that_is_unknown_cannot_be_explained;
    servers:
        what_cannot_be_read_is_named_and_the_rest_is_told,
        dead_letters_that_cannot_be_read_are_named;
}

async fn explained(world: &World, id: &str) -> Value {
    let args = ["orders", "explain", id, "--output", "json"];
    told_with(world, &args, &broker(world)).await.json()
}

/// Where the dead letters are, if not in the folder.
fn broker(world: &World) -> Vec<(&str, &str)> {
    match world.backend() {
        Backend::Servers => vec![("RABBITMQ_URL", &world.setup.rabbitmq_url)],
        Backend::Embedded => Vec::new(),
    }
}

async fn an_order_is_explained_from_its_placing_to_its_mails(on: Backend) {
    let world = World::start(on).await;
    let jane = world.customer("jane").await;
    let order = world.place(&jane).await;
    let id = order["id"].as_str().unwrap();
    world.wait_notified(&jane, 2, "sent").await;
    let explained = explained(&world, id).await;
    let timeline = explained["timeline"].as_array().unwrap();
    let whats: Vec<&str> = timeline
        .iter()
        .map(|one| one["what"].as_str().unwrap())
        .collect();
    let placed = format!("placed by {}", jane.id);
    for what in [
        &*placed,
        "event OrderCreated stored in the outbox",
        "event OrderCreated published",
    ] {
        assert!(whats.contains(&what), "{what}: {whats:?}");
    }
    for channel in ["email", "sms"] {
        let start = format!("{channel} order_created attempt 1: sent");
        assert!(
            whats.iter().any(|what| what.starts_with(&start)),
            "{start}: {whats:?}"
        );
    }
    assert_eq!(explained["missing"], serde_json::json!([]));
    let sentence = "Nothing is on its way; an admin can make it confirmed.";
    assert_eq!(explained["waiting_for"], sentence);

    let text = told_with(&world, &["orders", "explain", id], &broker(&world)).await;
    let lines = text.lines();
    let customer = vec!["Customer", "jane@example.com, active, a phone"];
    assert!(lines.contains(&customer), "{}", text.output);
    assert_eq!(lines.last().unwrap(), &[sentence]);
}

async fn an_order_whose_event_waits_is_waiting_for_it(on: Backend) {
    let world = World::start(on).await;
    let jane = world.customer("jane").await;
    let order = world.place(&jane).await;
    world.wait_notified(&jane, 2, "sent").await;
    let later = match on {
        Backend::Servers => "now() + interval '1 day'",
        Backend::Embedded => "(unixepoch() + 86400) * 1000000",
    };
    let put_off = "UPDATE order_outbox SET published_at = NULL, refusals = 3, retry_at";
    world.execute(&format!("{put_off} = {later}")).await;
    let explained = explained(&world, order["id"].as_str().unwrap()).await;
    let sentence = "It is waiting for the broker to take OrderCreated, which it refused 3 times.";
    assert_eq!(explained["waiting_for"], sentence);
}

async fn an_order_whose_mail_failed_is_waiting_for_an_operator(on: Backend) {
    let world = World::start(on).await;
    let jane = world.customer("jane").await;
    let order = world.place(&jane).await;
    world.wait_notified(&jane, 2, "sent").await;
    world
        .execute(
            "UPDATE notifications SET status = 'failed', sent_at = NULL WHERE channel = 'email'",
        )
        .await;
    let explained = explained(&world, order["id"].as_str().unwrap()).await;
    let sentence = "It is waiting for an operator: email order_created failed for good; \
                    once the cause is mended, replay its dead letter.";
    assert_eq!(explained["waiting_for"], sentence);
}

async fn an_order_whose_event_was_given_up_is_waiting_for_its_replay(on: Backend) {
    let world = World::start(on).await;
    let jane = world.customer_with("jane", None).await;
    world
        .fail(Channel::Email, Fault::Refuse, Some(1), None)
        .await;
    let order = world.place(&jane).await;
    world.wait_notified(&jane, 1, "failed").await;
    wait_until("the dead letter is there", SOON, async || {
        world.dead_letters().await == 1
    })
    .await;
    let explained = explained(&world, order["id"].as_str().unwrap()).await;
    let timeline = explained["timeline"].as_array().unwrap();
    let last = timeline.last().unwrap()["what"].as_str().unwrap();
    let start = "event OrderCreated given up after 1 attempt, a dead letter: refused (email: ";
    assert!(last.starts_with(start), "{last}");
    let sentence = explained["waiting_for"].as_str().unwrap();
    assert!(
        sentence.ends_with("once the cause is mended, replay its dead letter."),
        "{sentence}"
    );

    // An event of which nothing was written down is told of by its letter alone.
    world.execute("DELETE FROM notifications").await;
    let explained = self::explained(&world, order["id"].as_str().unwrap()).await;
    let sentence = explained["waiting_for"].as_str().unwrap();
    let start = "It is waiting for an operator: OrderCreated was given up (email: ";
    assert!(sentence.starts_with(start), "{sentence}");
}

async fn an_order_that_is_unknown_cannot_be_explained(on: Backend) {
    let world = World::start(on).await;
    let id = "b2c3d4e5-f6a7-8901-bcde-f12345678901";
    let told = told(&world, &["orders", "explain", id]).await;
    let said = format!("error: no order has the id {id}\n");
    assert_eq!((told.code, told.output), (Some(3), said));
}

async fn what_cannot_be_read_is_named_and_the_rest_is_told() {
    let world = World::start(Backend::Servers).await;
    let jane = world.customer("jane").await;
    let order = world.place(&jane).await;
    let id = order["id"].as_str().unwrap();
    world.wait_notified(&jane, 2, "sent").await;
    let nowhere = "postgres://nobody:s3cret@127.0.0.1:9/none";
    let env = [("NOTIFY_DATABASE_URL", nowhere)];
    let told = told_with(&world, &["orders", "explain", id, "--output", "json"], &env).await;
    let explained = told.json();
    assert_eq!(explained["missing"][0]["service"], "notify");
    assert!(!told.output.contains("s3cret"), "{}", told.output);
    let published = |one: &Value| one["what"] == "event OrderCreated published";
    assert!(
        explained["timeline"]
            .as_array()
            .unwrap()
            .iter()
            .any(published)
    );
    let sentence = "Its events went out; what became of its mails and texts, notify does not tell.";
    assert_eq!(explained["waiting_for"], sentence);
}

async fn dead_letters_that_cannot_be_read_are_named() {
    let world = World::start(Backend::Servers).await;
    let jane = world.customer("jane").await;
    let order = world.place(&jane).await;
    let id = order["id"].as_str().unwrap();
    world.wait_notified(&jane, 2, "sent").await;
    let args = ["orders", "explain", id, "--output", "json"];
    let nowhere = "amqp://guest:s3cret@127.0.0.1:9/%2f";
    for (env, why) in [
        (&[][..], "RABBITMQ_URL is not set"),
        (&[("RABBITMQ_URL", nowhere)], "cannot be reached"),
    ] {
        let told = told_with(&world, &args, env).await;
        let missing = &told.json()["missing"];
        assert_eq!(missing[0]["service"], "dead letters");
        let error = missing[0]["error"].as_str().unwrap();
        assert!(error.contains(why), "{error}");
        assert!(!told.output.contains("s3cret"), "{}", told.output);
    }
}
