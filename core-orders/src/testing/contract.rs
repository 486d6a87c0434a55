//! What every store of orders promises, one function a promise. Run all of them on a store with
//! [`order_store_contract!`](crate::order_store_contract).

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use core_kernel::{
    EventPublisher, OrderId, Outbox, OutboxMessage, PageRequest, PublishError, RelayError,
    RequestContext, UserId, UserScope,
};
use futures_util::future::join_all;

use super::{advance, new_order, placed, placed_from};
use crate::order::Placed;
use crate::ports::{OrderFilter, OrderSort, OrderStore, SortField, StoreError};
use crate::state::OrderStatus;

/// A store under test, with the outbox that it fills. Both are empty at the start, or hold only
/// what other tests of the same run put there.
#[derive(Clone)]
pub struct Fixture {
    /// The store.
    pub store: Arc<dyn OrderStore>,
    /// Its outbox.
    pub outbox: Arc<dyn Outbox>,
}

/// Makes one `#[tokio::test]` of each promise. `$fixture` is an `async fn() -> Fixture`.
#[macro_export]
macro_rules! order_store_contract {
    ($fixture:path) => {
        $crate::order_store_contract!(@tests $fixture,
            what_is_inserted_is_found_whole,
            an_unknown_order_is_none,
            a_second_insert_of_an_order_changes_nothing,
            a_refused_event_takes_its_order_with_it,
            a_change_is_found_with_its_history,
            a_stale_change_is_a_conflict_and_writes_nothing,
            of_twenty_racing_changes_one_wins,
            an_insert_and_a_change_queue_their_events_in_order,
            an_event_that_the_broker_refused_stays,
            nothing_leaves_the_outbox_when_the_broker_is_away,
            a_list_holds_only_what_passes_the_filter,
            pages_neither_repeat_nor_skip,
            a_page_beyond_the_end_is_empty_and_knows_the_total,
            every_sort_field_sorts_both_ways,
        );
    };
    (@tests $fixture:path, $($promise:ident),+ $(,)?) => {$(
        #[tokio::test]
        async fn $promise() {
            $crate::testing::contract::$promise($fixture().await).await;
        }
    )+};
}

/// Takes every event and remembers it; refuses the `OrderCreated` of `refused`; or is away
/// altogether.
#[derive(Default)]
struct Capture {
    taken: Mutex<Vec<OutboxMessage>>,
    refused: Option<OrderId>,
    away: bool,
}

#[async_trait]
impl EventPublisher for Capture {
    async fn ready(&self) -> Result<(), PublishError> {
        Ok(())
    }

    async fn publish(&self, batch: &[OutboxMessage]) -> Result<Vec<bool>, PublishError> {
        if self.away {
            return Err(PublishError("connection refused".into()));
        }
        let mut taken = self.taken.lock().expect("no test panics here");
        Ok(batch
            .iter()
            .map(|message| {
                let refused = self.refused.is_some_and(|id| id.0 == message.subject);
                let takes = !(refused && message.event_type == "OrderCreated");
                if takes {
                    taken.push(message.clone());
                }
                takes
            })
            .collect())
    }
}

impl Capture {
    /// The types of the events taken for one order.
    fn types_of(&self, id: OrderId) -> Vec<String> {
        let taken = self.taken.lock().expect("no test panics here");
        taken
            .iter()
            .filter(|message| message.subject == id.0)
            .map(|message| message.event_type.clone())
            .collect()
    }
}

/// Passes over the outbox until nothing more goes out.
async fn drain(outbox: &dyn Outbox, publisher: &Capture) {
    while outbox
        .relay(publisher, 100)
        .await
        .expect("a pass")
        .published
        > 0
    {}
}

async fn insert(store: &dyn OrderStore, placed: &Placed) {
    store
        .insert(placed, &RequestContext::generate())
        .await
        .expect("an insert");
}

async fn one(fixture: &Fixture) -> Placed {
    let placed = placed(UserId::generate());
    insert(&*fixture.store, &placed).await;
    placed
}

