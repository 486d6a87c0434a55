//! A store of orders of one's own: everything in memory, behind one lock.
//!
//! `core-orders` decides and a store remembers. To bring your own, implement two ports:
//! [`OrderStore`] (this file) and [`Outbox`](core_kernel::Outbox) (`outbox.rs`). What they promise
//! is in the ports' documentation; the contract suite (`tests/contract.rs`) holds you to it.
//!
//! The central promise is that an order, its history and its events are written together or not
//! at all. A database has transactions for that. Here, a call that holds the lock is one: nobody
//! sees the middle of it, and as everything that can fail comes before the first write, nothing is
//! ever written by half.

mod outbox;

use std::cmp::Ordering;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use core_kernel::{Clock, OrderId, Page, PageRequest, RequestContext, Slice, UserId, UserScope};
use core_orders::{
    Change, HistoryEntry, IdempotencyKey, KeyedRequest, Once, Order, OrderFilter, OrderPosition,
    OrderSort, OrderStore, OrderSummary, Placed, SortField, SortValue, StoreError,
};
use jiff::Timestamp;

use outbox::{Queue, messages};

/// Orders, their history and their events in memory. Clones share them.
#[derive(Clone)]
pub struct MemoryStore {
    state: Arc<Mutex<State>>,
    clock: Arc<dyn Clock>,
}

/// One lock for all of it, so that order and events cannot come apart.
#[derive(Default)]
struct State {
    orders: HashMap<OrderId, Stored>,
    /// What was asked for by which key of whom.
    keys: HashMap<(UserId, IdempotencyKey), Known>,
    queue: Queue,
}

struct Known {
    request: KeyedRequest,
    order: OrderId,
    at: Timestamp,
}

struct Stored {
    order: Order,
    history: Vec<HistoryEntry>,
}

impl MemoryStore {
    /// An empty store. The clock tells how long events have waited; every other time is in what
    /// is stored.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            state: Arc::default(),
            clock,
        }
    }

    /// Begins a "transaction". It is never held across an `.await`, so nobody waits for long. A
    /// thread that panicked with the lock in hand wrote nothing by half, so its lock is good.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Adds an order with all that belongs to it, or nothing.
    fn insert(&mut self, placed: &Placed, context: &RequestContext) -> Result<(), StoreError> {
        let messages = messages(placed.order.id, &placed.history, &placed.events, context)?;
        let Entry::Vacant(place) = self.orders.entry(placed.order.id) else {
            return Err(StoreError::Broken("the order's id is taken".into()));
        };
        // The last thing that can fail; it writes all messages or none.
        self.queue.add(messages)?;
        place.insert(Stored {
            order: placed.order.clone(),
            history: vec![placed.history.clone()],
        });
        Ok(())
    }
}

#[async_trait]
impl OrderStore for MemoryStore {
    async fn find(&self, id: OrderId) -> Result<Option<Order>, StoreError> {
        let state = self.state();
        Ok(state.orders.get(&id).map(|stored| stored.order.clone()))
    }

    async fn list(
        &self,
        filter: OrderFilter,
        sort: OrderSort,
        page: PageRequest,
    ) -> Result<Page<OrderSummary>, StoreError> {
        let state = self.state();
        let all = state.orders.values().map(|stored| &stored.order);
        let passing = all.filter(|order| passes(filter, order));
        let mut found: Vec<OrderSummary> = passing.map(summary).collect();
        found.sort_by(|a, b| compare(sort, a, b));
        // A page beyond the end is empty, and its total is still that of the whole list.
        let total = found.len() as u64;
        let before = usize::try_from(page.offset()).unwrap_or(usize::MAX);
        let items = found.into_iter().skip(before).take(page.limit as usize);
        Ok(Page {
            items: items.collect(),
            total,
        })
    }

    async fn list_after(
        &self,
        filter: OrderFilter,
        after: OrderPosition,
        limit: u32,
    ) -> Result<Slice<OrderSummary>, StoreError> {
        let state = self.state();
        let all = state.orders.values().map(|stored| &stored.order);
        let mut found: Vec<OrderSummary> = all
            .filter(|order| passes(filter, order))
            .map(summary)
            .filter(|order| beyond(&after, order))
            .collect();
        found.sort_by(|a, b| compare(after.sort(), a, b));
        Ok(Slice::of(found, limit))
    }

