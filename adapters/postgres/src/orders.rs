//! Orders with their history and their events.

mod row;

use async_trait::async_trait;
use core_kernel::{OrderId, Page, PageRequest, RequestContext, UserScope};
use core_orders::{
    Change, HistoryEntry, Order, OrderEvent, OrderFilter, OrderSort, OrderStore, OrderSummary,
    Placed, SortField, StoreError,
};
use jiff_sqlx::ToSqlx;
use sqlx::postgres::{PgArguments, PgPool};
use sqlx::query::Query;
use sqlx::types::Json;
use sqlx::{AssertSqlSafe, Row};
use uuid::Uuid;

use crate::error::order_error;
use row::{HistoryRow, OrderRow, SummaryRow};

const FIND: &str = "
    SELECT id, user_id, status, items, shipping_address, total_amount, currency, notes,
           confirmed_at, shipped_at, delivered_at, created_at, updated_at
    FROM orders WHERE id = $1";

const HISTORY: &str = "
    SELECT from_status, to_status, actor_id, actor_role, at, request_id, trace_id
    FROM order_history WHERE order_id = $1 ORDER BY id";

// Order, history and events in one statement: one transaction and one round trip.
const INSERT: &str = "
    WITH placed AS (
        INSERT INTO orders (id, user_id, status, items, shipping_address, total_amount, currency,
                            notes, created_at, updated_at)
        VALUES ($1, $10, $3, $11, $12, $13, $14, $15, $6, $6)
    ), logged AS (
        INSERT INTO order_history (order_id, from_status, to_status, actor_id, actor_role, at,
                                   request_id, trace_id)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
    )
    INSERT INTO order_outbox (subject, created_at, traceparent, tracestate, event_id, event_type,
                              routing_key, payload)
    SELECT $1, $6, $9, $16, event.*
    FROM unnest($17::uuid[], $18::text[], $19::text[], $20::text[]) AS event";

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
                                   request_id, trace_id)
        SELECT id, $2, $3, $4, $5, $6, $7, $8 FROM moved
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
    pub(crate) pool: PgPool,
}

impl PgOrderStore {
    /// The store on this pool.
    #[must_use]
    pub fn new(pool: PgPool) -> Self {
        Self { pool }
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

/// Binds the last five: the vendors' trace state and the events, column by column.
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

/// One page and the total in one round trip; the total comes even when the page is empty.
fn list_sql(filter: OrderFilter, sort: OrderSort) -> String {
    let column = match sort.by {
        SortField::CreatedAt => "created_at",
        SortField::UpdatedAt => "updated_at",
        SortField::TotalAmount => "total_amount",
        SortField::Status => "status",
    };
    let direction = if sort.descending { "DESC" } else { "ASC" };
    let user = match filter.scope {
        UserScope::One(_) => "user_id = $1",
        UserScope::All => "$1::uuid IS NULL",
    };
    let status = match filter.status {
        Some(_) => "status = $2",
        None => "$2::text IS NULL",
    };
    format!(
        "SELECT counted.total, page.id, page.status, page.total_amount, page.currency,
                page.created_at
         FROM (SELECT count(*) AS total FROM orders WHERE {user} AND {status}) AS counted
         LEFT JOIN LATERAL (
             SELECT id, status, total_amount, currency, created_at, updated_at
             FROM orders WHERE {user} AND {status}
             ORDER BY {column} {direction}, id {direction}
             LIMIT $3 OFFSET $4
         ) AS page ON true
         ORDER BY page.{column} {direction}, page.id {direction}"
    )
}

#[async_trait]
impl OrderStore for PgOrderStore {
    async fn find(&self, id: OrderId) -> Result<Option<Order>, StoreError> {
        sqlx::query_as::<_, OrderRow>(FIND)
            .bind(id.0)
            .fetch_optional(&self.pool)
            .await
            .map_err(order_error)?
            .map(Order::try_from)
            .transpose()
    }

    async fn list(
        &self,
        filter: OrderFilter,
        sort: OrderSort,
        page: PageRequest,
    ) -> Result<Page<OrderSummary>, StoreError> {
        let user = match filter.scope {
            UserScope::One(id) => Some(id.0),
            UserScope::All => None,
        };
        // Assembled from the constant pieces above; every value is bound.
        let rows: Vec<SummaryRow> = sqlx::query_as(AssertSqlSafe(list_sql(filter, sort)))
            .bind(user)
            .bind(filter.status.map(core_orders::OrderStatus::as_str))
            .bind(i64::from(page.limit))
            .bind(i64::try_from(page.offset()).unwrap_or(i64::MAX))
            .fetch_all(&self.pool)
            .await
            .map_err(order_error)?;
        let total = rows.first().map_or(0, |row| row.total.unsigned_abs());
        let items = rows
            .into_iter()
            .filter_map(|row| row.summary().transpose())
            .collect::<Result<_, _>>()?;
        Ok(Page { items, total })
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
        let order = &placed.order;
        let query = bind_entry(sqlx::query(INSERT), order.id, &placed.history, context)
            .bind(order.user_id.0)
            .bind(Json(&order.items))
            .bind(Json(&order.shipping_address))
            .bind(order.total_amount.as_decimal())
            .bind(order.currency.code())
            .bind(order.notes.as_ref().map(|notes| notes.as_str().to_owned()));
        bind_events(query, &placed.events, context)?
            .execute(&self.pool)
            .await
            .map(drop)
            .map_err(order_error)
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
        let row = bind_events(query, &change.events, context)?
            .fetch_one(&self.pool)
            .await
            .map_err(order_error)?;
        match row.try_get::<i64, _>(0).map_err(order_error)? {
            0 => Err(StoreError::Conflict),
            _ => Ok(()),
        }
    }
}
