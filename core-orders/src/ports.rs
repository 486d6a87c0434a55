//! What this core needs from outside.

use async_trait::async_trait;
use core_kernel::{
    BoxError, Currency, Money, OrderId, Page, PageRequest, RequestContext, Slice, UserScope,
};
use jiff::Timestamp;

use crate::once::{KeyedRequest, Once};
use crate::order::{Change, HistoryEntry, Order, Placed};
use crate::state::OrderStatus;

/// Why a store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The order is not, or no longer, in the state the change began from; nothing was written.
    #[error("the order was changed by another")]
    Conflict,
    /// The store does not answer; it may be tried again later (503).
    #[error("the order store does not answer")]
    Unavailable(#[source] BoxError),
    /// What is stored cannot be understood, or the store refused (500).
    #[error("the order store failed")]
    Broken(#[source] BoxError),
}

/// Which orders a list holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OrderFilter {
    /// Whose.
    pub scope: UserScope,
    /// In which state; any when `None`.
    pub status: Option<OrderStatus>,
}

/// What a list is sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SortField {
    /// When it was placed.
    CreatedAt,
    /// When it last changed.
    UpdatedAt,
    /// What it costs.
    TotalAmount,
    /// The name of its state, alphabetically.
    Status,
}

/// How a list is sorted. Ties break by id (its bytes) in the same direction, so pages never repeat
/// or skip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OrderSort {
    /// By what.
    pub by: SortField,
    /// Largest, or newest, first.
    pub descending: bool,
}

impl Default for OrderSort {
    /// Newest first (PRD §4.2).
    fn default() -> Self {
        Self {
            by: SortField::CreatedAt,
            descending: true,
        }
    }
}

/// As much of an order as a list shows (PRD §4.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderSummary {
    /// Its id.
    pub id: OrderId,
    /// Where it stands.
    pub status: OrderStatus,
    /// What it costs.
    pub total_amount: Money,
    /// ISO 4217.
    pub currency: Currency,
    /// When it was placed.
    pub created_at: Timestamp,
    /// When it last changed. Lists do not show it, but are sorted by it.
    pub updated_at: Timestamp,
}

/// What an order has in the field that a list is sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SortValue {
    /// When it was placed.
    CreatedAt(Timestamp),
    /// When it last changed.
    UpdatedAt(Timestamp),
    /// What it costs.
    TotalAmount(Money),
    /// Where it stands.
    Status(OrderStatus),
}

/// A place in a sorted list: that of the order with this value and id, whether or not it is (still)
/// there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OrderPosition {
    /// Its value in the field that the list is sorted by.
    pub value: SortValue,
    /// Its id, which breaks ties.
    pub id: OrderId,
    /// Whether the list goes down from there.
    pub descending: bool,
}

impl OrderSort {
    /// Where an order stands in a list that is sorted so.
    #[must_use]
    pub fn position_of(self, order: &OrderSummary) -> OrderPosition {
        OrderPosition {
            value: match self.by {
                SortField::CreatedAt => SortValue::CreatedAt(order.created_at),
                SortField::UpdatedAt => SortValue::UpdatedAt(order.updated_at),
                SortField::TotalAmount => SortValue::TotalAmount(order.total_amount),
                SortField::Status => SortValue::Status(order.status),
            },
            id: order.id,
            descending: self.descending,
        }
    }
}

impl OrderPosition {
    /// How the list is sorted that this is a place in.
    #[must_use]
    pub fn sort(&self) -> OrderSort {
        OrderSort {
            by: match self.value {
                SortValue::CreatedAt(_) => SortField::CreatedAt,
                SortValue::UpdatedAt(_) => SortField::UpdatedAt,
                SortValue::TotalAmount(_) => SortField::TotalAmount,
                SortValue::Status(_) => SortField::Status,
            },
            descending: self.descending,
        }
    }
}

