//! What comes again: retries, holds and waits.

use std::time::Duration;

use super::script::{Script, Seen, Step, pause, retry, wait};
use super::{Fixture, bodies, created, many_created, publish, publish_by, ready};
use crate::outcome::Outcome;
use crate::retry::delay_after;

/// A bus may count time in milliseconds and cut off the rest.
const ROUNDING: Duration = Duration::from_millis(10);

/// Longer is no delay but a fault.
const LATE: Duration = Duration::from_secs(60);

/// What is put back by the bus itself: it may have been worked on, and nobody asked for more.
#[track_caller]
fn assert_put_back(seen: &Seen, attempt: u32) {
    assert_eq!(
        (seen.attempt, seen.again, seen.revive),
        (attempt, true, false),
        "{seen:?}"
    );
}

#[track_caller]
fn assert_delayed(later: &Seen, earlier: &Seen, wanted: Duration) {
    let delay = later.after(earlier);
    assert!(delay + ROUNDING >= wanted, "{delay:?} is too early");
    assert!(delay < wanted + LATE, "{delay:?} is too late");
}

/// The same bytes, request and trace, one attempt on.
pub async fn a_retry_comes_whole_as_the_next_attempt_and_not_before_its_time(bus: Fixture) {
    let script = Script::new();
    let event = created();
    script.plan(&event, [retry(1)]);
    let consumer = bus.consume(script.clone()).await;
    publish(&bus, std::slice::from_ref(&event)).await;
    let (first, second) = (script.next().await, script.next().await);
    assert_eq!(first.attempt, 1);
    assert_put_back(&second, 2);
    assert_delayed(&second, &first, Duration::from_secs(1));
    assert_eq!(second.body, event.payload);
    assert_eq!(second.context.request_id, first.context.request_id);
    let (before, after) = (first.context.trace, second.context.trace);
    assert_eq!(before.trace_id(), after.trace_id());
    assert_eq!(before.tracestate(), after.tracestate());
    pause().await;
    assert!(script.rest().is_empty(), "it was done");
    consumer.stop().await;
}

/// By the delays of the delivery rules, as the notifier asks for them.
pub async fn attempts_are_counted_over_several_retries(bus: Fixture) {
    let script = Script::new();
    let event = created();
    let delays: Vec<_> = (1..=2).filter_map(delay_after).collect();
    let steps = delays.iter().map(|delay| retry(delay.as_secs()));
    script.plan(&event, steps);
    let consumer = bus.consume(script.clone()).await;
    publish(&bus, std::slice::from_ref(&event)).await;
    let mut last = script.next().await;
    for (delay, attempt) in delays.into_iter().zip(2..) {
        let next = script.next().await;
        assert_put_back(&next, attempt);
        assert_delayed(&next, &last, delay);
        last = next;
    }
    consumer.stop().await;
}

/// However many wait, a fresh event passes through at once; and all that waited come.
pub async fn thirty_waiting_retries_hold_up_nobody(bus: Fixture) {
    let script = Script::new();
    let waiting = many_created(30);
    for event in &waiting {
        script.plan(event, [retry(16)]);
    }
    let publisher = ready(bus.publisher()).await;
    let consumer = bus.consume(script.clone()).await;
    publish_by(&*publisher, &waiting).await;
    assert_eq!(script.next_bodies(30).await, bodies(&waiting));
    let fresh = created();
    publish_by(&*publisher, std::slice::from_ref(&fresh)).await;
    assert_eq!(script.next().await.body, fresh.payload);
    for event in &waiting {
        assert_put_back(&script.next_of(event).await, 2);
    }
    consumer.stop().await;
    assert!(script.rest().is_empty());
}

/// Each waits for its own time, and not for those who began to wait before.
pub async fn a_short_retry_overtakes_a_long_one(bus: Fixture) {
    let script = Script::new();
    let events = many_created(2);
    script.plan(&events[0], [retry(16)]);
    script.plan(&events[1], [retry(1)]);
    let consumer = bus.consume(script.clone()).await;
    publish(&bus, &events).await;
    assert_eq!(script.next_bodies(2).await, bodies(&events));
    assert_eq!(script.next().await.body, events[1].payload);
    assert_eq!(script.next().await.body, events[0].payload);
    consumer.stop().await;
}

/// A hold uses up no attempt, neither of the first nor of a later one.
pub async fn a_held_event_comes_again_soon_as_the_same_attempt(bus: Fixture) {
    let script = Script::new();
    let event = created();
    let held = || Step::Answer(Outcome::Held);
    script.plan(&event, [held(), retry(1), held()]);
    let consumer = bus.consume(script.clone()).await;
    publish(&bus, std::slice::from_ref(&event)).await;
    let mut last = script.next().await;
    assert_eq!(last.attempt, 1);
    for attempt in [1, 2, 2] {
        let next = script.next().await;
        assert_put_back(&next, attempt);
        // About a second: soon, and not so soon that it spins.
        assert_delayed(&next, &last, Duration::from_millis(500));
        last = next;
    }
    consumer.stop().await;
}

/// A neighbour's outage uses up no attempt either.
pub async fn an_event_that_waits_is_tried_again_as_the_same_attempt_and_holds_up_nobody(
    bus: Fixture,
) {
    let script = Script::new();
    let waiting = many_created(5);
    for event in &waiting {
        script.plan(event, [wait(), wait(), retry(1), wait()]);
    }
    let consumer = bus.consume(script.clone()).await;
    publish(&bus, &waiting).await;
    let mut firsts = Vec::new();
    for event in &waiting {
        firsts.push(script.next_of(event).await);
    }
    let others = many_created(20);
    publish(&bus, &others).await;
    for other in &others {
        assert_eq!(script.next_of(other).await.attempt, 1);
    }
    for (event, mut last) in waiting.iter().zip(firsts) {
        for attempt in [1, 1, 2, 2] {
            let next = script.next_of(event).await;
            assert_put_back(&next, attempt);
            assert_delayed(&next, &last, Duration::from_millis(100));
            last = next;
        }
    }
    consumer.stop().await;
}

/// A stop does not wait for a neighbour. What waited is the next consumer's, as the same attempt.
pub async fn an_event_that_waits_is_given_back_by_a_stop(bus: Fixture) {
    let script = Script::new();
    let event = created();
    script.plan(
        &event,
        std::iter::once(retry(1)).chain((0..100).map(|_| wait())),
    );
    let consumer = bus.consume(script.clone()).await;
    publish(&bus, std::slice::from_ref(&event)).await;
    assert_eq!(script.next().await.attempt, 1);
    assert_eq!(script.next().await.attempt, 2);
    consumer.stop().await;

    let script = Script::new();
    let consumer = bus.consume(script.clone()).await;
    assert_put_back(&script.next_of(&event).await, 2);
    consumer.stop().await;
}
