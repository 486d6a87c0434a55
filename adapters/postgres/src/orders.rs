//! Orders with their history and their events.

mod ledger;
mod list;
mod row;
mod totals;
mod trail;

use std::sync::Arc;

use async_trait::async_trait;
use core_kernel::{OrderId, Page, PageRequest, RequestContext, Slice};
use core_orders::{
    Change, HistoryEntry, IdempotencyKey, KeyedRequest, Once, Order, OrderEvent, OrderFilter,
    OrderPosition, OrderSort, OrderStore, OrderSummary, Placed, StoreError,
};
use jiff::Timestamp;
use jiff_sqlx::ToSqlx;
use sqlx::postgres::{PgArguments, PgPool};
use sqlx::query::Query;
use sqlx::types::Json;
use sqlx::{FromRow, Row};
use uuid::Uuid;

use crate::by_id::Finds;
use crate::error::order_error;
use crate::pool::within;
use crate::together::Together;
use crate::warm::WarmPool;
use list::Texts;
use row::{HistoryRow, InsertRow, OrderRow};
use totals::Totals;

const FIND: &str = "
    SELECT id, user_id, status, items, shipping_address, total_amount, currency, notes,
           confirmed_at, shipped_at, delivered_at, created_at, updated_at
    FROM orders
    JOIN (SELECT id FROM unnest((SELECT $1::uuid[])) AS id LIMIT (SELECT $2::bigint)) AS wanted
      USING (id)";

const HISTORY: &str = "
    SELECT from_status, to_status, actor_id, actor_role, at, request_id, trace_id, reason
    FROM order_history WHERE order_id = $1 ORDER BY id";

// Order, history, events and the request's key, if it has one, in one statement: one transaction
// and one round trip.
//
// The key's lock tells of a request that is being worked on: it is held for as long as its
// transaction and no longer, so a crash leaves nothing to wait for. The unique key tells of one that
// is done, also when it became so after this statement began, whose last line cannot see it then.
const INSERT: &str = "
    WITH turn AS MATERIALIZED (
        SELECT CASE WHEN $21::text IS NULL THEN true
                    ELSE pg_try_advisory_xact_lock(hashtextextended($10::text || $21, 0))
               END AS ours
    ), kept AS (
        INSERT INTO order_keys AS known (user_id, key, fingerprint, order_id, created_at)
        SELECT $10, $21, $22, $1, $6 FROM turn WHERE ours AND $21 IS NOT NULL
        ON CONFLICT (user_id, key) DO UPDATE
        SET fingerprint = excluded.fingerprint, order_id = excluded.order_id,
            created_at = excluded.created_at
        WHERE known.created_at <= $23
        RETURNING key
    ), free AS (
        SELECT key FROM kept UNION ALL SELECT NULL WHERE $21 IS NULL
    ), placed AS (
        INSERT INTO orders (id, user_id, status, items, shipping_address, total_amount, currency,
                            notes, created_at, updated_at)
        SELECT $1, $10, $3, $11, $12, $13, $14, $15, $6, $6 FROM free
    ), logged AS (
        INSERT INTO order_history (order_id, from_status, to_status, actor_id, actor_role, at,
                                   request_id, trace_id)
        SELECT $1, $2, $3, $4, $5, $6, $7, $8 FROM free
    ), queued AS (
        INSERT INTO order_outbox (subject, created_at, traceparent, tracestate, event_id,
                                  event_type, routing_key, payload)
        SELECT $1, $6, $9, $16, event.*
        FROM free, unnest($17::uuid[], $18::text[], $19::text[], $20::text[]) AS event
    )
    SELECT turn.ours, EXISTS (SELECT FROM free) AS inserted, known.fingerprint, known.order_id
    FROM turn
    LEFT JOIN order_keys AS known
           ON known.user_id = $10 AND known.key = $21 AND known.created_at > $23";