/// Keeps orders together with their history and the events they raise. Each call is one
/// transaction.
///
/// A store fills an [`Outbox`](core_kernel::Outbox), which is the adapter's other half. What both
/// promise is tested by `testing::contract` (feature `testing`); `examples/custom-store` is a whole
/// adapter to begin from.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait OrderStore: Send + Sync {
    /// The order with this id, or `None`.
    async fn find(&self, id: OrderId) -> Result<Option<Order>, StoreError>;

    /// One page of the orders that pass the filter, and how many they are on all pages. A page
    /// beyond the end is empty, and its total is the same.
    ///
    /// `page.page` is from 1 and `page.limit` is 1 to 100: whoever takes them from outside checks
    /// that (`adapters/http/src/query.rs` does), so that an adapter need not.
    async fn list(
        &self,
        filter: OrderFilter,
        sort: OrderSort,
        page: PageRequest,
    ) -> Result<Page<OrderSummary>, StoreError>;

    /// Up to `limit` (1 to 100) of the orders that pass the filter and come after a position, in the
    /// order of its list. The position is that of an order which passed the filter. It costs the same however far down the list the position is.
    async fn list_after(
        &self,
        filter: OrderFilter,
        after: OrderPosition,
        limit: u32,
    ) -> Result<Slice<OrderSummary>, StoreError>;

    /// An order's history, oldest first; empty for an unknown order.
    async fn history(&self, id: OrderId) -> Result<Vec<HistoryEntry>, StoreError>;

    /// Adds an order, its history entry and its events: all or nothing.
    ///
    /// The history keeps the request and the trace that are in the entry. `context` is for the
    /// events alone: each is put into the outbox, in the order given, as an
    /// [`OutboxMessage`](core_kernel::OutboxMessage) with
    ///
    /// | Field | Is |
    /// |---|---|
    /// | `event_id`, `event_type`, `routing_key` | the event's own |
    /// | `payload` | [`OrderEvent::to_json`](crate::OrderEvent::to_json), byte for byte |
    /// | `subject` | the order's id |
    /// | `traceparent`, `tracestate` | those of `context.trace` |
    /// | `occurred_at` | the history entry's `at`, in whole seconds |
    ///
    /// # Errors
    /// `Broken` if an order with this id, or an event with one of these ids, is stored: an event's id
    /// is taken for as long as the outbox keeps it, published or not. Nothing is written.
    async fn insert(&self, placed: &Placed, context: &RequestContext) -> Result<(), StoreError>;

    /// Does what `insert` does and records the request's key with it, all or nothing; unless the
    /// order's user has used the key within [`IdempotencyKey::LIFETIME`](crate::IdempotencyKey)
    /// before `placed.order.created_at`, or is using it at this moment. Of requests that race, at
    /// most one is `Inserted`.
    ///
    /// A key is in use no longer than its call works: one that failed, was dropped, or died with
    /// its process leaves nothing behind. A store that would rather wait for the other call than
    /// answer `InFlight` may do so.
    ///
    /// # Errors
    /// Those of `insert`; nothing is written, and the key stays free.
    async fn insert_once(
        &self,
        placed: &Placed,
        request: &KeyedRequest,
        context: &RequestContext,
    ) -> Result<Once, StoreError>;

    /// Forgets keys that were recorded at `until` or before, `limit` at most (at least 1), and tells
    /// how many they were: fewer than `limit` when no more are left, or when another is at it.
    async fn prune_keys(&self, until: Timestamp, limit: u32) -> Result<u64, StoreError>;

    /// Replaces an order's state and `updated_at` (nothing else in it has changed), adds its history
    /// entry and its events as `insert` does: all or nothing.
    ///
    /// # Errors
    /// `Conflict` if the stored status is not `change.from`, or no order has this id; `Broken` if an
    /// event's id is taken. Nothing is written.
    async fn commit(&self, change: &Change, context: &RequestContext) -> Result<(), StoreError>;
}
