//! The outboxes: claim, publish and mark are one transaction, so a relay that dies gives
//! its claim back at once.

use std::time::Duration;

use crate::pool::within;
use async_trait::async_trait;
use core_kernel::{
    BoxError, EventId, EventPublisher, Outbox, OutboxBacklog, OutboxMessage, Refused, RelayError,
    RelayReport, WaitingEvent,
};
use jiff::Timestamp;
use jiff_sqlx::ToSqlx;
use sqlx::FromRow;
use sqlx::postgres::{PgConnection, PgPool};
use uuid::Uuid;

/// What is asked of one outbox table.
#[derive(Debug)]
struct Sql {
    claim: &'static str,
    mark: &'static str,
    refuse: &'static str,
    prune: &'static str,
    backlog: &'static str,
    waiting: &'static str,
    hurry: &'static str,
}

/// The statements on the outbox table `$table`.
macro_rules! sql {
    ($table:literal) => {
        Sql {
            // A row that another relay holds still counts as unpublished, so the later events of
            // its subject are held back until it is done: order per subject with any number of
            // relays. (By the least id, which is one look into an index for each row of the batch;
            // as NOT EXISTS it is planned as a join with the whole backlog.)
            claim: concat!(
                "SELECT o.id, o.event_id, o.subject, o.event_type, o.routing_key, o.payload,
                        o.traceparent, o.tracestate,
                        floor(extract(epoch FROM o.created_at))::bigint AS occurred_at
                 FROM ",
                $table,
                " o
                 WHERE o.published_at IS NULL
                   AND (o.retry_at IS NULL OR o.retry_at <= now())
                   AND o.id = (SELECT min(first.id) FROM ",
                $table,
                " first
                               WHERE first.subject = o.subject AND first.published_at IS NULL)
                 ORDER BY o.id
                 LIMIT $1
                 FOR UPDATE SKIP LOCKED"
            ),
            mark: concat!(
                "UPDATE ",
                $table,
                " SET published_at = clock_timestamp() WHERE id = ANY($1)"
            ),
            // The wait doubles from 100 ms to a minute, each time between half and all of that.
            refuse: concat!(
                "UPDATE ",
                $table,
                " SET refusals = refusals + 1,
                      retry_at = clock_timestamp() + (0.5 + random() / 2) * least(
                          interval '0.1 s' * power(2, least(refusals, 20)), interval '1 minute')
                  WHERE id = ANY($1)
                  RETURNING event_id, refusals"
            ),
            // Whatever another instance is pruning is left to it.
            prune: concat!(
                "DELETE FROM ",
                $table,
                " WHERE id = ANY(ARRAY(SELECT id FROM ",
                $table,
                " WHERE published_at <= $1 ORDER BY published_at
                  LIMIT $2 FOR UPDATE SKIP LOCKED))"
            ),
            backlog: concat!(
                "SELECT count(*) AS waiting,
                        coalesce(extract(epoch FROM now() - min(created_at)), 0)::float8
                            AS oldest_seconds
                 FROM ",
                $table,
                " WHERE published_at IS NULL"
            ),
            waiting: concat!(
                "SELECT event_id, subject, event_type, created_at, refusals FROM ",
                $table,
                " WHERE published_at IS NULL ORDER BY id LIMIT $1"
            ),
            // What a relay has claimed is being tried anyway, and is not waited for.
            hurry: concat!(
                "UPDATE ",
                $table,
                " SET retry_at = NULL WHERE id = ANY(ARRAY(SELECT id FROM ",
                $table,
                " WHERE published_at IS NULL AND retry_at IS NOT NULL FOR UPDATE SKIP LOCKED))"
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

#[derive(FromRow)]
struct WaitingRow {
    event_id: Uuid,
    subject: Uuid,
    event_type: String,
    created_at: jiff_sqlx::Timestamp,
    refusals: i32,
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
        // A message without an answer was not taken.
        let answers = taken.into_iter().chain(std::iter::repeat(false));
        let answered: Vec<(i64, bool)> = ids.into_iter().zip(answers).collect();
        let of = |took| {
            let these = answered.iter().filter(move |(_, taken)| *taken == took);
            these.map(|(id, _)| *id).collect::<Vec<i64>>()
        };
        let (published, refused) = (of(true), of(false));
        sqlx::query(self.sql.mark)
            .bind(&published)
            .execute(&mut *transaction)
            .await
            .map_err(store)?;
        let refused = self
            .refuse(&mut transaction, &refused)
            .await
            .map_err(store)?;
        transaction.commit().await.map_err(store)?;
        Ok(RelayReport {
            published: published.len(),
            refused,
        })
    }

    /// Puts events off until later.
    async fn refuse(
        &self,
        connection: &mut PgConnection,
        ids: &[i64],
    ) -> sqlx::Result<Vec<Refused>> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let refusals: Vec<(Uuid, i32)> = sqlx::query_as(self.sql.refuse)
            .bind(ids)
            .fetch_all(connection)
            .await?;
        let refused = refusals.into_iter().map(|(id, times)| Refused {
            event_id: EventId(id),
            times: times.unsigned_abs(),
        });
        Ok(refused.collect())
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

    async fn prune(&self, until: Timestamp, limit: u32) -> Result<u64, RelayError> {
        let pruned = sqlx::query(self.sql.prune)
            .bind(until.to_sqlx())
            .bind(i64::from(limit))
            .execute(&self.pool);
        let pruned = within(pruned).await.map_err(store)?;
        Ok(pruned.rows_affected())
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

    async fn waiting(&self, limit: u32) -> Result<Vec<WaitingEvent>, RelayError> {
        let rows = sqlx::query_as::<_, WaitingRow>(self.sql.waiting).bind(i64::from(limit));
        let rows = within(rows.fetch_all(&self.pool)).await.map_err(store)?;
        let event = |row: WaitingRow| WaitingEvent {
            event_id: EventId(row.event_id),
            subject: row.subject,
            event_type: row.event_type,
            since: row.created_at.to_jiff(),
            refusals: row.refusals.unsigned_abs(),
        };
        Ok(rows.into_iter().map(event).collect())
    }

    async fn hurry(&self) -> Result<(), RelayError> {
        let hurried = sqlx::query(self.sql.hurry).execute(&self.pool);
        within(hurried).await.map(drop).map_err(store)
    }
}