// Whatever another instance is pruning is left to it.
const PRUNE_KEYS: &str = "
    DELETE FROM order_keys USING (
        SELECT user_id, key FROM order_keys WHERE created_at <= $1
        ORDER BY created_at LIMIT $2 FOR UPDATE SKIP LOCKED
    ) AS old
    WHERE order_keys.user_id = old.user_id AND order_keys.key = old.key";

// The guard on the status comes first and locks the row; history and events follow only from a row
// that it let through. So two events of one order can never be numbered out of order.
const COMMIT: &str = "
    WITH moved AS (
        UPDATE orders
        SET status = $3, confirmed_at = $10, shipped_at = $11, delivered_at = $12, updated_at = $6
        WHERE id = $1 AND status = $2
        RETURNING id
    ), logged AS (
        INSERT INTO order_history (order_id, from_status, to_status, actor_id, actor_role, at,
                                   request_id, trace_id, reason)
        SELECT id, $2, $3, $4, $5, $6, $7, $8, $18 FROM moved
    ), queued AS (
        INSERT INTO order_outbox (subject, created_at, traceparent, tracestate, event_id,
                                  event_type, routing_key, payload)
        SELECT moved.id, $6, $9, $13, event.*
        FROM moved, unnest($14::uuid[], $15::text[], $16::text[], $17::text[]) AS event
    )
    SELECT count(*) FROM moved";

/// Orders in the tables `orders`, `order_history` and `order_outbox` (PRD §9.2).
#[derive(Clone, Debug)]
pub struct PgOrderStore {
    pub(crate) pool: WarmPool,
    finds: Together<Finds<OrderRow>>,
    totals: Arc<Totals>,
    texts: Arc<Texts>,
}

impl PgOrderStore {
    /// The store on this pool.
    #[must_use]
    pub fn new(pool: PgPool) -> Self {
        let pool = WarmPool::new(pool);
        Self {
            finds: Together::new(Finds::new(pool.clone(), FIND)),
            pool,
            totals: Arc::default(),
            texts: Arc::default(),
        }
    }

    /// How many connections it keeps for its next statements; the pool takes them for used ones.
    #[must_use]
    pub fn kept_connections(&self) -> usize {
        self.pool.kept()
    }

    async fn try_insert(
        &self,
        placed: &Placed,
        request: Option<&KeyedRequest>,
        context: &RequestContext,
    ) -> Result<InsertRow, StoreError> {
        let order = &placed.order;
        let query = bind_entry(sqlx::query(INSERT), order.id, &placed.history, context)
            .bind(order.user_id.0)
            .bind(Json(&order.items))
            .bind(Json(&order.shipping_address))
            .bind(order.total_amount.as_decimal())
            .bind(order.currency.code())
            .bind(order.notes.as_ref().map(|notes| notes.as_str().to_owned()));
        let forgotten = IdempotencyKey::forgotten(order.created_at);
        let row = bind_events(query, &placed.events, context)?
            .bind(request.map(|request| request.key.as_str().to_owned()))
            .bind(request.map(|request| request.fingerprint.0.to_vec()))
            .bind(forgotten.to_sqlx())
            .fetch_one(&self.pool)
            .await
            .map_err(order_error)?;
        InsertRow::from_row(&row).map_err(order_error)
    }
}

/// Binds `$1` to `$9`: what history and outbox need of any decision.
fn bind_entry<'q>(
    query: Query<'q, sqlx::Postgres, PgArguments>,
    id: OrderId,
    entry: &HistoryEntry,
    context: &RequestContext,
) -> Query<'q, sqlx::Postgres, PgArguments> {
    query
        .bind(id.0)
        .bind(entry.from.map(core_orders::OrderStatus::as_str))
        .bind(entry.to.as_str())
        .bind(entry.actor.id.clone())
        .bind(entry.actor.role.clone())
        .bind(entry.at.to_sqlx())
        .bind(entry.request_id.to_string())
        .bind(entry.trace_id.clone())
        .bind(context.trace.traceparent())
}

