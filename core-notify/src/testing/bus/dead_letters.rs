//! What is given up.

use std::time::Duration;

use core_kernel::{Clock, OutboxMessage, SystemClock};

use super::script::{Script, Step, dead, pause, retry, wait};
use super::{Fixture, created, dead_letters, publish, shipped};
use crate::dead_letter::DeadLetter;
use crate::notification::Channel;
use crate::outcome::Outcome;
use crate::queue::{Depth, WORK_QUEUES};

/// A bus may keep times to the millisecond.
const ROUNDING: Duration = Duration::from_millis(1);

/// Lets a consumer do as planned until the event was delivered `deliveries` times, stops it, and
/// looks at the one dead letter.
async fn dead_letter(
    bus: &Fixture,
    event: &OutboxMessage,
    steps: impl IntoIterator<Item = Step>,
    deliveries: usize,
) -> DeadLetter {
    let script = Script::new();
    script.plan(event, steps);
    let consumer = bus.consume(script.clone()).await;
    publish(bus, std::slice::from_ref(event)).await;
    script.next_bodies(deliveries).await;
    consumer.stop().await;
    let mut letters = dead_letters(bus).await;
    assert_eq!(letters.len(), 1, "{letters:?}");
    letters.remove(0)
}

/// Looking takes nothing out, and one queue's events are not another's.
pub async fn what_waits_and_what_was_given_up_is_counted_queue_by_queue(bus: Fixture) {
    let event = created();
    dead_letter(&bus, &event, [dead("no such number")], 1).await;
    publish(&bus, &[created(), created(), shipped()]).await;
    let depths = bus.depths();
    for _ in 0..2 {
        let mut counted = Vec::new();
        for queue in WORK_QUEUES {
            counted.push(depths.depth(queue).await.expect("an answer"));
        }
        let [created, shipped] = [(2, 1), (1, 0)].map(|(waiting, dead)| Depth { waiting, dead });
        assert_eq!(counted, [created, shipped, Depth::default()]);
    }
}

/// All that an operator needs to judge it, and to have it worked on anew.
pub async fn a_dead_event_is_kept_with_all_that_is_known(bus: Fixture) {
    let event = created();
    let step = Step::Answer(Outcome::Dead {
        class: "exhausted",
        reason: "email: Größe \u{1f4a5}; \"x\", 'y'".into(),
        channels: vec![Channel::Email, Channel::Sms],
    });
    let before = SystemClock.now() - ROUNDING;
    let letter = dead_letter(&bus, &event, [step], 1).await;
    let wanted = DeadLetter {
        queue: "notifications.order.created".into(),
        message_id: event.event_id.to_string(),
        event_type: Some("OrderCreated".into()),
        body: event.payload.into_bytes(),
        class: "exhausted".into(),
        reason: "email: Größe \u{1f4a5}; \"x\", 'y'".into(),
        attempts: 1,
        channels: vec![Channel::Email, Channel::Sms],
        ..letter.clone()
    };
    assert!(letter == wanted, "{letter:?} and not {wanted:?}");
    assert!(before <= letter.first_failed_at);
    assert!(letter.first_failed_at <= letter.failed_at);
    assert!(letter.failed_at <= SystemClock.now());
}

/// Given up is settled: it comes to nobody, and is one dead letter for ever.
pub async fn a_dead_event_is_not_delivered_again(bus: Fixture) {
    let script = Script::new();
    let event = created();
    script.plan(&event, [dead("no such number")]);
    let consumer = bus.consume(script.clone()).await;
    publish(&bus, std::slice::from_ref(&event)).await;
    script.next().await;
    pause().await;
    consumer.stop().await;
    assert!(script.rest().is_empty());

    let script = Script::new();
    let consumer = bus.consume(script.clone()).await;
    pause().await;
    assert!(script.rest().is_empty());
    consumer.stop().await;
    assert_eq!(dead_letters(&bus).await.len(), 1);
}

/// The other queue, and an event that came to no channel.
pub async fn a_dead_letter_is_told_its_queue_and_that_no_channel_failed(bus: Fixture) {
    let letter = dead_letter(&bus, &shipped(), [dead("no JSON")], 1).await;
    assert_eq!(letter.queue, "notifications.order.shipped");
    assert_eq!(letter.event_type.as_deref(), Some("OrderShipped"));
    assert_eq!(
        (letter.class.as_str(), letter.channels),
        ("refused", vec![])
    );
}

/// Characters and not bytes, so that none is cut in two.
pub async fn a_long_reason_is_cut_to_a_thousand_characters(bus: Fixture) {
    let reason = "ü€".repeat(1000);
    let letter = dead_letter(&bus, &created(), [dead(&reason)], 1).await;
    assert_eq!(letter.reason, "ü€".repeat(500));
}

/// The first of all attempts, and not the last but one.
pub async fn a_dead_letter_knows_when_its_event_first_failed(bus: Fixture) {
    let before = SystemClock.now() - ROUNDING;
    let steps = [retry(1), retry(1), dead("no such number")];
    let letter = dead_letter(&bus, &created(), steps, 3).await;
    assert_eq!(letter.attempts, 3);
    let tried_for = letter.failed_at.duration_since(letter.first_failed_at);
    assert!(
        tried_for >= jiff::SignedDuration::from_millis(1950),
        "{tried_for:?}"
    );
    assert!(before <= letter.first_failed_at);
}

/// Neither counts as an attempt, nor as the first failure.
pub async fn a_hold_and_a_wait_are_no_failure(bus: Fixture) {
    let steps = [wait(), Step::Answer(Outcome::Held), dead("no such number")];
    let letter = dead_letter(&bus, &created(), steps, 3).await;
    assert_eq!(letter.attempts, 1);
    let tried_for = letter.failed_at.duration_since(letter.first_failed_at);
    assert!(
        tried_for < jiff::SignedDuration::from_millis(500),
        "{tried_for:?}"
    );
}

/// Of both queues together.
pub async fn dead_letters_are_told_oldest_first(bus: Fixture) {
    let script = Script::new();
    let events = [shipped(), created(), shipped(), created()];
    let consumer = bus.consume(script.clone()).await;
    for event in &events {
        script.plan(event, [dead("no such number")]);
        publish(&bus, std::slice::from_ref(event)).await;
        script.next_of(event).await;
        pause().await;
    }
    consumer.stop().await;
    let letters = dead_letters(&bus).await.into_iter();
    let ids: Vec<_> = letters.map(|letter| letter.message_id).collect();
    assert_eq!(ids, events.map(|event| event.event_id.to_string()));
}
