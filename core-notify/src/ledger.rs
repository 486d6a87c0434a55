//! Notifications as who looks for missing ones sees them.

use async_trait::async_trait;
use core_kernel::{EventId, NotificationId, OrderId};
use jiff::Timestamp;

use crate::notification::Channel;
use crate::ports::StoreError;

/// An event of which something was written down, on whatever channel.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Heard {
    /// About which order.
    pub order_id: OrderId,
    /// Of which type, `order_created`.
    pub type_key: String,
}

/// A notification that is `queued`, and that nobody works on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stale {
    /// Its id.
    pub id: NotificationId,
    /// The event that caused it.
    pub event_id: EventId,
    /// Which order it is about, if any.
    pub order_id: Option<OrderId>,
    /// Which way it goes.
    pub channel: Channel,
    /// Its type key, `order_created`.
    pub type_key: String,
    /// Whether it is another one once more, by intent.
    pub resent: bool,
    /// When anything last happened to it.
    pub since: Timestamp,
}

/// Tells which notifications there are and which are stuck.
#[async_trait]
pub trait NotificationLedger: Send + Sync {
    /// What was written down about these orders, each type once an order. What went to cold storage is not in
    /// it.
    async fn heard(&self, orders: &[OrderId]) -> Result<Vec<Heard>, StoreError>;

    /// Up to `limit` (at least 1) of those that are `queued`, that nobody holds, and to which nothing
    /// happened since `until`; by ascending id (its bytes), and after the one with this id.
    async fn stale(
        &self,
        until: Timestamp,
        after: Option<NotificationId>,
        limit: u32,
    ) -> Result<Vec<Stale>, StoreError>;
}
