//! What every store of orders promises, one function a promise. Run all of them on a store with
//! [`order_store_contract!`](crate::order_store_contract).

mod once;
mod relay;
mod walk;

use std::collections::HashSet;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use core_kernel::{
    EventPublisher, OrderId, Outbox, OutboxMessage, PageRequest, PublishError, Refused, RelayError,
    RelayReport, RequestContext, TraceContext, UserId, UserScope,
};
use futures_util::future::{BoxFuture, join, join_all, maybe_done, poll_fn, select};
use jiff::Timestamp;

use super::{advance, advance_at, new_order, placed, placed_at};
use crate::order::{Change, Order, Placed, Reason};
use crate::ports::{OrderFilter, OrderSort, OrderStore, OrderSummary, SortField, StoreError};
use crate::state::OrderStatus;

pub use once::*;
pub use relay::*;
pub use walk::*;

/// A store under test, with the outbox that it fills. Make a fresh and empty pair at every call (a
/// database, a schema or a file of its own): promises run at the same time, and look at the whole
/// outbox.
#[derive(Clone)]
pub struct Fixture {
    /// The store.
    pub store: Arc<dyn OrderStore>,
    /// Its outbox.
    pub outbox: Arc<dyn Outbox>,
}

/// Makes one `#[tokio::test]` of each promise. `$fixture` is an `async fn() -> Fixture`. The caller's
/// crate needs `tokio` with `macros` and `rt` among its dev-dependencies.
#[macro_export]
macro_rules! order_store_contract {
    ($fixture:path) => {
        $crate::order_store_contract!(@tests $fixture,
            what_is_inserted_is_found_whole,
            an_unknown_order_is_none,
            a_second_insert_of_an_order_changes_nothing,
            a_refused_event_takes_its_order_with_it,
            a_change_is_found_with_its_history,
            a_change_of_an_unknown_order_is_a_conflict,
            a_change_whose_event_is_refused_leaves_the_order_as_it_was,
            a_stale_change_is_a_conflict_and_writes_nothing,
            of_twenty_racing_changes_one_wins,
            a_key_stores_one_order_and_knows_it_again,
            a_key_with_another_request_writes_nothing,
            a_key_is_its_users_alone,
            a_refused_order_leaves_its_key_free,
            of_twenty_racing_requests_one_is_stored,
            a_key_counts_for_24_hours,
            pruning_forgets_old_keys_and_no_others,
            an_insert_and_a_change_queue_their_events_in_order,
            an_event_has_the_trace_of_its_request,
            an_event_has_the_time_of_its_history_in_whole_seconds,
            a_pass_takes_no_more_than_its_limit,
            an_event_that_the_broker_refused_stays,
            an_event_without_an_answer_was_not_taken,
            nothing_leaves_the_outbox_when_the_broker_is_away,
            two_relays_at_once_publish_each_event_once_and_in_order,
            orders_are_read_and_written_while_a_relay_publishes,
            a_pass_that_is_dropped_gives_its_claim_back,
            refused_events_hold_up_no_others,
            a_refused_event_is_counted_and_tried_again,
            what_waits_is_told_oldest_first_with_its_refusals,
            what_was_put_off_goes_out_at_once_when_it_is_hurried,
            pruning_takes_published_events_and_no_waiting_ones,
            a_list_holds_only_what_passes_the_filter,
            pages_neither_repeat_nor_skip,
            a_page_beyond_the_end_is_empty_and_knows_the_total,
            every_sort_field_sorts_both_ways,
            a_walk_meets_every_order_once_in_every_sort,
            a_walk_keeps_to_its_filter,
            a_walk_is_not_upset_by_orders_that_come_and_go,
        );
    };
    (@tests $fixture:path, $($promise:ident),+ $(,)?) => {$(
        #[tokio::test]
        async fn $promise() {
            $crate::testing::contract::$promise($fixture().await).await;
        }
    )+};
}

