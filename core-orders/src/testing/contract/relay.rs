//! What an outbox does with events that the broker refuses, and with those that went out long ago.

use core_kernel::{Clock, Refused, SystemClock};

use super::broker::{Capture, a_while};
use super::{Fixture, arrive, drain, one};

/// However many are refused, and though all of them are older.
pub async fn refused_events_hold_up_no_others(fixture: Fixture) {
    let mut refused = Vec::new();
    for _ in 0..5 {
        refused.push(one(&fixture).await.order.id);
    }
    let id = one(&fixture).await.order.id;
    let broker = Capture {
        refused,
        ..Capture::default()
    };
    for _ in 0..20 {
        let pass = fixture.outbox.relay(&broker, 2).await;
        pass.expect("a pass");
        if !broker.types_of(id).is_empty() {
            break;
        }
    }
    assert_eq!(broker.types_of(id), ["OrderCreated"]);
}

/// It is never given up, and whoever reads the report learns which one it is.
pub async fn a_refused_event_is_counted_and_tried_again(fixture: Fixture) {
    let placed = one(&fixture).await;
    let refusing = Capture {
        refused: vec![placed.order.id],
        ..Capture::default()
    };
    let mut seen: Vec<Refused> = Vec::new();
    for _ in 0..40 {
        let pass = fixture.outbox.relay(&refusing, 10).await;
        seen.extend(pass.expect("a pass").refused);
        if seen.len() >= 3 {
            break;
        }
        a_while().await;
    }
    let times: Vec<u32> = seen.iter().map(|refused| refused.times).collect();
    assert_eq!(times, [1, 2, 3]);
    let event = placed.events[0].id();
    assert!(seen.iter().all(|refused| refused.event_id == event));
    let taking = Capture::default();
    arrive(&fixture, &taking, placed.order.id, 1).await;
    assert_eq!(taking.types_of(placed.order.id), ["OrderCreated"]);
}

/// With what an operator wants to know of each; what is out is not among them.
pub async fn what_waits_is_told_oldest_first_with_its_refusals(fixture: Fixture) {
    let first = one(&fixture).await;
    let second = one(&fixture).await;
    let refusing = Capture {
        refused: vec![first.order.id],
        ..Capture::default()
    };
    drain(&*fixture.outbox, &refusing).await;
    let third = one(&fixture).await;
    let all = fixture.outbox.waiting(10).await.expect("an answer");
    let told: Vec<_> = all.iter().map(|event| event.event_id).collect();
    assert_eq!(told, [first.events[0].id(), third.events[0].id()]);
    assert!(!told.contains(&second.events[0].id()));
    assert_eq!(
        (all[0].subject, all[1].subject),
        (first.order.id.0, third.order.id.0)
    );
    assert_eq!(all[0].event_type, "OrderCreated");
    assert_eq!(all[0].since.as_second(), first.history.at.as_second());
    assert!(all[0].refusals >= 1);
    assert_eq!(all[1].refusals, 0);
    let one = fixture.outbox.waiting(1).await.expect("an answer");
    assert_eq!(one, all[..1]);
}

/// An operator who has mended the cause need not wait.
pub async fn what_was_put_off_goes_out_at_once_when_it_is_hurried(fixture: Fixture) {
    let placed = one(&fixture).await;
    let refusing = Capture {
        refused: vec![placed.order.id],
        ..Capture::default()
    };
    // The seventh wait is longer than three seconds, and longer than this test.
    for _ in 0..7 {
        fixture.outbox.hurry().await.expect("an answer");
        let pass = fixture.outbox.relay(&refusing, 10).await.expect("a pass");
        assert_eq!(pass.refused.len(), 1);
    }
    fixture.outbox.hurry().await.expect("an answer");
    let taking = Capture::default();
    fixture.outbox.relay(&taking, 10).await.expect("a pass");
    assert_eq!(taking.types_of(placed.order.id), ["OrderCreated"]);
}

/// However old: an event leaves the outbox by being published, and in no other way.
pub async fn pruning_takes_published_events_and_no_waiting_ones(fixture: Fixture) {
    for _ in 0..3 {
        one(&fixture).await;
    }
    let before = Capture::default();
    drain(&*fixture.outbox, &before).await;
    let id = one(&fixture).await.order.id;
    let later = SystemClock.now() + core_kernel::KEEP_PUBLISHED;
    let mut pruned = 0;
    loop {
        let batch = fixture.outbox.prune(later, 2).await;
        let batch = batch.expect("an answer");
        assert!(batch <= 2, "{batch}");
        pruned += batch;
        if batch == 0 {
            break;
        }
    }
    assert!(pruned <= 3, "{pruned}");
    let after = Capture::default();
    drain(&*fixture.outbox, &after).await;
    let taken = after.taken.lock().expect("no test panics here").clone();
    assert_eq!(taken.len(), 1, "what was published stays published");
    assert_eq!(taken[0].subject, id.0);
}
