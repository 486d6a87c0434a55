//! The outboxes: claim, publish and mark are one transaction, so a relay that dies gives
//! its claim back at once.

use std::time::Duration;

use crate::pool::within;
use async_trait::async_trait;
use core_kernel::{
    BoxError, EventId, EventPublisher, Outbox, OutboxBacklog, OutboxMessage, RelayError,
    RelayReport,
};
use sqlx::FromRow;
use sqlx::postgres::PgPool;
use uuid::Uuid;

/// What is asked of one outbox table.
#[derive(Debug)]
struct Sql {
    claim: &'static str,
    mark: &'static str,
    backlog: &'static str,
}

/// The statements on the outbox table `$table`.
macro_rules! sql {
    ($table:literal) => {
        Sql {
            // A row that another relay holds still counts as unpublished, so the later events of
            // its subject are held back until it is done: order per subject with any number of
            // relays.
            claim: concat!(
                "SELECT o.id, o.event_id, o.subject, o.event_type, o.routing_key, o.payload,
                        o.traceparent, o.tracestate,
                        floor(extract(epoch FROM o.created_at))::bigint AS occurred_at
                 FROM ",
                $table,
                " o
                 WHERE o.published_at IS NULL
                   AND NOT EXISTS (SELECT 1 FROM ",
                $table,
                " earlier
                                   WHERE earlier.subject = o.subject AND earlier.id < o.id
                                     AND earlier.published_at IS NULL)
                 ORDER BY o.id
                 LIMIT $1
                 FOR UPDATE SKIP LOCKED"
            ),
            mark: concat!(
                "UPDATE ",
                $table,
                " SET published_at = clock_timestamp() WHERE id = ANY($1)"
            ),
            backlog: concat!(
                "SELECT count(*) AS waiting,
                        coalesce(extract(epoch FROM now() - min(created_at)), 0)::float8
                            AS oldest_seconds
                 FROM ",
                $table,
                " WHERE published_at IS NULL"
            ),
        }
    };
}

static ORDERS: Sql = sql!("order_outbox");
static USERS: Sql = sql!("user_outbox");

/// A pass that takes longer lost its broker or its database; it is given up and its rows are free.
const PASS_TIMEOUT: Duration = Duration::from_secs(10);

#[derive(FromRow)]
struct Row {
    id: i64,
    event_id: Uuid,
    subject: Uuid,
    event_type: String,
    routing_key: String,
    payload: String,
    traceparent: String,
    tracestate: Option<String>,
    occurred_at: i64,
}

/// The events in an outbox table.
#[derive(Clone, Debug)]
pub struct PgOutbox {
    pool: PgPool,
    sql: &'static Sql,
}

impl PgOutbox {
    /// The events of orders, in the table `order_outbox`.
    #[must_use]
    pub fn orders(pool: PgPool) -> Self {
        Self { pool, sql: &ORDERS }
    }

    /// The events of users, in the table `user_outbox`.
    #[must_use]
    pub fn users(pool: PgPool) -> Self {
        Self { pool, sql: &USERS }
    }

    async fn pass(
        &self,
        publisher: &dyn EventPublisher,
        limit: u32,
    ) -> Result<RelayReport, RelayError> {
        let mut transaction = self.pool.begin().await.map_err(store)?;
        let rows: Vec<Row> = sqlx::query_as(self.sql.claim)
            .bind(i64::from(limit))
            .fetch_all(&mut *transaction)
            .await
            .map_err(store)?;
        if rows.is_empty() {
            return Ok(RelayReport::default());
        }
        let (ids, messages): (Vec<i64>, Vec<OutboxMessage>) =
            rows.into_iter().map(|row| (row.id, message(row))).unzip();
        let taken = match publisher.publish(&messages).await {
            Ok(taken) => taken,
            Err(error) => {
                // Dropping the transaction would roll it back a little later; the claim is to end
                // with this call. A connection that breaks here gives the claim back as well.
                let _ = transaction.rollback().await;
                return Err(error.into());
            }
        };
        let published: Vec<i64> = ids
            .iter()
            .zip(&taken)
            .filter_map(|(id, taken)| taken.then_some(*id))
            .collect();
        sqlx::query(self.sql.mark)
            .bind(&published)
            .execute(&mut *transaction)
            .await
            .map_err(store)?;
        transaction.commit().await.map_err(store)?;
        Ok(RelayReport {
            published: published.len(),
            refused: ids.len() - published.len(),
        })
    }
}

fn message(row: Row) -> OutboxMessage {
    OutboxMessage {
        event_id: EventId(row.event_id),
        subject: row.subject,
        event_type: row.event_type,
        routing_key: row.routing_key,
        payload: row.payload,
        traceparent: row.traceparent,
        tracestate: row.tracestate,
        occurred_at: row.occurred_at,
    }
}

fn store(error: sqlx::Error) -> RelayError {
    RelayError::Store(BoxError::from(error))
}

#[async_trait]
impl Outbox for PgOutbox {
    async fn relay(
        &self,
        publisher: &dyn EventPublisher,
        limit: u32,
    ) -> Result<RelayReport, RelayError> {
        tokio::time::timeout(PASS_TIMEOUT, self.pass(publisher, limit))
            .await
            .map_err(|late| RelayError::Store(BoxError::from(late)))?
    }

    async fn backlog(&self) -> Result<OutboxBacklog, RelayError> {
        let (waiting, oldest_seconds): (i64, f64) =
            within(sqlx::query_as(self.sql.backlog).fetch_one(&self.pool))
                .await
                .map_err(store)?;
        Ok(OutboxBacklog {
            waiting: waiting.unsigned_abs(),
            oldest_seconds,
        })
    }
}
