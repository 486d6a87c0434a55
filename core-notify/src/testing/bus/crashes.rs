//! Panics, crashes and stops.

use std::collections::HashSet;
use std::time::Duration;

use super::script::{Gate, Script, Step, pause, retry};
use super::{Fixture, bodies, created, many_created, publish, settled};
use crate::outcome::Outcome;

/// It comes again as the same attempt, and the consumer goes on.
pub async fn a_panic_loses_nothing(bus: Fixture) {
    let script = Script::new();
    let event = created();
    script.plan(&event, [Step::Panic, retry(1), Step::Panic]);
    let consumer = bus.consume(script.clone()).await;
    publish(&bus, std::slice::from_ref(&event)).await;
    assert_eq!(script.next().await.attempt, 1);
    let other = created();
    publish(&bus, std::slice::from_ref(&other)).await;
    script.next_of(&other).await;
    for attempt in [1, 2, 2] {
        let seen = script.next_of(&event).await;
        assert_eq!((seen.attempt, seen.again), (attempt, true));
    }
    consumer.stop().await;
}

/// What was in hand comes to the next consumer, which is told so; what was settled does not.
pub async fn a_crash_gives_back_what_was_in_hand_and_nothing_that_was_settled(bus: Fixture) {
    let script = Script::new();
    // So many in hand that there is room for none that is not settled.
    let (settled, in_hand) = (many_created(20), many_created(10));
    for event in &in_hand {
        script.plan(event, [Step::Hang]);
    }
    let consumer = bus.consume(script.clone()).await;
    publish(&bus, &settled).await;
    publish(&bus, &in_hand).await;
    script.next_bodies(30).await;
    consumer.crash().await;

    let script = Script::new();
    let consumer = bus.consume(script.clone()).await;
    for event in &in_hand {
        let seen = script.next_of(event).await;
        assert_eq!((seen.attempt, seen.again), (1, true), "{seen:?}");
    }
    pause().await;
    let settled: HashSet<_> = bodies(&settled).into_iter().collect();
    let rest = script.rest();
    assert!(rest.iter().all(|body| !settled.contains(body)), "{rest:?}");
    consumer.stop().await;
}

/// Only failures count.
pub async fn a_crash_costs_no_attempt_and_forgets_none(bus: Fixture) {
    let event = created();
    publish(&bus, std::slice::from_ref(&event)).await;
    let script = Script::new();
    script.plan(&event, [retry(1), Step::Hang]);
    let mut consumer = bus.consume(script.clone()).await;
    assert_eq!(script.next().await.attempt, 1);
    assert_eq!(script.next().await.attempt, 2);
    for _ in 0..2 {
        consumer.crash().await;
        let script = Script::new();
        script.plan(&event, [Step::Hang]);
        consumer = bus.consume(script.clone()).await;
        let seen = script.next().await;
        assert_eq!((seen.attempt, seen.again), (2, true), "{seen:?}");
    }
    consumer.crash().await;
}

/// It is kept by the bus, and not by the consumer.
pub async fn a_waiting_retry_outlives_a_crash(bus: Fixture) {
    let script = Script::new();
    let event = created();
    script.plan(&event, [retry(16)]);
    let consumer = bus.consume(script.clone()).await;
    publish(&bus, std::slice::from_ref(&event)).await;
    let first = script.next().await;
    settled(&bus, &script, &Gate::new()).await;
    consumer.crash().await;

    let script = Script::new();
    let consumer = bus.consume(script.clone()).await;
    let second = script.next_of(&event).await;
    assert_eq!((second.body, second.attempt), (first.body, 2));
    assert!(second.again && !second.revive);
    let delay = second.at.duration_since(first.at);
    assert!(delay >= Duration::from_millis(15_990), "{delay:?}");
    consumer.stop().await;
}

/// Whoever was told that an event is published need not keep it.
pub async fn what_was_confirmed_outlives_a_crash(bus: Fixture) {
    let script = Script::new();
    let events = many_created(30);
    for event in &events {
        script.plan(event, [Step::Hang]);
    }
    let consumer = bus.consume(script.clone()).await;
    publish(&bus, &events).await;
    consumer.crash().await;

    let script = Script::new();
    let consumer = bus.consume(script.clone()).await;
    for event in &events {
        assert_eq!(script.next_of(event).await.attempt, 1);
    }
    consumer.stop().await;
}

/// And settles it, so that the next consumer does not get it.
pub async fn a_stop_finishes_what_is_in_hand(bus: Fixture) {
    let script = Script::new();
    let gate = Gate::new();
    let events = many_created(5);
    for event in &events {
        script.plan(event, [Step::Behind(gate.clone(), Outcome::Done)]);
    }
    let consumer = bus.consume(script.clone()).await;
    publish(&bus, &events).await;
    script.next_bodies(5).await;
    gate.open_after(Duration::from_secs(1));
    consumer.stop().await;
    assert_eq!(script.answered(), 5);

    let script = Script::new();
    let consumer = bus.consume(script.clone()).await;
    pause().await;
    assert!(script.rest().is_empty());
    consumer.stop().await;
}

/// Nothing is taken any more, and nothing is lost.
pub async fn what_is_published_after_a_stop_is_left_to_the_next(bus: Fixture) {
    let stopped = Script::new();
    let consumer = bus.consume(stopped.clone()).await;
    consumer.stop().await;
    let events = many_created(5);
    publish(&bus, &events).await;
    pause().await;
    assert!(stopped.rest().is_empty());

    let script = Script::new();
    let consumer = bus.consume(script.clone()).await;
    assert_eq!(script.next_bodies(5).await, bodies(&events));
    consumer.stop().await;
    assert!(stopped.rest().is_empty());
}
