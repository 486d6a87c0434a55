//! What every ledger of orders promises. Run it on an adapter with
//! [`order_ledger_contract!`](crate::order_ledger_contract).

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use core_kernel::{
    Clock, EventId, EventPublisher, OrderId, Outbox, OutboxMessage, PublishError, RequestContext,
    SystemClock, UserId,
};

use super::{advance, placed};
use crate::event::{OrderEvent, OrderEventKind};
use crate::ledger::{Ledger, OrderLedger, Repair};
use crate::order::Placed;
use crate::ports::OrderStore;

/// The ledger under test, with the store and the outbox of the same orders.
#[derive(Clone)]
pub struct Fixture {
    /// The ledger.
    pub ledger: Arc<dyn OrderLedger>,
    /// Orders.
    pub store: Arc<dyn OrderStore>,
    /// Their events.
    pub outbox: Arc<dyn Outbox>,
}

/// Makes one `#[tokio::test]` of each promise. `$fixture` is an `async fn() -> Fixture`.
#[macro_export]
macro_rules! order_ledger_contract {
    ($fixture:path) => {
        $crate::order_ledger_contract!(@tests $fixture,
            a_ledger_has_an_order_with_its_history_and_its_events,
            a_walk_through_the_ledgers_meets_every_order_once,
            an_event_that_is_missing_is_put_into_the_outbox_once,
            an_event_that_was_published_goes_out_again_as_it_was,
        );
    };
    (@tests $fixture:path, $($promise:ident),+ $(,)?) => {$(
        #[tokio::test]
        async fn $promise() {
            $crate::testing::ledger::$promise($fixture().await).await;
        }
    )+};
}

/// A broker that takes everything, and remembers it.
#[derive(Default)]
struct Broker(Mutex<Vec<OutboxMessage>>);

#[async_trait]
impl EventPublisher for Broker {
    async fn ready(&self) -> Result<(), PublishError> {
        Ok(())
    }

    async fn publish(&self, batch: &[OutboxMessage]) -> Result<Vec<bool>, PublishError> {
        let mut taken = self.0.lock().expect("nothing panics while it holds it");
        taken.extend_from_slice(batch);
        Ok(vec![true; batch.len()])
    }
}

impl Broker {
    /// What came of a pass over the outbox.
    async fn relayed(&self, fixture: &Fixture) -> Vec<OutboxMessage> {
        fixture.outbox.relay(self, 100).await.expect("a pass");
        let mut taken = self.0.lock().expect("nothing panics while it holds it");
        std::mem::take(&mut *taken)
    }
}

async fn insert(fixture: &Fixture) -> Placed {
    let placed = placed(UserId::generate());
    let context = RequestContext::generate();
    let inserted = fixture.store.insert(&placed, &context).await;
    inserted.expect("an insert");
    placed
}

async fn ledger(fixture: &Fixture, id: OrderId) -> Ledger {
    let mut found = fixture.ledger.ledgers_of(&[id]).await.expect("an answer");
    found.pop().expect("a ledger")
}

fn repair() -> Repair {
    Repair {
        actor: "cli:ada".into(),
        finding: "event_missing",
        at: SystemClock.now(),
    }
}

async fn restore(fixture: &Fixture, event: &OrderEvent) -> bool {
    let context = RequestContext::generate();
    let restored = fixture.ledger.restore(event, &repair(), &context).await;
    restored.expect("an answer")
}

/// The same by its id and on the way through all.
pub async fn a_ledger_has_an_order_with_its_history_and_its_events(fixture: Fixture) {
    let placed = insert(&fixture).await;
    let id = placed.order.id;
    let confirmed = advance(placed.order, "confirmed");
    let shipped = advance(confirmed.order.clone(), "shipped");
    for change in [&confirmed, &shipped] {
        let context = RequestContext::generate();
        let committed = fixture.store.commit(change, &context).await;
        committed.expect("a commit");
    }
    let found = ledger(&fixture, id).await;
    let state = shipped.order.state;
    assert_eq!(found.status, "shipped");
    assert_eq!(found.created_at, shipped.order.created_at);
    let times = [state.confirmed_at(), state.shipped_at(), None];
    assert_eq!(found.times, times);
    let steps: Vec<&str> = found.steps.iter().map(|step| &*step.to).collect();
    assert_eq!(steps, ["pending", "confirmed", "shipped"]);
    let events: Vec<EventId> = found.events.iter().map(|event| event.event_id).collect();
    assert_eq!(events, [placed.events[0].id(), shipped.events[0].id()]);
    assert!(
        found
            .events
            .iter()
            .all(|event| event.published_at.is_none())
    );
    assert_eq!(found.disagreement(), None);
    let all = fixture.ledger.ledgers_after(None, 10).await;
    assert_eq!(all.expect("an answer"), [found]);
    let none = fixture.ledger.ledgers_of(&[OrderId::generate()]).await;
    assert!(none.expect("an answer").is_empty());
}

/// In parts of two, by id.
pub async fn a_walk_through_the_ledgers_meets_every_order_once(fixture: Fixture) {
    let mut wanted = Vec::new();
    for _ in 0..5 {
        wanted.push(insert(&fixture).await.order.id);
    }
    wanted.sort();
    let (mut met, mut last) = (Vec::new(), None);
    loop {
        let part = fixture.ledger.ledgers_after(last, 2).await;
        let part = part.expect("an answer");
        assert!(part.len() <= 2);
        let Some(end) = part.last() else { break };
        last = Some(end.id);
        met.extend(part.iter().map(|ledger| ledger.id));
    }
    assert_eq!(met, wanted);
}

/// Under an id that the outbox does not have. While it waits, it is not put there again.
pub async fn an_event_that_is_missing_is_put_into_the_outbox_once(fixture: Fixture) {
    let placed = insert(&fixture).await;
    let broker = Broker::default();
    broker.relayed(&fixture).await;
    let kind = OrderEventKind::Created;
    let order = fixture
        .store
        .find(placed.order.id)
        .await
        .expect("an answer");
    let event = OrderEvent::rebuilt(kind, EventId::generate(), &order.expect("an order"));
    let event = event.expect("it has happened");
    assert!(restore(&fixture, &event).await);
    assert!(!restore(&fixture, &event).await);
    let [message] = &*broker.relayed(&fixture).await else {
        panic!("one event goes out")
    };
    assert_eq!(message.event_id, event.id());
    assert_eq!(message.subject, placed.order.id.0);
    assert_eq!(message.routing_key, "order.created");
    assert_eq!(message.occurred_at, placed.order.created_at.as_second());
    let wanted = event.to_json().expect("JSON");
    assert_eq!(message.payload, wanted);
}

/// Its bytes never change, whatever is put back under its id.
pub async fn an_event_that_was_published_goes_out_again_as_it_was(fixture: Fixture) {
    let placed = insert(&fixture).await;
    let broker = Broker::default();
    let first = broker.relayed(&fixture).await;
    let before = ledger(&fixture, placed.order.id).await;
    assert!(before.events[0].published_at.is_some());
    let (order, id) = (placed.order.id, placed.events[0].id());
    let shipped = advance(advance(placed.order, "confirmed").order, "shipped");
    let other = OrderEvent::rebuilt(OrderEventKind::Shipped, id, &shipped.order);
    assert!(restore(&fixture, &other.expect("it has happened")).await);
    let after = ledger(&fixture, order).await;
    assert_eq!(after.events[0].published_at, None);
    assert_eq!(broker.relayed(&fixture).await, first);
}
