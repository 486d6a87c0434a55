//! Contract §4 and §5: what becomes of events.

use std::time::Duration;

use serde_json::{Value, json};
use shopflow_testkit::{Message, Reply, SesRejection, wait_for, wait_until};

use crate::world::{SOON, World, assert_problem};

const CREATED: &str = "notifications.order.created";
const DLQ: &str = "notifications.order.created.dlq";

/// Longer than all retries together (21 s).
const RETRIES: Duration = Duration::from_secs(60);

async fn dead_letter(world: &World) -> Message {
    wait_for("a dead letter", RETRIES, || world.vhost.get(DLQ)).await
}

#[tokio::test]
async fn a_mail_that_fails_is_tried_after_1_4_and_16_seconds_and_the_text_is_sent_once() {
    let world = World::start().await;
    let jane = world.customer("jane").await;
    world
        .ses
        .script([Reply::ServerError, Reply::Throttle, Reply::ResetBefore]);
    world.place(&jane).await;
    world.wait_notified(&jane, 2, "sent").await;
    let tries = world.ses.requests();
    assert_eq!(tries.len(), 4);
    for (pair, wait) in tries.windows(2).zip([1.0, 4.0, 16.0]) {
        let waited = pair[1].at.duration_since(pair[0].at).as_secs_f64();
        assert!(
            (wait - 0.1..wait + 3.0).contains(&waited),
            "{waited} instead of {wait}"
        );
        assert_eq!(pair[0].html, pair[1].html, "a retry says the same");
    }
    assert_eq!(
        world.twilio.requests().len(),
        1,
        "a failed mail never sends the text again"
    );
    assert_eq!(world.vhost.queue_depth(DLQ).await, Some(0));
}

#[tokio::test]
async fn an_event_that_waits_holds_up_no_other() {
    let world = World::start().await;
    let (jane, joe) = (world.customer("jane").await, world.customer("joe").await);
    world.ses.set_default_for(&jane.email, Reply::ServerError);
    for _ in 0..15 {
        world.place(&jane).await;
    }
    world.place(&joe).await;
    world.wait_notified(&joe, 2, "sent").await;
    let mails = world.notifications(&jane).await;
    assert!(
        mails
            .iter()
            .all(|one| one["channel"] == "sms" || one["status"] == "queued")
    );
}

#[tokio::test]
async fn used_up_retries_end_in_a_failed_row_and_a_dead_letter_that_tells_why() {
    let world = World::start().await;
    let jane = world.customer("jane").await;
    world.twilio.set_default(Reply::ServerError);
    let order = world.place(&jane).await;
    let letter = dead_letter(&world).await;
    assert_eq!(letter.exchange, "order.events.dlx");
    assert_eq!(letter.routing_key, "order.created.failed");
    assert_eq!(letter.json()["payload"]["order_id"], order["id"]);
    assert_eq!(letter.headers["x-error-class"], "exhausted");
    assert_eq!(letter.headers["x-attempts"], 4);
    assert_eq!(letter.headers["x-failed-channels"], "sms");
    assert!(
        letter.headers["x-error-message"]
            .as_str()
            .unwrap()
            .contains("500")
    );
    let first = letter.headers["x-first-failed-at"].as_str().unwrap();
    let last = letter.headers["x-failed-at"].as_str().unwrap();
    assert!(first < last && first.ends_with('Z'), "{first} {last}");
    assert_eq!(world.twilio.requests().len(), 4);
    assert_eq!(
        world.ses.requests().len(),
        1,
        "a failed text never sends the mail again"
    );

    let all = world.notifications(&jane).await;
    let failed = all.iter().find(|one| one["status"] == "failed").unwrap();
    assert_eq!(failed["channel"], "sms");
    let path = format!("/notifications/{}", failed["id"].as_str().unwrap());
    let failed = world
        .notify
        .with_token(&jane.access)
        .get(&path)
        .await
        .json();
    assert!(
        failed["error_message"].as_str().unwrap().contains("500"),
        "{failed}"
    );

    // Replayed by hand, it sends what had failed and nothing else.
    world.twilio.set_default(Reply::Accept);
    let id = letter.message_id.as_deref();
    world
        .vhost
        .publish("", CREATED, &letter.body, id, Some("OrderCreated"), &[])
        .await;
    world.wait_notified(&jane, 2, "sent").await;
    assert_eq!(world.ses.requests().len(), 1);
}

