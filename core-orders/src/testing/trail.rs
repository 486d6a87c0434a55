//! What every trail of events promises. Run it on an adapter with
//! [`order_trail_contract!`](crate::order_trail_contract).

use std::sync::Arc;

use async_trait::async_trait;
use core_kernel::{EventPublisher, Outbox, OutboxMessage, PublishError, RequestContext, UserId};

use super::{advance, placed};
use crate::ports::OrderStore;
use crate::trail::OrderTrail;

/// The trail under test, with the store and the outbox of the same orders.
#[derive(Clone)]
pub struct Fixture {
    /// The trail.
    pub trail: Arc<dyn OrderTrail>,
    /// Orders.
    pub store: Arc<dyn OrderStore>,
    /// Their events.
    pub outbox: Arc<dyn Outbox>,
}

/// Makes one `#[tokio::test]` of each promise. `$fixture` is an `async fn() -> Fixture`.
#[macro_export]
macro_rules! order_trail_contract {
    ($fixture:path) => {
        #[tokio::test]
        async fn the_trail_of_an_order_has_its_events_and_no_others() {
            let fixture = $fixture().await;
            $crate::testing::trail::the_trail_of_an_order_has_its_events_and_no_others(fixture)
                .await;
        }

        #[tokio::test]
        async fn the_trail_tells_what_the_broker_took_and_how_often_it_did_not() {
            let fixture = $fixture().await;
            $crate::testing::trail::the_trail_tells_what_the_broker_took_and_how_often_it_did_not(
                fixture,
            )
            .await;
        }
    };
}

/// A broker that takes everything, or nothing.
struct Broker {
    takes: bool,
}

#[async_trait]
impl EventPublisher for Broker {
    async fn ready(&self) -> Result<(), PublishError> {
        Ok(())
    }

    async fn publish(&self, batch: &[OutboxMessage]) -> Result<Vec<bool>, PublishError> {
        Ok(vec![self.takes; batch.len()])
    }
}

/// In the order in which they were stored.
pub async fn the_trail_of_an_order_has_its_events_and_no_others(fixture: Fixture) {
    let context = RequestContext::generate();
    let (first, other) = (placed(UserId::generate()), placed(UserId::generate()));
    let id = first.order.id;
    for placed in [&first, &other] {
        let inserted = fixture.store.insert(placed, &context).await;
        inserted.expect("an insert");
    }
    let confirmed = advance(first.order, "confirmed");
    let shipped = advance(confirmed.order.clone(), "shipped");
    for change in [&confirmed, &shipped] {
        fixture
            .store
            .commit(change, &context)
            .await
            .expect("a commit");
    }
    let events = fixture.trail.events(id).await.expect("a trail");
    let types: Vec<&str> = events.iter().map(|event| &*event.event_type).collect();
    assert_eq!(types, ["OrderCreated", "OrderShipped"]);
    assert_eq!(events[0].event_id, first.events[0].id());
    assert_eq!(events[1].event_id, shipped.events[0].id());
    assert_eq!(events[0].created_at, first.history.at);
    assert_eq!(events[0].traceparent, context.trace.traceparent());
}

/// One that it did not take is still to be published.
pub async fn the_trail_tells_what_the_broker_took_and_how_often_it_did_not(fixture: Fixture) {
    let context = RequestContext::generate();
    let (first, second) = (placed(UserId::generate()), placed(UserId::generate()));
    for (placed, takes) in [(&first, true), (&second, false)] {
        let inserted = fixture.store.insert(placed, &context).await;
        inserted.expect("an insert");
        let relayed = fixture.outbox.relay(&Broker { takes }, 10).await;
        relayed.expect("a pass");
    }
    let events = fixture.trail.events(first.order.id).await;
    let taken = &events.expect("a trail")[0];
    assert!(
        taken.published_at.is_some() && taken.refusals == 0,
        "{taken:?}"
    );
    let events = fixture.trail.events(second.order.id).await;
    let refused = &events.expect("a trail")[0];
    assert_eq!((refused.published_at, refused.refusals), (None, 1));
}
