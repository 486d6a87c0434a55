//! `shopflow orders explain`.

use serde_json::Value;
use shopflow_testkit::{Channel, Fault, wait_until};

use super::{broker, told, told_with};
use crate::world::{Backend, SOON, World};

back_ends! {
    both:
        an_order_is_explained_from_its_placing_to_its_mails,
        an_order_whose_event_waits_is_waiting_for_it,
        a_mail_that_failed_and_has_no_dead_letter_is_waiting_for_nobody,
        an_order_whose_event_was_given_up_is_waiting_for_its_replay,
        an_order_whose_event_was_discarded_is_not_said_to_be_on_its_way,
        an_order_that_is_unknown_cannot_be_explained;
    servers:
        what_cannot_be_read_is_named_and_the_rest_is_told,
        that_orders_is_away_is_named_and_the_rest_is_told,
        where_nothing_is_known_the_exit_code_is_one,
        dead_letters_that_cannot_be_read_are_named;
}

async fn explained(world: &World, id: &str) -> Value {
    let args = ["orders", "explain", id, "--output", "json"];
    told_with(world, &args, &broker(world)).await.json()
}

async fn an_order_is_explained_from_its_placing_to_its_mails(on: Backend) {
    let world = World::start(on).await;
    let jane = world.customer("jane").await;
    let order = world.place(&jane).await;
    let id = order["id"].as_str().unwrap();
    world.wait_notified(&jane, 2, "sent").await;
    world.published().await;
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
    world.published().await;
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

async fn a_mail_that_failed_and_has_no_dead_letter_is_waiting_for_nobody(on: Backend) {
    let world = World::start(on).await;
    let jane = world.customer("jane").await;
    let order = world.place(&jane).await;
    world.wait_notified(&jane, 2, "sent").await;
    world.published().await;
    world
        .execute(
            "UPDATE notifications SET status = 'failed', sent_at = NULL WHERE channel = 'email'",
        )
        .await;
    let id = order["id"].as_str().unwrap();
    let explained = explained(&world, id).await;
    let sentence = "Nothing is on its way: email order_created failed for good, \
                    and there is no dead letter of it to replay.";
    assert_eq!(explained["waiting_for"], sentence);
    if on == Backend::Embedded {
        return;
    }
    // Without the broker nobody knows whether there is one.
    let args = ["orders", "explain", id, "--output", "json"];
    let explained = told(&world, &args).await.json();
    let sentence = "It is waiting for an operator: email order_created failed for good; \
                    once the cause is mended, replay its dead letter, if there is one.";
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
    world.published().await;
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

async fn an_order_whose_event_was_discarded_is_not_said_to_be_on_its_way(on: Backend) {
    let world = World::start(on).await;
    let jane = world.customer_with("jane", None).await;
    world
        .fail(Channel::Email, Fault::Refuse, Some(1), None)
        .await;
    let order = world.place(&jane).await;
    wait_until("the dead letter is there", SOON, async || {
        world.dead_letters().await == 1
    })
    .await;
    world.published().await;
    let purge = ["dlq", "purge", "--yes"];
    let purged = told_with(&world, &purge, &broker(&world)).await;
    assert_eq!(purged.code, Some(0), "{}", purged.output);
    world.execute("DELETE FROM notifications").await;
    let explained = explained(&world, order["id"].as_str().unwrap()).await;
    let sentence = "Nothing is on its way: OrderCreated was discarded as a dead letter.";
    assert_eq!(explained["waiting_for"], sentence);
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
    world.published().await;
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

async fn that_orders_is_away_is_named_and_the_rest_is_told() {
    let world = World::start(Backend::Servers).await;
    let jane = world.customer("jane").await;
    let order = world.place(&jane).await;
    let id = order["id"].as_str().unwrap();
    world.wait_notified(&jane, 2, "sent").await;
    world.published().await;
    let away = "postgres://nobody:s3cret@127.0.0.1:9/none";
    let own = world.setup.database_url.as_str();
    let env = [
        ("DATABASE_URL", away),
        ("AUTH_DATABASE_URL", own),
        ("NOTIFY_DATABASE_URL", own),
        ("RABBITMQ_URL", &world.setup.rabbitmq_url),
    ];
    let args = ["orders", "explain", id, "--output", "json"];
    let (code, output) = world.run(&args, &env).await;
    assert_eq!(code, Some(0), "{output}");
    let explained: Value = output.parse().unwrap();
    let missing = explained["missing"].as_array().unwrap();
    assert_eq!(missing.len(), 1, "{explained}");
    assert_eq!(missing[0]["service"], "orders");
    assert!(!output.contains("s3cret"), "{output}");
    // Whose it is, notify tells as well.
    let whose = (&explained["status"], &explained["user_id"]);
    assert_eq!(whose, (&Value::Null, &Value::from(&*jane.id)));
    let timeline = explained["timeline"].as_array().unwrap();
    let services = timeline.iter().map(|one| one["service"].as_str().unwrap());
    assert_eq!(services.collect::<Vec<_>>(), ["notify"; 4]);
    let sentence = "Notify has nothing on its way; \
                    what else it is waiting for, orders does not tell.";
    assert_eq!(explained["waiting_for"], sentence);
}

async fn where_nothing_is_known_the_exit_code_is_one() {
    let world = World::start(Backend::Servers).await;
    let away = [("DATABASE_URL", "postgres://127.0.0.1:9/none")];
    let id = "b2c3d4e5-f6a7-8901-bcde-f12345678901";
    let (code, output) = world.run(&["orders", "explain", id], &away).await;
    assert_eq!(code, Some(1), "{output}");
    let sentence = "What it is waiting for, neither orders nor notify tells.\n";
    assert!(output.contains(sentence), "{output}");
    assert!(
        output.contains("error: nothing is known of it\n"),
        "{output}"
    );
}

async fn dead_letters_that_cannot_be_read_are_named() {
    let world = World::start(Backend::Servers).await;
    let jane = world.customer("jane").await;
    let order = world.place(&jane).await;
    let id = order["id"].as_str().unwrap();
    world.wait_notified(&jane, 2, "sent").await;
    world.published().await;
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