#[tokio::test]
async fn a_refused_message_fails_at_once() {
    let world = World::start().await;
    let jane = world.customer("jane").await;
    world
        .ses
        .set_default(Reply::Reject(SesRejection::MessageRejected));
    world.place(&jane).await;
    let letter = dead_letter(&world).await;
    assert_eq!(letter.headers["x-error-class"], "refused");
    assert_eq!(letter.headers["x-attempts"], 1);
    assert_eq!(letter.headers["x-failed-channels"], "email");
    let reason = letter.headers["x-error-message"].as_str().unwrap();
    assert!(
        reason.contains("MessageRejected") && !reason.contains(&jane.email),
        "{reason}"
    );
    assert_eq!(world.ses.requests().len(), 1);
    world.wait_notified(&jane, 1, "sent").await;
    world.wait_notified(&jane, 1, "failed").await;
}

#[tokio::test]
async fn an_account_out_of_order_uses_up_no_attempt() {
    let world = World::start().await;
    let jane = world.customer("jane").await;
    world
        .ses
        .set_default(Reply::Reject(SesRejection::SendingPaused));
    world.place(&jane).await;
    wait_until("several probes", SOON, || async {
        world.ses.requests().len() >= 5
    })
    .await;
    assert_eq!(world.vhost.queue_depth(DLQ).await, Some(0));
    world.ses.set_default(Reply::Accept);
    world.wait_notified(&jane, 2, "sent").await;
    assert_eq!(world.ses.sent().len(), 1);
    assert_eq!(world.twilio.sent().len(), 1);
}

#[tokio::test]
async fn without_a_phone_there_is_no_text() {
    let world = World::start().await;
    let jane = world.customer_with("jane", None).await;
    world.place(&jane).await;
    world.wait_notified(&jane, 1, "sent").await;
    assert_eq!(world.notifications(&jane).await.len(), 1);
    assert_eq!(world.twilio.requests().len(), 0);
}

#[tokio::test]
async fn an_event_delivered_a_hundred_times_is_sent_once() {
    let world = World::start().await;
    let jane = world.customer("jane").await;
    let mut tap = world.vhost.bind_tap("order.events", "#").await;
    world.place(&jane).await;
    let event = tap.next(SOON).await.expect("an event");
    for _ in 0..100 {
        let id = event.message_id.as_deref();
        world
            .vhost
            .publish("", CREATED, &event.body, id, Some("OrderCreated"), &[])
            .await;
    }
    world.wait_notified(&jane, 2, "sent").await;
    wait_until("all deliveries are settled", SOON, || async {
        let mut left = 0;
        for queue in [CREATED, "notifications.order.created.retry.1s"] {
            left += world.vhost.queue_depth(queue).await.unwrap();
        }
        left == 0
            && world
                .notify
                .get("/metrics")
                .await
                .text()
                .contains("outcome=\"done\"} 101")
    })
    .await;
    assert_eq!((world.ses.sent().len(), world.twilio.sent().len()), (1, 1));
    assert_eq!(world.vhost.queue_depth(DLQ).await, Some(0));
}

