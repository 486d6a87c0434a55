//! What became of the events of one order, for who looks into it.

use async_trait::async_trait;
use core_kernel::{EventId, OrderId};
use jiff::Timestamp;

use crate::ports::StoreError;

/// An event of an order on its way to the broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrailEvent {
    /// Its id.
    pub event_id: EventId,
    /// What happened, `OrderCreated`.
    pub event_type: String,
    /// W3C trace context of the request that caused it.
    pub traceparent: String,
    /// When it was stored.
    pub created_at: Timestamp,
    /// When the broker took it, if it did.
    pub published_at: Option<Timestamp>,
    /// How often the broker did not take it.
    pub refusals: u32,
}

/// Tells of the events of an order.
#[async_trait]
pub trait OrderTrail: Send + Sync {
    /// All that are still there, in the order in which they were stored. Published ones are kept for
    /// [`core_kernel::KEEP_PUBLISHED`].
    async fn events(&self, id: OrderId) -> Result<Vec<TrailEvent>, StoreError>;
}
