//! Contract §4 and §5: what becomes of events.

use serde_json::{Value, json};
use shopflow_testkit::Channel::{Email, Sms};
use shopflow_testkit::{Fault, wait_until};

use crate::world::{Backend, SOON, World, assert_problem};

back_ends! {
    both:
        a_mail_that_fails_is_tried_after_1_4_and_16_seconds_and_the_text_is_sent_once,
        an_event_that_waits_holds_up_no_other,
        used_up_retries_end_in_a_failed_row_and_a_dead_letter_that_tells_why,
        a_refused_message_fails_at_once,
        an_account_out_of_order_uses_up_no_attempt,
        without_a_phone_there_is_no_text,
        an_event_delivered_a_hundred_times_is_sent_once,
        poison_goes_to_the_dead_letters_at_once_and_the_consumer_goes_on,
        an_order_that_nobody_knows_is_retried_and_then_dead,
        who_may_see_which_notifications;
}

/// Part of what the embedded back end says of a provider that does not answer.
const EMBEDDED_TIMEOUT: &str = "no answer";

async fn a_mail_that_fails_is_tried_after_1_4_and_16_seconds_and_the_text_is_sent_once(
    on: Backend,
) {
    let world = World::start(on).await;
    let jane = world.customer("jane").await;
    for fault in [Fault::ServerError, Fault::Throttle, Fault::Timeout] {
        world.fail(Email, fault, Some(1), None).await;
    }
    world.place(&jane).await;
    world.wait_notified(&jane, 2, "sent").await;
    let tries = world.attempts(Email).await;
    assert_eq!(tries.len(), 4);
    for (pair, wait) in tries.windows(2).zip([1.0, 4.0, 16.0]) {
        let waited = (pair[1].at - pair[0].at).as_secs_f64();
        assert!(
            // A machine that stalls may be late, and never early.
            (wait - 0.1..wait + 12.0).contains(&waited),
            "{waited} instead of {wait}"
        );
    }
    let accepted: Vec<_> = tries.iter().map(|attempt| attempt.accepted).collect();
    assert_eq!(accepted, [false, false, false, true]);
    if on == Backend::Servers {
        for pair in world.servers().ses.requests().windows(2) {
            assert_eq!(pair[0].html, pair[1].html, "a retry says the same");
        }
    }
    assert_eq!(
        world.attempts(Sms).await.len(),
        1,
        "a failed mail never sends the text again"
    );
    assert_eq!(world.dead_letters().await, 0);
}

