//! Orders with their history and their events, many at a time.

use std::collections::HashMap;

use async_trait::async_trait;
use core_kernel::{EventId, OrderId, RequestContext};
use core_orders::{Ledger, LedgerEvent, OrderEvent, OrderLedger, Repair, Step, StoreError};
use jiff::Timestamp;
use jiff_sqlx::ToSqlx;
use sqlx::{FromRow, PgConnection};
use uuid::Uuid;

use super::PgOrderStore;
use crate::error::order_error;
use crate::pool::within;

// What is compared is read at one moment, or every order that moves meanwhile would not fit.
const BEGIN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

const AFTER: &str = "
    SELECT id, status, created_at, confirmed_at, shipped_at, delivered_at
    FROM orders WHERE id > $1 ORDER BY id LIMIT $2";

const OF: &str = "
    SELECT id, status, created_at, confirmed_at, shipped_at, delivered_at
    FROM orders WHERE id = ANY($1)";

const STEPS: &str = "
    SELECT order_id, from_status, to_status, at
    FROM order_history WHERE order_id = ANY($1) ORDER BY id";

const EVENTS: &str = "
    SELECT subject, event_id, event_type, published_at
    FROM order_outbox WHERE subject = ANY($1) ORDER BY id";

const RESTORE: &str = "
    WITH queued AS (
        INSERT INTO order_outbox (event_id, subject, event_type, routing_key, payload,
                                  traceparent, tracestate, created_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
        ON CONFLICT (event_id) DO UPDATE SET published_at = NULL, retry_at = NULL
        WHERE order_outbox.published_at IS NOT NULL
        RETURNING event_id
    ), noted AS (
        INSERT INTO order_repairs (order_id, event_id, event_type, finding, actor, at)
        SELECT $2, $1, $3, $9, $10, $11 FROM queued
    )
    SELECT count(*) FROM queued";

#[derive(FromRow)]
struct OrderRow {
    id: Uuid,
    status: String,
    created_at: jiff_sqlx::Timestamp,
    confirmed_at: Option<jiff_sqlx::Timestamp>,
    shipped_at: Option<jiff_sqlx::Timestamp>,
    delivered_at: Option<jiff_sqlx::Timestamp>,
}

#[derive(FromRow)]
struct StepRow {
    order_id: Uuid,
    from_status: Option<String>,
    to_status: String,
    at: jiff_sqlx::Timestamp,
}

#[derive(FromRow)]
struct EventRow {
    subject: Uuid,
    event_id: Uuid,
    event_type: String,
    published_at: Option<jiff_sqlx::Timestamp>,
}

fn time(at: Option<jiff_sqlx::Timestamp>) -> Option<Timestamp> {
    at.map(jiff_sqlx::Timestamp::to_jiff)
}

/// The orders with what belongs to them.
async fn ledgers(connection: &mut PgConnection, rows: Vec<OrderRow>) -> sqlx::Result<Vec<Ledger>> {
    let ids: Vec<Uuid> = rows.iter().map(|row| row.id).collect();
    let steps = sqlx::query_as(STEPS).bind(&ids);
    let steps: Vec<StepRow> = steps.fetch_all(&mut *connection).await?;
    let events = sqlx::query_as(EVENTS).bind(&ids).fetch_all(connection);
    let events: Vec<EventRow> = events.await?;
    let ledger = |row: OrderRow| Ledger {
        id: OrderId(row.id),
        status: row.status,
        created_at: row.created_at.to_jiff(),
        times: [row.confirmed_at, row.shipped_at, row.delivered_at].map(time),
        steps: Vec::new(),
        events: Vec::new(),
    };
    let mut all: Vec<Ledger> = rows.into_iter().map(ledger).collect();
    let mut places: HashMap<Uuid, &mut Ledger> =
        all.iter_mut().map(|ledger| (ledger.id.0, ledger)).collect();
    for row in steps {
        if let Some(ledger) = places.get_mut(&row.order_id) {
            ledger.steps.push(Step {
                from: row.from_status,
                to: row.to_status,
                at: row.at.to_jiff(),
            });
        }
    }
    for row in events {
        if let Some(ledger) = places.get_mut(&row.subject) {
            ledger.events.push(LedgerEvent {
                event_id: EventId(row.event_id),
                event_type: row.event_type,
                published_at: time(row.published_at),
            });
        }
    }
    Ok(all)
}

#[async_trait]
impl OrderLedger for PgOrderStore {
    async fn ledgers_after(
        &self,
        after: Option<OrderId>,
        limit: u32,
    ) -> Result<Vec<Ledger>, StoreError> {
        let read = async {
            let mut transaction = self.pool.pool().begin_with(BEGIN).await?;
            let rows = sqlx::query_as(AFTER)
                .bind(after.map_or(Uuid::nil(), |id| id.0))
                .bind(i64::from(limit))
                .fetch_all(&mut *transaction)
                .await?;
            let all = ledgers(&mut transaction, rows).await?;
            transaction.commit().await?;
            Ok(all)
        };
        within(read).await.map_err(order_error)
    }

    async fn ledgers_of(&self, ids: &[OrderId]) -> Result<Vec<Ledger>, StoreError> {
        let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
        let read = async {
            let mut transaction = self.pool.pool().begin_with(BEGIN).await?;
            let rows = sqlx::query_as(OF).bind(&ids);
            let rows = rows.fetch_all(&mut *transaction).await?;
            let all = ledgers(&mut transaction, rows).await?;
            transaction.commit().await?;
            Ok(all)
        };
        within(read).await.map_err(order_error)
    }

    async fn restore(
        &self,
        event: &OrderEvent,
        repair: &Repair,
        context: &RequestContext,
    ) -> Result<bool, StoreError> {
        let payload = event.to_json();
        let payload = payload.map_err(|error| StoreError::Broken(error.into()))?;
        let restored = sqlx::query_scalar(RESTORE)
            .bind(event.id().0)
            .bind(event.order_id().0)
            .bind(event.event_type())
            .bind(event.routing_key())
            .bind(payload)
            .bind(context.trace.traceparent())
            .bind(context.trace.tracestate().map(str::to_owned))
            .bind(event.occurred_at().to_sqlx())
            .bind(repair.finding)
            .bind(&repair.actor)
            .bind(repair.at.to_sqlx());
        let restored: i64 = within(restored.fetch_one(&self.pool))
            .await
            .map_err(order_error)?;
        Ok(restored > 0)
    }
}
