//! What was written down, and what is stuck.

use async_trait::async_trait;
use core_kernel::{EventId, NotificationId, OrderId};
use core_notify::{Channel, Heard, NotificationLedger, Stale, StoreError};
use jiff::Timestamp;
use sqlx::FromRow;
use uuid::Uuid;

use super::SqliteNotificationStore;
use crate::error::{Inconsistent, notify_error};
use crate::value::Micros;

const HEARD: &str = "SELECT DISTINCT type FROM notifications WHERE order_id = ?1";

const STALE: &str = "
    SELECT id, event_id, order_id, channel, type, updated_at,
           resend_of IS NOT NULL AS resent
    FROM notifications
    WHERE status = 'queued' AND updated_at <= ?1 AND (lease_until IS NULL OR lease_until < ?2)
      AND id > ?3
    ORDER BY id LIMIT ?4";

#[derive(FromRow)]
struct StaleRow {
    id: Uuid,
    event_id: Uuid,
    order_id: Option<Uuid>,
    channel: String,
    #[sqlx(rename = "type")]
    type_key: String,
    updated_at: Micros,
    resent: bool,
}

impl TryFrom<StaleRow> for Stale {
    type Error = StoreError;

    fn try_from(row: StaleRow) -> Result<Self, StoreError> {
        let broken = || Inconsistent::boxed("notifications", row.id, "unknown channel");
        let channel = Channel::from_word(&row.channel);
        Ok(Self {
            id: NotificationId(row.id),
            event_id: EventId(row.event_id),
            order_id: row.order_id.map(OrderId),
            channel: channel.ok_or_else(|| StoreError::Broken(broken()))?,
            type_key: row.type_key,
            resent: row.resent,
            since: row.updated_at.0,
        })
    }
}

#[async_trait]
impl NotificationLedger for SqliteNotificationStore {
    async fn heard(&self, orders: &[OrderId]) -> Result<Vec<Heard>, StoreError> {
        let mut all = Vec::new();
        for order in orders {
            let types = sqlx::query_scalar(HEARD).bind(order.0);
            let types: Vec<String> = types.fetch_all(self.0.read()).await.map_err(notify_error)?;
            all.extend(types.into_iter().map(|type_key| Heard {
                order_id: *order,
                type_key,
            }));
        }
        Ok(all)
    }

    async fn stale(
        &self,
        until: Timestamp,
        after: Option<NotificationId>,
        limit: u32,
    ) -> Result<Vec<Stale>, StoreError> {
        let rows = sqlx::query_as(STALE)
            .bind(Micros(until))
            .bind(Micros(self.0.clock.now()))
            .bind(after.map_or(Uuid::nil(), |id| id.0))
            .bind(i64::from(limit))
            .fetch_all(self.0.read());
        let rows: Vec<StaleRow> = rows.await.map_err(notify_error)?;
        rows.into_iter().map(Stale::try_from).collect()
    }
}
