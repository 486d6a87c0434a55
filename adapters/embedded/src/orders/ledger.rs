//! Orders with their history and their events, many at a time.

use async_trait::async_trait;
use core_kernel::{EventId, OrderId, RequestContext};
use core_orders::{Ledger, LedgerEvent, OrderEvent, OrderLedger, Repair, Step, StoreError};
use sqlx::{FromRow, SqliteConnection};
use uuid::Uuid;

use super::SqliteOrderStore;
use crate::error::order_error;
use crate::value::Micros;

const AFTER: &str = "
    SELECT id, status, created_at, confirmed_at, shipped_at, delivered_at
    FROM orders WHERE id > ?1 ORDER BY id LIMIT ?2";

const OF: &str = "
    SELECT id, status, created_at, confirmed_at, shipped_at, delivered_at
    FROM orders WHERE id = ?1";

const STEPS: &str = "
    SELECT from_status, to_status, at FROM order_history WHERE order_id = ?1 ORDER BY id";

const EVENTS: &str = "
    SELECT event_id, event_type, published_at FROM order_outbox WHERE subject = ?1 ORDER BY id";

const RESTORE: &str = "
    INSERT INTO order_outbox (event_id, subject, event_type, routing_key, payload, traceparent,
                              tracestate, created_at)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
    ON CONFLICT (event_id) DO UPDATE SET published_at = NULL, retry_at = NULL
    WHERE published_at IS NOT NULL";

const NOTE: &str = "
    INSERT INTO order_repairs (order_id, event_id, event_type, finding, actor, at)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6)";

#[derive(FromRow)]
struct OrderRow {
    id: Uuid,
    status: String,
    created_at: Micros,
    confirmed_at: Option<Micros>,
    shipped_at: Option<Micros>,
    delivered_at: Option<Micros>,
}

#[derive(FromRow)]
struct StepRow {
    from_status: Option<String>,
    to_status: String,
    at: Micros,
}

#[derive(FromRow)]
struct EventRow {
    event_id: Uuid,
    event_type: String,
    published_at: Option<Micros>,
}

/// The orders with what belongs to them. It is one process with its file, so a statement an order
/// costs nothing.
async fn ledgers(
    connection: &mut SqliteConnection,
    rows: Vec<OrderRow>,
) -> sqlx::Result<Vec<Ledger>> {
    let mut all = Vec::with_capacity(rows.len());
    for row in rows {
        let steps = sqlx::query_as(STEPS).bind(row.id);
        let steps: Vec<StepRow> = steps.fetch_all(&mut *connection).await?;
        let events = sqlx::query_as(EVENTS).bind(row.id);
        let events: Vec<EventRow> = events.fetch_all(&mut *connection).await?;
        let times = [row.confirmed_at, row.shipped_at, row.delivered_at];
        let step = |row: StepRow| Step {
            from: row.from_status,
            to: row.to_status,
            at: row.at.0,
        };
        let event = |row: EventRow| LedgerEvent {
            event_id: EventId(row.event_id),
            event_type: row.event_type,
            published_at: row.published_at.map(|at| at.0),
        };
        all.push(Ledger {
            id: OrderId(row.id),
            status: row.status,
            created_at: row.created_at.0,
            times: times.map(|at| at.map(|at| at.0)),
            steps: steps.into_iter().map(step).collect(),
            events: events.into_iter().map(event).collect(),
        });
    }
    Ok(all)
}

impl SqliteOrderStore {
    async fn restored(
        &self,
        event: &OrderEvent,
        payload: String,
        repair: &Repair,
        context: &RequestContext,
    ) -> sqlx::Result<bool> {
        let mut transaction = self.0.write().await?;
        let done = sqlx::query(RESTORE)
            .bind(event.id().0)
            .bind(event.order_id().0)
            .bind(event.event_type())
            .bind(event.routing_key())
            .bind(payload)
            .bind(context.trace.traceparent())
            .bind(context.trace.tracestate().map(str::to_owned))
            .bind(Micros(event.occurred_at()))
            .execute(&mut *transaction)
            .await?;
        if done.rows_affected() == 0 {
            return Ok(false);
        }
        sqlx::query(NOTE)
            .bind(event.order_id().0)
            .bind(event.id().0)
            .bind(event.event_type())
            .bind(repair.finding)
            .bind(repair.actor.clone())
            .bind(Micros(repair.at))
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(true)
    }
}

#[async_trait]
impl OrderLedger for SqliteOrderStore {
    async fn ledgers_after(
        &self,
        after: Option<OrderId>,
        limit: u32,
    ) -> Result<Vec<Ledger>, StoreError> {
        let read = async {
            // A transaction sees the file as it was when it began to read.
            let mut transaction = self.0.read().begin().await?;
            let rows = sqlx::query_as(AFTER)
                .bind(after.map_or(Uuid::nil(), |id| id.0))
                .bind(i64::from(limit))
                .fetch_all(&mut *transaction)
                .await?;
            ledgers(&mut transaction, rows).await
        };
        read.await.map_err(order_error)
    }

    async fn ledgers_of(&self, ids: &[OrderId]) -> Result<Vec<Ledger>, StoreError> {
        let read = async {
            let mut transaction = self.0.read().begin().await?;
            let mut rows = Vec::with_capacity(ids.len());
            for id in ids {
                let row = sqlx::query_as(OF).bind(id.0);
                rows.extend(row.fetch_optional(&mut *transaction).await?);
            }
            ledgers(&mut transaction, rows).await
        };
        read.await.map_err(order_error)
    }

    async fn restore(
        &self,
        event: &OrderEvent,
        repair: &Repair,
        context: &RequestContext,
    ) -> Result<bool, StoreError> {
        let payload = event.to_json();
        let payload = payload.map_err(|error| StoreError::Broken(error.into()))?;
        let restored = self.restored(event, payload, repair, context).await;
        restored.map_err(order_error)
    }
}
