//! Of the outbox that the store fills, and of its relays.

use std::pin::pin;

use core_kernel::{Refused, RelayError, RequestContext, TraceContext, UserId};
use futures_util::future::{join, maybe_done, select};
use jiff::Timestamp;

use super::broker::{Capture, Gated, a_while};
use super::{Fixture, arrive, commit, drain, insert, one, shipped};
use crate::testing::{advance, advance_at, new_order, placed, placed_at};

/// What an order raised goes out once, in the order in which it was written.
pub async fn an_insert_and_a_change_queue_their_events_in_order(fixture: Fixture) {
    let placed = one(&fixture).await;
    let id = placed.order.id;
    let context = RequestContext::generate();
    let confirmed = advance(placed.order, "confirmed");
    fixture
        .store
        .commit(&confirmed, &context)
        .await
        .expect("a commit");
    let shipped = advance(confirmed.order, "shipped");
    fixture
        .store
        .commit(&shipped, &context)
        .await
        .expect("a commit");

    let broker = Capture::default();
    drain(&*fixture.outbox, &broker).await;
    assert_eq!(broker.types_of(id), ["OrderCreated", "OrderShipped"]);
    let taken = broker.taken.lock().expect("no test panics here").clone();
    let message = taken
        .iter()
        .find(|message| message.event_id == shipped.events[0].id())
        .expect("the event");
    assert_eq!(message.routing_key, "order.shipped");
    assert_eq!(
        Some(&message.payload),
        shipped.events[0].to_json().ok().as_ref()
    );
    assert_eq!(message.traceparent, context.trace.traceparent());

    let again = Capture::default();
    drain(&*fixture.outbox, &again).await;
    assert!(
        again.types_of(id).is_empty(),
        "an event leaves the outbox once"
    );
}

/// Whoever reads an event finds the request that caused it, in the vendors' terms as well.
pub async fn an_event_has_the_trace_of_its_request(fixture: Fixture) {
    let traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let context = RequestContext {
        trace: TraceContext::parse(traceparent, Some("vendor=1")).expect("a good trace"),
        ..RequestContext::generate()
    };
    let placed = placed(UserId::generate());
    let id = placed.order.id;
    let store = &fixture.store;
    store.insert(&placed, &context).await.expect("an insert");
    let confirmed = advance(placed.order, "confirmed");
    commit(&**store, &confirmed).await;
    let shipped = advance(confirmed.order, "shipped");
    store.commit(&shipped, &context).await.expect("a commit");

    let broker = Capture::default();
    drain(&*fixture.outbox, &broker).await;
    assert_eq!(broker.types_of(id), ["OrderCreated", "OrderShipped"]);
    let taken = broker.taken.lock().expect("no test panics here").clone();
    for message in taken.iter().filter(|message| message.subject == id.0) {
        assert_eq!(message.traceparent, traceparent);
        assert_eq!(message.tracestate.as_deref(), Some("vendor=1"));
    }
}

/// The fraction is cut off, not rounded: an event does not come from the future.
pub async fn an_event_has_the_time_of_its_history_in_whole_seconds(fixture: Fixture) {
    let new = new_order(&[(1, "9.99")]).expect("a good order");
    let at = |text: &str| text.parse::<Timestamp>().expect("a time");
    let placed = placed_at(new, UserId::generate(), at("2026-02-17T10:30:00.999999Z"));
    let id = placed.order.id;
    insert(&*fixture.store, &placed).await;
    let confirmed = advance_at(placed.order, "confirmed", at("2026-02-17T10:31:00Z"));
    commit(&*fixture.store, &confirmed).await;
    let shipped = advance_at(confirmed.order, "shipped", at("2026-02-17T10:32:00.5Z"));
    commit(&*fixture.store, &shipped).await;

    let broker = Capture::default();
    drain(&*fixture.outbox, &broker).await;
    let taken = broker.taken.lock().expect("no test panics here").clone();
    let times: Vec<i64> = taken
        .iter()
        .filter(|message| message.subject == id.0)
        .map(|message| message.occurred_at)
        .collect();
    let seconds = ["2026-02-17T10:30:00Z", "2026-02-17T10:32:00Z"].map(|text| at(text).as_second());
    assert_eq!(times, seconds);
}

/// The rest is for the next pass.
pub async fn a_pass_takes_no_more_than_its_limit(fixture: Fixture) {
    for _ in 0..3 {
        one(&fixture).await;
    }
    let broker = Capture::default();
    let pass = fixture.outbox.relay(&broker, 2).await.expect("a pass");
    assert!((1..=2).contains(&pass.published), "{pass:?}");
    drain(&*fixture.outbox, &broker).await;
    assert_eq!(broker.taken.lock().expect("no test panics here").len(), 3);
}

