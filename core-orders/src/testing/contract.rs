//! What every store of orders promises, one function a promise. Run all of them on a store with
//! [`order_store_contract!`](crate::order_store_contract).

mod broker;
mod list;
mod once;
mod outbox;
mod relay;
mod walk;

use std::sync::Arc;

use core_kernel::{OrderId, Outbox, RequestContext, UserId};
use futures_util::future::join_all;

use super::{advance, placed};
use crate::order::{Change, Order, Placed, Reason};
use crate::ports::{OrderStore, StoreError};

use broker::{Capture, a_while};
pub use list::*;
pub use once::*;
pub use outbox::*;
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
            orders_looked_for_at_once_are_each_found,
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

/// Many who look at the same time each get what they looked for: also the same order twice, and none.
pub async fn orders_looked_for_at_once_are_each_found(fixture: Fixture) {
    let (first, second) = (one(&fixture).await.order, one(&fixture).await.order);
    let nobodys = || (OrderId::generate(), None);
    let known = |order: &Order| (order.id, Some(order.clone()));
    let mut wanted = vec![nobodys(), known(&second), known(&first), known(&second)];
    // More than a store may be expected to do in one go.
    wanted.extend((0..100).map(|n| match n % 3 {
        0 => known(&first),
        1 => nobodys(),
        _ => known(&second),
    }));
    let found = join_all(wanted.iter().map(|(id, _)| fixture.store.find(*id))).await;
    for (found, (id, order)) in found.into_iter().zip(wanted) {
        assert_eq!(found.expect("an answer"), order, "{id}");
    }
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
