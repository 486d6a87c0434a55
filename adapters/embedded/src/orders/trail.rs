//! What became of the events of one order.

use async_trait::async_trait;
use core_kernel::{EventId, OrderId};
use core_orders::{OrderTrail, StoreError, TrailEvent};
use sqlx::FromRow;
use uuid::Uuid;

use super::SqliteOrderStore;
use crate::error::order_error;
use crate::value::Micros;

// No index serves it: an operator asks now and then, and writers would pay for it with every order.
const EVENTS: &str = "
    SELECT event_id, event_type, traceparent, created_at, published_at, refusals
    FROM order_outbox WHERE subject = ?1 ORDER BY id";

#[derive(FromRow)]
struct EventRow {
    event_id: Uuid,
    event_type: String,
    traceparent: String,
    created_at: Micros,
    published_at: Option<Micros>,
    refusals: i64,
}

impl From<EventRow> for TrailEvent {
    fn from(row: EventRow) -> Self {
        Self {
            event_id: EventId(row.event_id),
            event_type: row.event_type,
            traceparent: row.traceparent,
            created_at: row.created_at.0,
            published_at: row.published_at.map(|at| at.0),
            refusals: u32::try_from(row.refusals).unwrap_or(u32::MAX),
        }
    }
}

#[async_trait]
impl OrderTrail for SqliteOrderStore {
    async fn events(&self, id: OrderId) -> Result<Vec<TrailEvent>, StoreError> {
        let rows = sqlx::query_as(EVENTS).bind(id.0).fetch_all(self.0.read());
        let rows: Vec<EventRow> = rows.await.map_err(order_error)?;
        Ok(rows.into_iter().map(TrailEvent::from).collect())
    }
}