/// An event that was refused waits, and holds back the later ones of its order.
pub async fn an_event_that_the_broker_refused_stays(fixture: Fixture) {
    let id = shipped(&fixture).await.id;

    let refusing = Capture {
        refused: vec![id],
        ..Capture::default()
    };
    drain(&*fixture.outbox, &refusing).await;
    assert!(refusing.types_of(id).is_empty());
    let backlog = fixture.outbox.backlog().await.expect("an answer");
    assert!(backlog.waiting >= 2, "{backlog:?}");

    let taking = Capture::default();
    arrive(&fixture, &taking, id, 2).await;
    assert_eq!(taking.types_of(id), ["OrderCreated", "OrderShipped"]);
}

/// Only a yes lets an event go.
pub async fn an_event_without_an_answer_was_not_taken(fixture: Fixture) {
    let placed = one(&fixture).await;
    let silent = Capture {
        silent: true,
        ..Capture::default()
    };
    let pass = fixture.outbox.relay(&silent, 100).await.expect("a pass");
    let refused = Refused {
        event_id: placed.events[0].id(),
        times: 1,
    };
    assert_eq!((pass.published, pass.refused), (0, vec![refused]));
    let taking = Capture::default();
    arrive(&fixture, &taking, placed.order.id, 1).await;
    assert_eq!(taking.types_of(placed.order.id), ["OrderCreated"]);
}

/// A broker that is away costs nothing but time.
pub async fn nothing_leaves_the_outbox_when_the_broker_is_away(fixture: Fixture) {
    let placed = one(&fixture).await;
    let away = Capture {
        away: true,
        ..Capture::default()
    };
    let pass = fixture.outbox.relay(&away, 100).await;
    assert!(matches!(pass, Err(RelayError::Broker(_))), "{pass:?}");
    let back = Capture::default();
    drain(&*fixture.outbox, &back).await;
    assert_eq!(back.types_of(placed.order.id), ["OrderCreated"]);
}

/// While one relay has an event in hand, another takes neither that event nor a later one of its
/// order. It may pass meanwhile or wait for its turn.
pub async fn two_relays_at_once_publish_each_event_once_and_in_order(fixture: Fixture) {
    let id = shipped(&fixture).await.id;
    let broker = Capture::default();
    let gated = Gated::new(&broker);
    let closed = gated.gate.lock().await;
    let mut first = fixture.outbox.relay(&gated, 100);
    gated.has_batch_of(&mut first).await;

    let mut second = pin!(maybe_done(fixture.outbox.relay(&broker, 100)));
    select(second.as_mut(), pin!(a_while())).await;
    assert!(broker.types_of(id).is_empty(), "the first relay has it");
    drop(closed);
    let (first, ()) = join(first, second.as_mut()).await;
    assert_eq!(first.expect("a pass").published, 1);
    second.take_output().expect("done").expect("a pass");

    drain(&*fixture.outbox, &broker).await;
    assert_eq!(broker.types_of(id), ["OrderCreated", "OrderShipped"]);
}

/// A slow broker holds up nobody but the relay.
pub async fn orders_are_read_and_written_while_a_relay_publishes(fixture: Fixture) {
    let placed = one(&fixture).await;
    let broker = Capture::default();
    let gated = Gated::new(&broker);
    let closed = gated.gate.lock().await;
    let mut pass = fixture.outbox.relay(&gated, 100);
    gated.has_batch_of(&mut pass).await;

    let change = advance(placed.order, "confirmed");
    commit(&*fixture.store, &change).await;
    let id = one(&fixture).await.order.id;
    let found = fixture.store.find(id).await.expect("an answer");
    assert!(found.is_some());
    drop(closed);
    assert_eq!(pass.await.expect("a pass").published, 1);
}

/// A relay that is stopped in the middle of a pass leaves nothing claimed, though the adapter may
/// take a moment to notice.
pub async fn a_pass_that_is_dropped_gives_its_claim_back(fixture: Fixture) {
    let id = shipped(&fixture).await.id;
    let broker = Capture::default();
    let gated = Gated::new(&broker);
    let closed = gated.gate.lock().await;
    let mut pass = fixture.outbox.relay(&gated, 100);
    gated.has_batch_of(&mut pass).await;
    drop(pass);
    drop(closed);
    arrive(&fixture, &broker, id, 2).await;
    assert_eq!(broker.types_of(id), ["OrderCreated", "OrderShipped"]);
}