    async fn history(&self, id: OrderId) -> Result<Vec<HistoryEntry>, StoreError> {
        let state = self.state();
        let stored = state.orders.get(&id);
        Ok(stored.map_or_else(Vec::new, |stored| stored.history.clone()))
    }

    async fn insert(&self, placed: &Placed, context: &RequestContext) -> Result<(), StoreError> {
        self.state().insert(placed, context)
    }

    // A call that holds the lock is never seen in the middle, so none is ever `InFlight` here.
    async fn insert_once(
        &self,
        placed: &Placed,
        request: &KeyedRequest,
        context: &RequestContext,
    ) -> Result<Once, StoreError> {
        let mut state = self.state();
        let order = &placed.order;
        let name = (order.user_id, request.key.clone());
        let forgotten = IdempotencyKey::forgotten(order.created_at);
        if let Some(known) = state.keys.get(&name).filter(|known| known.at > forgotten) {
            return Ok(match known.request.fingerprint == request.fingerprint {
                true => Once::Known(known.order),
                false => Once::Reused,
            });
        }
        state.insert(placed, context)?;
        let known = Known {
            request: request.clone(),
            order: order.id,
            at: order.created_at,
        };
        state.keys.insert(name, known);
        Ok(Once::Inserted)
    }

    async fn prune_keys(&self, until: Timestamp, limit: u32) -> Result<u64, StoreError> {
        let mut left = limit;
        let mut state = self.state();
        let before = state.keys.len();
        state.keys.retain(|_, known| {
            let prune = known.at <= until && left > 0;
            left -= u32::from(prune);
            !prune
        });
        Ok((before - state.keys.len()) as u64)
    }

    async fn commit(&self, change: &Change, context: &RequestContext) -> Result<(), StoreError> {
        let messages = messages(change.order.id, &change.history, &change.events, context)?;
        let mut state = self.state();
        let State { orders, queue, .. } = &mut *state;
        // The guard: of two who change an order at once, the second finds it moved. The use case
        // then decides anew on the order as it is.
        let Some(stored) = orders
            .get_mut(&change.order.id)
            .filter(|stored| stored.order.status() == change.from)
        else {
            return Err(StoreError::Conflict);
        };
        queue.add(messages)?;
        stored.order = change.order.clone();
        stored.history.push(change.history.clone());
        Ok(())
    }
}

fn passes(filter: OrderFilter, order: &Order) -> bool {
    let owner = match filter.scope {
        UserScope::One(user) => order.user_id == user,
        UserScope::All => true,
    };
    owner && filter.status.is_none_or(|status| order.status() == status)
}

/// Ties break by id, so the order is always the same and no page repeats or skips.
fn compare(sort: OrderSort, a: &OrderSummary, b: &OrderSummary) -> Ordering {
    let (a, b) = match sort.descending {
        false => (a, b),
        true => (b, a),
    };
    match sort.by {
        SortField::CreatedAt => a.created_at.cmp(&b.created_at),
        SortField::UpdatedAt => a.updated_at.cmp(&b.updated_at),
        SortField::TotalAmount => a.total_amount.cmp(&b.total_amount),
        SortField::Status => a.status.as_str().cmp(b.status.as_str()),
    }
    .then(a.id.cmp(&b.id))
}

/// Whether an order comes after a position in the position's list.
fn beyond(after: &OrderPosition, order: &OrderSummary) -> bool {
    // An order that stands exactly there, to compare with.
    let mut there = OrderSummary {
        id: after.id,
        ..order.clone()
    };
    match after.value {
        SortValue::CreatedAt(at) => there.created_at = at,
        SortValue::UpdatedAt(at) => there.updated_at = at,
        SortValue::TotalAmount(amount) => there.total_amount = amount,
        SortValue::Status(status) => there.status = status,
    }
    compare(after.sort(), order, &there) == Ordering::Greater
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

#[cfg(doctest)]
#[doc = include_str!("../../../docs/library-guide.md")]
mod guide {}