/// Round trip, to the last digit and microsecond.
pub async fn what_is_inserted_is_found_whole(fixture: Fixture) {
    let placed = one(&fixture).await;
    let found = fixture
        .store
        .find(placed.order.id)
        .await
        .expect("an answer");
    assert_eq!(found.as_ref(), Some(&placed.order));
    let history = fixture
        .store
        .history(placed.order.id)
        .await
        .expect("an answer");
    assert_eq!(history, [placed.history]);
}

/// Absence is no failure.
pub async fn an_unknown_order_is_none(fixture: Fixture) {
    let id = OrderId::generate();
    assert_eq!(fixture.store.find(id).await.expect("an answer"), None);
    assert!(
        fixture
            .store
            .history(id)
            .await
            .expect("an answer")
            .is_empty()
    );
}

/// An id is taken once.
pub async fn a_second_insert_of_an_order_changes_nothing(fixture: Fixture) {
    let first = one(&fixture).await;
    let mut second = placed(first.order.user_id);
    second.order.id = first.order.id;
    let again = fixture
        .store
        .insert(&second, &RequestContext::generate())
        .await;
    assert!(again.is_err());
    let history = fixture
        .store
        .history(first.order.id)
        .await
        .expect("an answer");
    assert_eq!(history.len(), 1);
}

/// Order and event are one transaction: an event that cannot be stored leaves no order behind.
pub async fn a_refused_event_takes_its_order_with_it(fixture: Fixture) {
    let first = one(&fixture).await;
    let mut second = placed(first.order.user_id);
    second.events = first.events;
    let refused = fixture
        .store
        .insert(&second, &RequestContext::generate())
        .await;
    assert!(refused.is_err(), "an event id is taken once");
    assert_eq!(
        fixture
            .store
            .find(second.order.id)
            .await
            .expect("an answer"),
        None
    );
}

/// A change is stored whole, and its history grows by one.
pub async fn a_change_is_found_with_its_history(fixture: Fixture) {
    let placed = one(&fixture).await;
    let id = placed.order.id;
    let change = advance(placed.order, "confirmed");
    fixture
        .store
        .commit(&change, &RequestContext::generate())
        .await
        .expect("a commit");
    let found = fixture.store.find(id).await.expect("an answer");
    assert_eq!(found.as_ref(), Some(&change.order));
    let history = fixture.store.history(id).await.expect("an answer");
    assert_eq!(history, [placed.history, change.history]);
}

/// The guard: a change that began from a state the order has left is refused whole.
pub async fn a_stale_change_is_a_conflict_and_writes_nothing(fixture: Fixture) {
    let order = one(&fixture).await.order;
    let context = RequestContext::generate();
    let first = advance(order.clone(), "confirmed");
    fixture
        .store
        .commit(&first, &context)
        .await
        .expect("a commit");
    let stale = fixture
        .store
        .commit(&advance(order, "confirmed"), &context)
        .await;
    assert!(matches!(stale, Err(StoreError::Conflict)), "{stale:?}");
    let id = first.order.id;
    assert_eq!(
        fixture.store.find(id).await.expect("an answer"),
        Some(first.order)
    );
    assert_eq!(fixture.store.history(id).await.expect("an answer").len(), 2);
}

/// Of many who change an order at once, exactly one does.
pub async fn of_twenty_racing_changes_one_wins(fixture: Fixture) {
    let order = one(&fixture).await.order;
    let context = RequestContext::generate();
    let changes: Vec<_> = (0..20)
        .map(|_| advance(order.clone(), "confirmed"))
        .collect();
    let outcomes = join_all(
        changes
            .iter()
            .map(|change| fixture.store.commit(change, &context)),
    )
    .await;
    let won = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
    let lost = outcomes
        .iter()
        .filter(|outcome| matches!(outcome, Err(StoreError::Conflict)))
        .count();
    assert_eq!((won, lost), (1, 19), "{outcomes:?}");
    assert_eq!(
        fixture
            .store
            .history(order.id)
            .await
            .expect("an answer")
            .len(),
        2
    );
}

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