/// Binds five more: the vendors' trace state and the events, column by column.
fn bind_events<'q>(
    query: Query<'q, sqlx::Postgres, PgArguments>,
    events: &[OrderEvent],
    context: &RequestContext,
) -> Result<Query<'q, sqlx::Postgres, PgArguments>, StoreError> {
    let payloads = events
        .iter()
        .map(OrderEvent::to_json)
        .collect::<Result<Vec<String>, _>>()
        .map_err(|error| StoreError::Broken(error.into()))?;
    let ids: Vec<Uuid> = events.iter().map(|event| event.id().0).collect();
    let types: Vec<&str> = events.iter().map(OrderEvent::event_type).collect();
    let keys: Vec<&str> = events.iter().map(OrderEvent::routing_key).collect();
    Ok(query
        .bind(context.trace.tracestate().map(str::to_owned))
        .bind(ids)
        .bind(types)
        .bind(keys)
        .bind(payloads))
}

#[async_trait]
impl OrderStore for PgOrderStore {
    async fn find(&self, id: OrderId) -> Result<Option<Order>, StoreError> {
        let found = self.finds.ask(id.0).await.map_err(order_error)?;
        found.map(Order::try_from).transpose()
    }

    async fn list(
        &self,
        filter: OrderFilter,
        sort: OrderSort,
        page: PageRequest,
    ) -> Result<Page<OrderSummary>, StoreError> {
        list::page(self, filter, sort, page).await
    }

    async fn list_after(
        &self,
        filter: OrderFilter,
        after: OrderPosition,
        limit: u32,
    ) -> Result<Slice<OrderSummary>, StoreError> {
        list::after(self, filter, after, limit).await
    }

    async fn history(&self, id: OrderId) -> Result<Vec<HistoryEntry>, StoreError> {
        sqlx::query_as::<_, HistoryRow>(HISTORY)
            .bind(id.0)
            .fetch_all(&self.pool)
            .await
            .map_err(order_error)?
            .into_iter()
            .map(|row| row.entry(id))
            .collect()
    }

    async fn insert(&self, placed: &Placed, context: &RequestContext) -> Result<(), StoreError> {
        self.try_insert(placed, None, context).await.map(drop)
    }

    async fn insert_once(
        &self,
        placed: &Placed,
        request: &KeyedRequest,
        context: &RequestContext,
    ) -> Result<Once, StoreError> {
        for _ in 0..2 {
            let row = self.try_insert(placed, Some(request), context).await?;
            if let Some(once) = row.once(request) {
                return Ok(once);
            }
        }
        // Twice another came in between: one that expired, and one that took its place.
        Ok(Once::InFlight)
    }

    async fn prune_keys(&self, until: Timestamp, limit: u32) -> Result<u64, StoreError> {
        let pruned = sqlx::query(PRUNE_KEYS)
            .bind(until.to_sqlx())
            .bind(i64::from(limit))
            .execute(&self.pool);
        let pruned = within(pruned).await.map_err(order_error)?;
        Ok(pruned.rows_affected())
    }

    async fn commit(&self, change: &Change, context: &RequestContext) -> Result<(), StoreError> {
        let state = change.order.state;
        let query = bind_entry(
            sqlx::query(COMMIT),
            change.order.id,
            &change.history,
            context,
        )
        .bind(state.confirmed_at().map(ToSqlx::to_sqlx))
        .bind(state.shipped_at().map(ToSqlx::to_sqlx))
        .bind(state.delivered_at().map(ToSqlx::to_sqlx));
        let reason = change.history.reason.as_ref();
        let row = bind_events(query, &change.events, context)?
            .bind(reason.map(|reason| reason.as_str().to_owned()))
            .fetch_one(&self.pool)
            .await
            .map_err(order_error)?;
        match row.try_get::<i64, _>(0).map_err(order_error)? {
            0 => Err(StoreError::Conflict),
            _ => Ok(()),
        }
    }
}