#[tokio::test]
async fn poison_goes_to_the_dead_letters_at_once_and_the_consumer_goes_on() {
    let world = World::start().await;
    let jane = world.customer("jane").await;
    let event = |kind: &str, version: &str| {
        json!({
            "event_id": "0190a3c4-0000-7000-8000-000000000000", "event_type": kind,
            "timestamp": "2026-02-17T11:00:00.000Z", "version": version, "payload": {}
        })
        .to_string()
    };
    let poison = [
        "hello".to_owned(),
        "{}".to_owned(),
        event("OrderCreated", "1.0"),
        event("OrderCreated", "2.0"),
        event("OrderLost", "1.0"),
        format!("\"{}\"", "x".repeat(70_000)),
    ];
    for body in &poison {
        world
            .vhost
            .publish("order.events", "order.created", body, None, None, &[])
            .await;
    }
    for _ in &poison {
        let letter = dead_letter(&world).await;
        assert_eq!(letter.headers["x-error-class"], "poison");
        assert_eq!(letter.headers["x-attempts"], 1);
        assert!(
            !letter.headers["x-error-message"]
                .as_str()
                .unwrap()
                .is_empty()
        );
    }
    world.place(&jane).await;
    world.wait_notified(&jane, 2, "sent").await;
}

#[tokio::test]
async fn an_order_that_nobody_knows_is_retried_and_then_dead() {
    let world = World::start().await;
    let mut event: Value = json!({
        "event_id": "0190a3c4-0000-7000-8000-000000000000", "event_type": "OrderCreated",
        "timestamp": "2026-02-17T11:00:00.000Z", "version": "1.0",
        "payload": {
            "order_id": "00000000-0000-4000-8000-000000000000",
            "user_id": "00000000-0000-4000-8000-000000000000",
            "status": "pending", "total_amount": 1.5, "currency": "USD", "items_count": 1,
            "shipping_address": { "city": "Berlin", "state": null, "country": "DE" }
        }
    });
    event["payload"]["total_amount"] = json!(1.5);
    world
        .vhost
        .publish(
            "order.events",
            "order.created",
            event.to_string(),
            None,
            None,
            &[],
        )
        .await;
    let letter = dead_letter(&world).await;
    assert_eq!(letter.headers["x-error-class"], "exhausted");
    assert_eq!(letter.headers["x-attempts"], 4);
}

#[tokio::test]
async fn who_may_see_which_notifications() {
    let world = World::start().await;
    let (jane, joe) = (world.customer("jane").await, world.customer("joe").await);
    let admin = world.admin().await;
    let service = world.service_token("support");
    let order = world.place(&jane).await;
    world.wait_notified(&jane, 2, "sent").await;
    let get = async |token: &str, path: &str| world.notify.with_token(token).get(path).await;
    let order_id = order["id"].as_str().unwrap();
    for (query, total) in [
        (String::new(), 2),
        ("?channel=sms".into(), 1),
        ("?type=order_created&status=sent".into(), 2),
        ("?type=order_shipped".into(), 0),
        ("?status=failed".into(), 0),
        (format!("?order_id={order_id}"), 2),
    ] {
        let list = get(&jane.access, &format!("/notifications{query}"))
            .await
            .json();
        assert_eq!(list["pagination"]["total_items"], total, "{query}");
    }
    let id = world.notifications(&jane).await[0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let path = format!("/notifications/{id}");
    for token in [&jane.access, &admin.access, &service] {
        assert_eq!(get(token, &path).await.status, 200);
    }
    assert_problem(&get(&joe.access, &path).await, 404, "not_found");
    assert_problem(
        &get(&joe.access, "/notifications/no-uuid").await,
        404,
        "not_found",
    );
    assert_problem(
        &get(&joe.access, "/notifications?user_id=all").await,
        403,
        "forbidden",
    );
    assert_problem(
        &get(&service, "/notifications").await,
        400,
        "validation_failed",
    );
    let all = get(&service, "/notifications?user_id=all").await.json();
    assert_eq!(all["pagination"]["total_items"], 2);
    let faulty = "/notifications?channel=fax&order_id=x&type=%00&status=lost&limit=0";
    let answer = get(&jane.access, faulty).await;
    assert_problem(&answer, 400, "validation_failed");
    assert_eq!(answer.json()["errors"].as_array().unwrap().len(), 5);
}
