//! Orders with their history and their events.

mod ledger;
mod list;
mod row;
mod trail;

use async_trait::async_trait;
use core_kernel::{OrderId, OutboxMessage, Page, PageRequest, RequestContext, Slice};
use core_orders::{
    Change, HistoryEntry, IdempotencyKey, KeyedRequest, Once, Order, OrderEvent, OrderFilter,
    OrderPosition, OrderSort, OrderStatus, OrderStore, OrderSummary, Placed, StoreError,
};
use jiff::Timestamp;
use sqlx::SqliteConnection;
use sqlx::types::Json;
use uuid::Uuid;

use crate::database::Database;
use crate::error::order_error;
use crate::outbox;
use crate::value::{Amount, Micros};
use row::{HistoryRow, OrderRow};

const FIND: &str = "
    SELECT id, user_id, status, items, shipping_address, total_amount, currency, notes,
           confirmed_at, shipped_at, delivered_at, created_at, updated_at
    FROM orders WHERE id = ?1";

const HISTORY: &str = "
    SELECT from_status, to_status, actor_id, actor_role, at, request_id, trace_id, reason
    FROM order_history WHERE order_id = ?1 ORDER BY id";

const INSERT: &str = "
    INSERT INTO orders (id, user_id, status, items, shipping_address, total_amount, currency,
                        notes, created_at, updated_at)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";

const UPDATE: &str = "
    UPDATE orders
    SET status = ?3, confirmed_at = ?4, shipped_at = ?5, delivered_at = ?6, updated_at = ?7
    WHERE id = ?1 AND status = ?2";

const LOG: &str = "
    INSERT INTO order_history (order_id, from_status, to_status, actor_id, actor_role, at,
                               request_id, trace_id, reason)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";

const KNOWN_KEY: &str = "
    SELECT fingerprint, order_id FROM order_keys
    WHERE user_id = ?1 AND key = ?2 AND created_at > ?3";

const KEEP_KEY: &str = "
    INSERT OR REPLACE INTO order_keys (user_id, key, fingerprint, order_id, created_at)
    VALUES (?1, ?2, ?3, ?4, ?5)";

const PRUNE_KEYS: &str = "
    DELETE FROM order_keys WHERE (user_id, key) IN (
        SELECT user_id, key FROM order_keys WHERE created_at <= ?1
        ORDER BY created_at LIMIT ?2)";

/// Orders in the tables `orders`, `order_history` and `order_outbox`.
#[derive(Clone, Debug)]
pub struct SqliteOrderStore(pub(crate) Database);

async fn log(
    connection: &mut SqliteConnection,
    order: OrderId,
    entry: &HistoryEntry,
) -> sqlx::Result<()> {
    sqlx::query(LOG)
        .bind(order.0)
        .bind(entry.from.map(OrderStatus::as_str))
        .bind(entry.to.as_str())
        .bind(entry.actor.id.clone())
        .bind(entry.actor.role.clone())
        .bind(Micros(entry.at))
        .bind(entry.request_id.to_string())
        .bind(entry.trace_id.clone())
        .bind(
            entry
                .reason
                .as_ref()
                .map(|reason| reason.as_str().to_owned()),
        )
        .execute(connection)
        .await
        .map(drop)
}

async fn queue(
    connection: &mut SqliteConnection,
    order: &Order,
    events: &[OrderEvent],
    context: &RequestContext,
) -> Result<(), StoreError> {
    for event in events {
        let payload = event.to_json();
        let message = OutboxMessage {
            event_id: event.id(),
            subject: order.id.0,
            event_type: event.event_type().to_owned(),
            routing_key: event.routing_key().to_owned(),
            payload: payload.map_err(|error| StoreError::Broken(error.into()))?,
            traceparent: context.trace.traceparent(),
            tracestate: context.trace.tracestate().map(str::to_owned),
            occurred_at: order.updated_at.as_second(),
        };
        outbox::put(connection, &message, order.updated_at)
            .await
            .map_err(order_error)?;
    }
    Ok(())
}

async fn insert_order(connection: &mut SqliteConnection, order: &Order) -> sqlx::Result<()> {
    sqlx::query(INSERT)
        .bind(order.id.0)
        .bind(order.user_id.0)
        .bind(order.state.status().as_str())
        .bind(Json(&order.items))
        .bind(Json(&order.shipping_address))
        .bind(Amount(order.total_amount))
        .bind(order.currency.code())
        .bind(order.notes.as_ref().map(|notes| notes.as_str().to_owned()))
        .bind(Micros(order.created_at))
        .bind(Micros(order.updated_at))
        .execute(connection)
        .await
        .map(drop)
}

