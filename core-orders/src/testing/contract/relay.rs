//! What an outbox does with events that the broker refuses, and with those that went out long ago.

use core_kernel::{Clock, Refused, SystemClock};

use super::{Capture, Fixture, a_while, arrive, drain, one};

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