async fn an_event_that_waits_holds_up_no_other(on: Backend) {
    let world = World::start(on).await;
    let (jane, joe) = (world.customer("jane").await, world.customer("joe").await);
    let to_jane = Some(jane.email.as_str());
    world.fail(Email, Fault::ServerError, None, to_jane).await;
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

async fn used_up_retries_end_in_a_failed_row_and_a_dead_letter_that_tells_why(on: Backend) {
    let world = World::start(on).await;
    let jane = world.customer("jane").await;
    world.fail(Sms, Fault::ServerError, None, None).await;
    let order = world.place(&jane).await;
    let letter = world.dead_letter().await;
    if on == Backend::Servers {
        let message = letter.amqp.as_ref().unwrap();
        assert_eq!(message.exchange, "order.events.dlx");
        assert_eq!(message.routing_key, "order.created.failed");
        assert_eq!(message.headers["x-failed-channels"], "sms");
    }
    assert_eq!(letter.json()["payload"]["order_id"], order["id"]);
    assert_eq!(letter.error_class, "exhausted");
    assert_eq!(letter.attempts, 4);
    assert_eq!(letter.failed_channels, ["sms"]);
    let reason = match on {
        Backend::Servers => "500",
        Backend::Embedded => EMBEDDED_TIMEOUT,
    };
    assert!(letter.error_message.contains(reason), "{letter:?}");
    let (first, last) = (&letter.first_failed_at, &letter.failed_at);
    assert!(first < last && first.ends_with('Z'), "{first} {last}");
    assert_eq!(world.attempts(Sms).await.len(), 4);
    assert_eq!(
        world.attempts(Email).await.len(),
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
        failed["error_message"].as_str().unwrap().contains(reason),
        "{failed}"
    );

    // Replayed by hand, it sends what had failed and nothing else.
    world.heal().await;
    let id = letter.message_id.as_deref();
    world.redeliver(&letter.body, id).await;
    world.wait_notified(&jane, 2, "sent").await;
    assert_eq!(world.attempts(Email).await.len(), 1);
}

async fn a_refused_message_fails_at_once(on: Backend) {
    let world = World::start(on).await;
    let jane = world.customer("jane").await;
    world.fail(Email, Fault::Refuse, None, None).await;
    world.place(&jane).await;
    let letter = world.dead_letter().await;
    assert_eq!(letter.error_class, "refused");
    assert_eq!(letter.attempts, 1);
    assert_eq!(letter.failed_channels, ["email"]);
    let reason = &letter.error_message;
    assert!(
        !reason.is_empty() && !reason.contains(&jane.email),
        "{reason}"
    );
    if on == Backend::Servers {
        assert!(reason.contains("MessageRejected"), "{reason}");
    }
    assert_eq!(world.attempts(Email).await.len(), 1);
    world.wait_notified(&jane, 1, "sent").await;
    world.wait_notified(&jane, 1, "failed").await;
}

async fn an_account_out_of_order_uses_up_no_attempt(on: Backend) {
    let world = World::start(on).await;
    let jane = world.customer("jane").await;
    world.fail(Email, Fault::Away, None, None).await;
    world.place(&jane).await;
    wait_until("several probes", SOON, || async {
        world.attempts(Email).await.len() >= 5
    })
    .await;
    assert_eq!(world.dead_letters().await, 0);
    world.heal().await;
    world.wait_notified(&jane, 2, "sent").await;
    assert_eq!(world.mails().await.len(), 1);
    assert_eq!(world.texts().await.len(), 1);
}

async fn without_a_phone_there_is_no_text(on: Backend) {
    let world = World::start(on).await;
    let jane = world.customer_with("jane", None).await;
    world.place(&jane).await;
    world.wait_notified(&jane, 1, "sent").await;
    assert_eq!(world.notifications(&jane).await.len(), 1);
    assert_eq!(world.attempts(Sms).await.len(), 0);
}

async fn an_event_delivered_a_hundred_times_is_sent_once(on: Backend) {
    let world = World::start(on).await;
    let jane = world.customer("jane").await;
    let mut tap = world.events().await;
    world.place(&jane).await;
    let event = tap.next(SOON).await.expect("an event");
    for _ in 0..100 {
        let id = Some(event.message_id.as_str());
        world.redeliver(&event.body, id).await;
    }
    world.wait_notified(&jane, 2, "sent").await;
    wait_until("all deliveries are settled", SOON, || async {
        world.bus_waiting().await + world.bus_retrying().await == 0
            && world
                .notify
                .get("/metrics")
                .await
                .text()
                .contains("outcome=\"done\"} 101")
    })
    .await;
    let sent = (world.mails().await.len(), world.texts().await.len());
    assert_eq!(sent, (1, 1));
    assert_eq!(world.dead_letters().await, 0);
}

async fn poison_goes_to_the_dead_letters_at_once_and_the_consumer_goes_on(on: Backend) {
    let world = World::start(on).await;
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
        world.publish(body, None).await;
    }
    for _ in &poison {
        let letter = world.dead_letter().await;
        assert_eq!(letter.error_class, "poison");
        assert_eq!(letter.attempts, 1);
        assert!(!letter.error_message.is_empty());
    }
    world.place(&jane).await;
    world.wait_notified(&jane, 2, "sent").await;
}

async fn an_order_that_nobody_knows_is_retried_and_then_dead(on: Backend) {
    let world = World::start(on).await;
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
    world.publish(&event.to_string(), None).await;
    let letter = world.dead_letter().await;
    assert_eq!(letter.error_class, "exhausted");
    assert_eq!(letter.attempts, 4);
}

async fn who_may_see_which_notifications(on: Backend) {
    let world = World::start(on).await;
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
