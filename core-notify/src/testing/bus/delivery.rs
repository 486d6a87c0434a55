//! From a publisher to the handler.

use core_kernel::TraceContext;

use super::script::{Gate, Script, Step, dead, pause};
use super::{
    Fixture, bodies, created, dead_letters, event, many_created, publish, ready, settled, shipped,
};
use crate::event::MAX_EVENT_BYTES;
use crate::outcome::Outcome;
use crate::queue::WORK_QUEUES;

/// From both queues, byte for byte, in the trace of the request that caused it.
pub async fn an_event_arrives_whole(bus: Fixture) {
    let script = Script::new();
    let mut long = shipped();
    long.payload.push_str(&" ".repeat(MAX_EVENT_BYTES));
    let events = [created(), shipped(), long];
    let consumer = bus.consume(script.clone()).await;
    publish(&bus, &events).await;
    for event in events {
        let seen = script.next_of(&event).await;
        assert_eq!(
            (seen.attempt, seen.again, seen.revive),
            (1, false, true),
            "{seen:?}"
        );
        assert_eq!(*seen.context.request_id, event.event_id.to_string());
        let trace = seen.context.trace;
        let cause = TraceContext::parse(&event.traceparent, None).expect("a trace");
        assert_eq!(trace.trace_id(), cause.trace_id());
        assert_ne!(trace.traceparent(), event.traceparent, "a span of its own");
        assert_eq!(trace.tracestate(), event.tracestate.as_deref());
    }
    consumer.stop().await;
}

/// The answer is per event, whatever its place.
pub async fn an_event_that_no_queue_takes_is_refused_and_the_others_arrive(bus: Fixture) {
    let script = Script::new();
    let consumer = bus.consume(script.clone()).await;
    let nobodys = || event("OrderForgotten", "order.forgotten");
    let batch = [nobodys(), created(), nobodys(), created(), nobodys()];
    let published = ready(bus.publisher()).await.publish(&batch).await;
    let published = published.expect("the bus takes events");
    assert_eq!(published, [false, true, false, true, false]);
    let wanted = [batch[1].payload.clone(), batch[3].payload.clone()];
    assert_eq!(script.next_bodies(2).await, wanted);
    pause().await;
    assert!(script.rest().is_empty(), "nobody's event came to somebody");
    consumer.stop().await;
}

/// To that queue and to no other.
pub async fn an_event_for_a_queue_by_its_name_arrives_whole_and_once(bus: Fixture) {
    let script = Script::new();
    let events = WORK_QUEUES.map(|queue| event("NotificationResendRequested", queue.name));
    for event in &events {
        script.plan(event, [dead("to tell its queue")]);
    }
    let nobodys = event("NotificationResendRequested", "nobodys.queue");
    let batch = [&events[..], &[nobodys]].concat();
    let consumer = bus.consume(script.clone()).await;
    let published = ready(bus.queues()).await.publish(&batch).await;
    let published = published.expect("the bus takes events");
    assert_eq!(published, [true, true, true, false]);
    for event in &events {
        let seen = script.next_of(event).await;
        assert_eq!((seen.attempt, seen.revive), (1, true));
        assert_eq!(*seen.context.request_id, event.event_id.to_string());
    }
    pause().await;
    consumer.stop().await;
    assert!(script.rest().is_empty());
    let letters = dead_letters(&bus).await;
    for (event, queue) in events.iter().zip(WORK_QUEUES) {
        let id = event.event_id.to_string();
        let letter = letters.iter().find(|letter| letter.message_id == id);
        assert_eq!(letter.expect("a letter").queue, queue.name);
    }
}

/// Within a batch, and batch after batch.
pub async fn events_arrive_in_the_order_of_publishing(bus: Fixture) {
    let script = Script::new();
    let consumer = bus.consume(script.clone()).await;
    let events = many_created(60);
    for batch in [&events[..50], &events[50..55], &events[55..]] {
        publish(&bus, batch).await;
    }
    assert_eq!(script.next_bodies(60).await, bodies(&events));
    consumer.stop().await;
}

/// The notification service may start long after the order service.
pub async fn what_was_published_before_anybody_consumed_arrives_in_order(bus: Fixture) {
    let events = many_created(25);
    publish(&bus, &events).await;
    let script = Script::new();
    let consumer = bus.consume(script.clone()).await;
    assert_eq!(script.next_bodies(25).await, bodies(&events));
    consumer.stop().await;
}

/// A bus that took the id for known would lose it: an event that was given up may be published once
/// more, and is then a new delivery.
pub async fn an_event_that_is_published_again_arrives_again(bus: Fixture) {
    let script = Script::new();
    let event = created();
    script.plan(&event, [dead("no such number")]);
    let consumer = bus.consume(script.clone()).await;
    for _ in 0..2 {
        publish(&bus, std::slice::from_ref(&event)).await;
        let seen = script.next().await;
        assert_eq!((seen.body, seen.attempt), (event.payload.clone(), 1));
        assert!(!seen.again && seen.revive);
        pause().await;
    }
    consumer.stop().await;
}

/// Not to the same consumer, and not to the next.
pub async fn what_is_done_never_comes_again(bus: Fixture) {
    let script = Script::new();
    let events = many_created(20);
    let consumer = bus.consume(script.clone()).await;
    publish(&bus, &events).await;
    assert_eq!(script.next_bodies(20).await, bodies(&events));
    let gate = Gate::new();
    settled(&bus, &script, &gate).await;
    gate.open();
    consumer.stop().await;
    assert!(script.rest().is_empty());

    let script = Script::new();
    let consumer = bus.consume(script.clone()).await;
    let marker = created();
    publish(&bus, std::slice::from_ref(&marker)).await;
    script.next_of(&marker).await;
    pause().await;
    let (rest, done) = (script.rest(), bodies(&events));
    assert!(rest.iter().all(|body| !done.contains(body)), "{rest:?}");
    consumer.stop().await;
}

/// What is in hand does not keep others of its queue waiting, up to ten.
pub async fn a_slow_event_holds_up_nobody(bus: Fixture) {
    let script = Script::new();
    let gate = Gate::new();
    let events = many_created(30);
    for slow in &events[..9] {
        script.plan(slow, [Step::Behind(gate.clone(), Outcome::Done)]);
    }
    let consumer = bus.consume(script.clone()).await;
    publish(&bus, &events).await;
    assert_eq!(script.next_bodies(30).await, bodies(&events));
    gate.open();
    consumer.stop().await;
    assert_eq!(script.answered(), 30);
}

/// The bound of the PRD (§10.3): more is load that providers and database are not sized for.
pub async fn at_most_ten_of_a_queue_are_in_hand_at_once(bus: Fixture) {
    let script = Script::new();
    let gate = Gate::new();
    let events = many_created(30);
    for event in &events {
        script.plan(event, [Step::Behind(gate.clone(), Outcome::Done)]);
    }
    let consumer = bus.consume(script.clone()).await;
    publish(&bus, &events).await;
    script.next_bodies(10).await;
    pause().await;
    assert!(script.rest().is_empty(), "the eleventh came");
    gate.open();
    script.next_bodies(20).await;
    consumer.stop().await;
    assert_eq!((script.most_in_hand(), script.answered()), (10, 30));
}
