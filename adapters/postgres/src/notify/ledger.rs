//! What was written down, and what is stuck.

use async_trait::async_trait;
use core_kernel::{EventId, NotificationId, OrderId};
use core_notify::{Channel, Heard, NotificationLedger, Stale, StoreError};
use jiff::Timestamp;
use jiff_sqlx::ToSqlx;
use sqlx::FromRow;
use uuid::Uuid;

use super::PgNotificationStore;
use crate::error::{Inconsistent, notify_error};
use crate::pool::within;

const HEARD: &str = "SELECT DISTINCT order_id, type FROM notifications WHERE order_id = ANY($1)";

const STALE: &str = "
    SELECT id, event_id, order_id, channel, type, updated_at,
           resend_of IS NOT NULL AS resent
    FROM notifications
    WHERE status = 'queued' AND updated_at <= $1 AND (lease_until IS NULL OR lease_until < now())
      AND id > $2
    ORDER BY id LIMIT $3";

#[derive(FromRow)]
struct StaleRow {
    id: Uuid,
    event_id: Uuid,
    order_id: Option<Uuid>,
    channel: String,
    #[sqlx(rename = "type")]
    type_key: String,
    updated_at: jiff_sqlx::Timestamp,
    resent: bool,
}

impl TryFrom<StaleRow> for Stale {
    type Error = StoreError;

    fn try_from(row: StaleRow) -> Result<Self, StoreError> {
        let broken = || {
            let (table, what) = ("notifications", "unknown channel");
            let id = row.id.to_string();
            StoreError::Broken(Box::new(Inconsistent { table, id, what }))
        };
        Ok(Self {
            id: NotificationId(row.id),
            event_id: EventId(row.event_id),
            order_id: row.order_id.map(OrderId),
            channel: Channel::from_word(&row.channel).ok_or_else(broken)?,
            type_key: row.type_key,
            resent: row.resent,
            since: row.updated_at.to_jiff(),
        })
    }
}

#[async_trait]
impl NotificationLedger for PgNotificationStore {
    async fn heard(&self, orders: &[OrderId]) -> Result<Vec<Heard>, StoreError> {
        let ids: Vec<Uuid> = orders.iter().map(|id| id.0).collect();
        let rows = sqlx::query_as(HEARD).bind(&ids).fetch_all(&self.pool);
        let rows: Vec<(Uuid, String)> = within(rows).await.map_err(notify_error)?;
        let heard = |(order, type_key)| Heard {
            order_id: OrderId(order),
            type_key,
        };
        Ok(rows.into_iter().map(heard).collect())
    }

    async fn stale(
        &self,
        until: Timestamp,
        after: Option<NotificationId>,
        limit: u32,
    ) -> Result<Vec<Stale>, StoreError> {
        let rows = sqlx::query_as(STALE)
            .bind(until.to_sqlx())
            .bind(after.map_or(Uuid::nil(), |id| id.0))
            .bind(i64::from(limit))
            .fetch_all(&self.pool);
        let rows: Vec<StaleRow> = within(rows).await.map_err(notify_error)?;
        rows.into_iter().map(Stale::try_from).collect()
    }
}