/// Takes every event and remembers it; refuses the `OrderCreated` of those `refused`; answers
/// nothing; or is away altogether.
#[derive(Default)]
struct Capture {
    taken: Mutex<Vec<OutboxMessage>>,
    refused: Vec<OrderId>,
    silent: bool,
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
        if self.silent {
            return Ok(Vec::new());
        }
        let mut taken = self.taken.lock().expect("no test panics here");
        Ok(batch
            .iter()
            .map(|message| {
                let refused = self.refused.contains(&OrderId(message.subject));
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

/// Has a batch in hand and does not publish it before its gate is opened.
struct Gated<'a> {
    broker: &'a Capture,
    gate: futures_util::lock::Mutex<()>,
    holds: AtomicBool,
}

#[async_trait]
impl EventPublisher for Gated<'_> {
    async fn ready(&self) -> Result<(), PublishError> {
        Ok(())
    }

    async fn publish(&self, batch: &[OutboxMessage]) -> Result<Vec<bool>, PublishError> {
        self.holds.store(true, Ordering::SeqCst);
        let _open = self.gate.lock().await;
        self.broker.publish(batch).await
    }
}

impl<'a> Gated<'a> {
    fn new(broker: &'a Capture) -> Self {
        Self {
            broker,
            gate: futures_util::lock::Mutex::default(),
            holds: AtomicBool::default(),
        }
    }

    /// Drives a pass to where this has its batch in hand.
    async fn has_batch_of(&self, pass: &mut BoxFuture<'_, Result<RelayReport, RelayError>>) {
        poll_fn(|context| match pass.as_mut().poll(context) {
            Poll::Ready(done) => panic!("a pass waits for its publisher: {done:?}"),
            Poll::Pending if self.holds.load(Ordering::SeqCst) => Poll::Ready(()),
            Poll::Pending => Poll::Pending,
        })
        .await;
    }
}

/// A quarter of a second, without a runtime to tell it: this core has none.
async fn a_while() {
    let end = Instant::now() + Duration::from_millis(250);
    poll_fn(|context| {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Poll::Ready(());
        }
        let waker = context.waker().clone();
        std::thread::spawn(move || {
            std::thread::sleep(left);
            waker.wake();
        });
        Poll::Pending
    })
    .await;
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

/// Passes over the outbox until so many events of an order went out: one that was refused or given
/// back may take a moment. Whoever waits in vain finds out by what there is.
async fn arrive(fixture: &Fixture, publisher: &Capture, id: OrderId, count: usize) {
    for _ in 0..40 {
        drain(&*fixture.outbox, publisher).await;
        if publisher.types_of(id).len() >= count {
            return;
        }
        a_while().await;
    }
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

async fn commit(store: &dyn OrderStore, change: &Change) {
    store
        .commit(change, &RequestContext::generate())
        .await
        .expect("a commit");
}

/// An order that was shipped, with both its events in the outbox.
async fn shipped(fixture: &Fixture) -> Order {
    let mut order = one(fixture).await.order;
    for to in ["confirmed", "shipped"] {
        let change = advance(order, to);
        commit(&*fixture.store, &change).await;
        order = change.order;
    }
    order
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

/// An order's id is taken once.
pub async fn a_second_insert_of_an_order_changes_nothing(fixture: Fixture) {
    let first = one(&fixture).await;
    let mut second = placed(first.order.user_id);
    second.order.id = first.order.id;
    let again = fixture
        .store
        .insert(&second, &RequestContext::generate())
        .await;
    assert!(matches!(again, Err(StoreError::Broken(_))), "{again:?}");
    let found = fixture.store.find(first.order.id).await.expect("an answer");
    assert_eq!(found.as_ref(), Some(&first.order));
    let history = fixture
        .store
        .history(first.order.id)
        .await
        .expect("an answer");
    assert_eq!(history, [first.history]);
}

/// Order and event are one transaction: an event that cannot be stored leaves no order behind. An
/// event's id stays taken when it was published.
pub async fn a_refused_event_takes_its_order_with_it(fixture: Fixture) {
    let first = one(&fixture).await;
    drain(&*fixture.outbox, &Capture::default()).await;
    let mut second = placed(first.order.user_id);
    second.events = first.events;
    let refused = fixture
        .store
        .insert(&second, &RequestContext::generate())
        .await;
    assert!(matches!(refused, Err(StoreError::Broken(_))), "{refused:?}");
    let id = second.order.id;
    assert_eq!(fixture.store.find(id).await.expect("an answer"), None);
    let history = fixture.store.history(id).await.expect("an answer");
    assert!(history.is_empty());
}

/// A change is stored whole, and its history grows by one.
pub async fn a_change_is_found_with_its_history(fixture: Fixture) {
    let placed = one(&fixture).await;
    let id = placed.order.id;
    let mut change = advance(placed.order, "confirmed");
    change.history.reason = Some(Reason::trusted("paid by transfer".to_owned()));
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

/// What is not there is not in the state the change began from.
pub async fn a_change_of_an_unknown_order_is_a_conflict(fixture: Fixture) {
    let unknown = placed(UserId::generate()).order;
    let id = unknown.id;
    let change = advance(unknown, "confirmed");
    let outcome = fixture
        .store
        .commit(&change, &RequestContext::generate())
        .await;
    assert!(matches!(outcome, Err(StoreError::Conflict)), "{outcome:?}");
    assert_eq!(fixture.store.find(id).await.expect("an answer"), None);
    let history = fixture.store.history(id).await.expect("an answer");
    assert!(history.is_empty());
}

/// An event that cannot be stored leaves neither a changed order nor a line in its history.
pub async fn a_change_whose_event_is_refused_leaves_the_order_as_it_was(fixture: Fixture) {
    let placed = one(&fixture).await;
    let confirmed = advance(placed.order, "confirmed");
    commit(&*fixture.store, &confirmed).await;
    let mut shipped = advance(confirmed.order.clone(), "shipped");
    shipped.events = placed.events;
    let refused = fixture
        .store
        .commit(&shipped, &RequestContext::generate())
        .await;
    assert!(matches!(refused, Err(StoreError::Broken(_))), "{refused:?}");
    let id = confirmed.order.id;
    let found = fixture.store.find(id).await.expect("an answer");
    assert_eq!(found, Some(confirmed.order));
    let history = fixture.store.history(id).await.expect("an answer");
    assert_eq!(history, [placed.history, confirmed.history]);
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

/// Orders of one user, in every state, whose order differs with what they are sorted by. Two each
/// were placed at the same time and two cost the same, so that ties are there to break.
async fn many(fixture: &Fixture, count: u8) -> (OrderFilter, Vec<Order>) {
    let user = UserId::generate();
    let mut orders = Vec::new();
    for number in 0..count {
        let after = |seconds| Timestamp::UNIX_EPOCH + Duration::from_secs(seconds);
        // From 7.00 to 11.00, so that text would sort otherwise than numbers.
        let price = format!("{}.00", 7 + (count - number) / 2);
        let new = new_order(&[(1, &price)]).expect("a good order");
        let placed = placed_at(new, user, after(u64::from(number / 2)));
        insert(&*fixture.store, &placed).await;
        let mut order = placed.order;
        let steps = ["confirmed", "shipped", "delivered"];
        for to in steps.into_iter().take(usize::from(number % 4)) {
            let change = advance_at(order, to, after(u64::from(200 - number)));
            commit(&*fixture.store, &change).await;
            order = change.order;
        }
        orders.push(order);
    }
    let filter = OrderFilter {
        scope: UserScope::One(user),
        status: None,
    };
    (filter, orders)
}

/// Ties break by id, so each order is on exactly one page.
pub async fn pages_neither_repeat_nor_skip(fixture: Fixture) {
    let (filter, _) = many(&fixture, 7).await;
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
    let (filter, _) = many(&fixture, 2).await;
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

/// Each field sorts, ties by id, and backwards is the exact reverse.
pub async fn every_sort_field_sorts_both_ways(fixture: Fixture) {
    let (filter, mut orders) = many(&fixture, 8).await;
    let fields = [
        SortField::CreatedAt,
        SortField::UpdatedAt,
        SortField::TotalAmount,
        SortField::Status,
    ];
    for by in fields {
        orders.sort_by(|a, b| {
            match by {
                SortField::CreatedAt => a.created_at.cmp(&b.created_at),
                SortField::UpdatedAt => a.updated_at.cmp(&b.updated_at),
                SortField::TotalAmount => a.total_amount.cmp(&b.total_amount),
                SortField::Status => a.status().as_str().cmp(b.status().as_str()),
            }
            .then(a.id.cmp(&b.id))
        });
        let mut expected: Vec<OrderSummary> = orders.iter().map(summary).collect();
        for descending in [false, true] {
            let page = fixture
                .store
                .list(filter, OrderSort { by, descending }, PageRequest::default())
                .await
                .expect("an answer");
            assert_eq!(page.items, expected, "{by:?}, descending: {descending}");
            expected.reverse();
        }
    }
}

fn summary(order: &Order) -> OrderSummary {
    OrderSummary {
        id: order.id,
        status: order.status(),
        total_amount: order.total_amount,
        currency: order.currency,
        created_at: order.created_at,
        updated_at: order.updated_at,
    }
}