/// An event that was refused waits, and holds back the later ones of its order.
pub async fn an_event_that_the_broker_refused_stays(fixture: Fixture) {
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

    let refusing = Capture {
        refused: Some(id),
        ..Capture::default()
    };
    drain(&*fixture.outbox, &refusing).await;
    assert!(refusing.types_of(id).is_empty());
    let backlog = fixture.outbox.backlog().await.expect("an answer");
    assert!(backlog.waiting >= 2, "{backlog:?}");

    let taking = Capture::default();
    drain(&*fixture.outbox, &taking).await;
    assert_eq!(taking.types_of(id), ["OrderCreated", "OrderShipped"]);
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

/// The filter is by owner and by state.
pub async fn a_list_holds_only_what_passes_the_filter(fixture: Fixture) {
    let mine = one(&fixture).await.order;
    one(&fixture).await;
    let count = async |scope, status| {
        let filter = OrderFilter { scope, status };
        let page = fixture
            .store
            .list(filter, OrderSort::default(), PageRequest::default())
            .await
            .expect("an answer");
        page.total
    };
    let own = UserScope::One(mine.user_id);
    assert_eq!(count(own, None).await, 1);
    assert_eq!(count(own, Some(OrderStatus::Pending)).await, 1);
    assert_eq!(count(own, Some(OrderStatus::Shipped)).await, 0);
    assert!(count(UserScope::All, None).await >= 2);
}

async fn many(fixture: &Fixture, count: usize) -> OrderFilter {
    let user = UserId::generate();
    for cents in 1..=count {
        // Two of each price, so that ties are there to break.
        let price = format!("{}.00", cents.div_ceil(2));
        let new = new_order(&[(1, &price)]).expect("a good order");
        insert(&*fixture.store, &placed_from(new, user)).await;
    }
    OrderFilter {
        scope: UserScope::One(user),
        status: None,
    }
}

/// Ties break by id, so each order is on exactly one page.
pub async fn pages_neither_repeat_nor_skip(fixture: Fixture) {
    let filter = many(&fixture, 7).await;
    let sort = OrderSort {
        by: SortField::Status,
        descending: true,
    };
    let mut seen = HashSet::new();
    for page in 1..=3 {
        let page = fixture
            .store
            .list(filter, sort, PageRequest { page, limit: 3 })
            .await
            .expect("an answer");
        assert_eq!(page.total, 7);
        seen.extend(page.items.into_iter().map(|order| order.id));
    }
    assert_eq!(seen.len(), 7);
}

/// Past the last page there is nothing, and the total is still told.
pub async fn a_page_beyond_the_end_is_empty_and_knows_the_total(fixture: Fixture) {
    let filter = many(&fixture, 2).await;
    let page = PageRequest {
        page: u32::MAX,
        limit: 100,
    };
    let page = fixture
        .store
        .list(filter, OrderSort::default(), page)
        .await
        .expect("an answer");
    assert_eq!((page.items.len(), page.total), (0, 2));
}

/// Each field sorts, and backwards is the exact reverse.
pub async fn every_sort_field_sorts_both_ways(fixture: Fixture) {
    let filter = many(&fixture, 6).await;
    let fields = [
        SortField::CreatedAt,
        SortField::UpdatedAt,
        SortField::TotalAmount,
        SortField::Status,
    ];
    for by in fields {
        let list = async |descending| {
            let sort = OrderSort { by, descending };
            fixture
                .store
                .list(filter, sort, PageRequest::default())
                .await
                .expect("an answer")
                .items
        };
        let up = list(false).await;
        let mut down = list(true).await;
        down.reverse();
        assert_eq!(up, down, "{by:?}");
        match by {
            SortField::CreatedAt | SortField::UpdatedAt => {
                assert!(up.is_sorted_by_key(|order| order.created_at), "{by:?}");
            }
            SortField::TotalAmount => assert!(up.is_sorted_by_key(|order| order.total_amount)),
            SortField::Status => assert!(up.is_sorted_by_key(|order| order.id.0)),
        }
    }
}