/// What is known of a key that was not forgotten yet.
async fn known(
    connection: &mut SqliteConnection,
    order: &Order,
    request: &KeyedRequest,
) -> sqlx::Result<Option<Once>> {
    let known: Option<(Vec<u8>, Uuid)> = sqlx::query_as(KNOWN_KEY)
        .bind(order.user_id.0)
        .bind(request.key.as_str().to_owned())
        .bind(Micros(IdempotencyKey::forgotten(order.created_at)))
        .fetch_optional(connection)
        .await?;
    Ok(known.map(
        |(fingerprint, id)| match fingerprint == request.fingerprint.0 {
            true => Once::Known(OrderId(id)),
            false => Once::Reused,
        },
    ))
}

async fn keep(
    connection: &mut SqliteConnection,
    order: &Order,
    request: &KeyedRequest,
) -> sqlx::Result<()> {
    sqlx::query(KEEP_KEY)
        .bind(order.user_id.0)
        .bind(request.key.as_str().to_owned())
        .bind(request.fingerprint.0.to_vec())
        .bind(order.id.0)
        .bind(Micros(order.created_at))
        .execute(connection)
        .await
        .map(drop)
}

/// The order, its history and its events.
async fn insert_all(
    connection: &mut SqliteConnection,
    placed: &Placed,
    context: &RequestContext,
) -> Result<(), StoreError> {
    let order = &placed.order;
    insert_order(connection, order).await.map_err(order_error)?;
    log(connection, order.id, &placed.history)
        .await
        .map_err(order_error)?;
    queue(connection, order, &placed.events, context).await
}

/// False when the order is no longer in the state the change began from.
async fn update_order(connection: &mut SqliteConnection, change: &Change) -> sqlx::Result<bool> {
    let state = change.order.state;
    let done = sqlx::query(UPDATE)
        .bind(change.order.id.0)
        .bind(change.history.from.map(OrderStatus::as_str))
        .bind(change.history.to.as_str())
        .bind(state.confirmed_at().map(Micros))
        .bind(state.shipped_at().map(Micros))
        .bind(state.delivered_at().map(Micros))
        .bind(Micros(change.order.updated_at))
        .execute(connection)
        .await?;
    Ok(done.rows_affected() == 1)
}

#[async_trait]
impl OrderStore for SqliteOrderStore {
    async fn find(&self, id: OrderId) -> Result<Option<Order>, StoreError> {
        sqlx::query_as::<_, OrderRow>(FIND)
            .bind(id.0)
            .fetch_optional(self.0.read())
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
        list::page(self.0.read(), filter, sort, page).await
    }

    async fn list_after(
        &self,
        filter: OrderFilter,
        after: OrderPosition,
        limit: u32,
    ) -> Result<Slice<OrderSummary>, StoreError> {
        list::after(self.0.read(), filter, after, limit).await
    }

    async fn history(&self, id: OrderId) -> Result<Vec<HistoryEntry>, StoreError> {
        sqlx::query_as::<_, HistoryRow>(HISTORY)
            .bind(id.0)
            .fetch_all(self.0.read())
            .await
            .map_err(order_error)?
            .into_iter()
            .map(|row| row.entry(id))
            .collect()
    }

    async fn insert(&self, placed: &Placed, context: &RequestContext) -> Result<(), StoreError> {
        let mut transaction = self.0.write().await.map_err(order_error)?;
        insert_all(&mut transaction, placed, context).await?;
        transaction.commit().await.map_err(order_error)
    }

    // There is one writer, so a request waits here until the one before it is done.
    async fn insert_once(
        &self,
        placed: &Placed,
        request: &KeyedRequest,
        context: &RequestContext,
    ) -> Result<Once, StoreError> {
        let order = &placed.order;
        let mut transaction = self.0.write().await.map_err(order_error)?;
        let known = known(&mut transaction, order, request).await;
        if let Some(once) = known.map_err(order_error)? {
            return Ok(once);
        }
        insert_all(&mut transaction, placed, context).await?;
        keep(&mut transaction, order, request)
            .await
            .map_err(order_error)?;
        transaction.commit().await.map_err(order_error)?;
        Ok(Once::Inserted)
    }

    async fn prune_keys(&self, until: Timestamp, limit: u32) -> Result<u64, StoreError> {
        let mut transaction = self.0.write().await.map_err(order_error)?;
        let pruned = sqlx::query(PRUNE_KEYS)
            .bind(Micros(until))
            .bind(i64::from(limit))
            .execute(&mut *transaction)
            .await
            .map_err(order_error)?;
        transaction.commit().await.map_err(order_error)?;
        Ok(pruned.rows_affected())
    }

    async fn commit(&self, change: &Change, context: &RequestContext) -> Result<(), StoreError> {
        let order = &change.order;
        let mut transaction = self.0.write().await.map_err(order_error)?;
        if !update_order(&mut transaction, change)
            .await
            .map_err(order_error)?
        {
            return Err(StoreError::Conflict);
        }
        log(&mut transaction, order.id, &change.history)
            .await
            .map_err(order_error)?;
        queue(&mut transaction, order, &change.events, context).await?;
        transaction.commit().await.map_err(order_error)
    }
}
