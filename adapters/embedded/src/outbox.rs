//! The outbox of all events: those of orders and those of accounts.

use async_trait::async_trait;
use core_kernel::{
    BoxError, EventId, EventPublisher, Outbox, OutboxBacklog, OutboxMessage, RelayError,
    RelayReport,
};
use jiff::Timestamp;
use sqlx::{FromRow, SqliteConnection};
use uuid::Uuid;

use crate::database::Database;
use crate::value::Micros;

const NEXT: &str = "
    SELECT o.id, o.event_id, o.subject, o.event_type, o.routing_key, o.payload, o.traceparent,
           o.tracestate, o.created_at
    FROM order_outbox o
    WHERE o.published_at IS NULL
      AND NOT EXISTS (SELECT 1 FROM order_outbox earlier
                      WHERE earlier.subject = o.subject AND earlier.id < o.id
                        AND earlier.published_at IS NULL)
    ORDER BY o.id
    LIMIT ?1";

const MARK: &str = "UPDATE order_outbox SET published_at = ?2 WHERE id = ?1";

const BACKLOG: &str = "
    SELECT count(*) AS waiting, min(created_at) AS oldest
    FROM order_outbox WHERE published_at IS NULL";

const PUT: &str = "
    INSERT INTO order_outbox (event_id, subject, event_type, routing_key, payload, traceparent,
                              tracestate, created_at)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";

/// Puts an event in, in the transaction of the change that it tells of.
pub(crate) async fn put(
    connection: &mut SqliteConnection,
    event: &OutboxMessage,
    at: Timestamp,
) -> sqlx::Result<()> {
    sqlx::query(PUT)
        .bind(event.event_id.0)
        .bind(event.subject)
        .bind(event.event_type.clone())
        .bind(event.routing_key.clone())
        .bind(event.payload.clone())
        .bind(event.traceparent.clone())
        .bind(event.tracestate.clone())
        .bind(Micros(at))
        .execute(connection)
        .await
        .map(drop)
}

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
    created_at: Micros,
}

/// The events in the table `order_outbox`. The relays of one process take turns.
#[derive(Clone, Debug)]
pub struct SqliteOutbox(pub(crate) Database);

impl SqliteOutbox {
    async fn mark(&self, ids: &[i64]) -> sqlx::Result<()> {
        let now = Micros(self.0.clock.now());
        let mut transaction = self.0.write().await?;
        for id in ids {
            sqlx::query(MARK)
                .bind(id)
                .bind(now)
                .execute(&mut *transaction)
                .await?;
        }
        transaction.commit().await
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
        occurred_at: row.created_at.0.as_second(),
    }
}

fn store(error: sqlx::Error) -> RelayError {
    RelayError::Store(BoxError::from(error))
}

#[async_trait]
impl Outbox for SqliteOutbox {
    async fn relay(
        &self,
        publisher: &dyn EventPublisher,
        limit: u32,
    ) -> Result<RelayReport, RelayError> {
        // The one writer is not held while the publisher works, which may need it itself. So the
        // claim is this turn: what comes after it sees what this pass has marked.
        let _turn = self.0.relaying.lock().await;
        let rows: Vec<Row> = sqlx::query_as(NEXT)
            .bind(i64::from(limit))
            .fetch_all(self.0.read())
            .await
            .map_err(store)?;
        if rows.is_empty() {
            return Ok(RelayReport::default());
        }
        let (ids, messages): (Vec<i64>, Vec<OutboxMessage>) =
            rows.into_iter().map(|row| (row.id, message(row))).unzip();
        let taken = publisher.publish(&messages).await?;
        let published: Vec<i64> = ids
            .iter()
            .zip(&taken)
            .filter_map(|(id, taken)| taken.then_some(*id))
            .collect();
        self.mark(&published).await.map_err(store)?;
        Ok(RelayReport {
            published: published.len(),
            refused: ids.len() - published.len(),
        })
    }

    async fn backlog(&self) -> Result<OutboxBacklog, RelayError> {
        let (waiting, oldest): (i64, Option<Micros>) = sqlx::query_as(BACKLOG)
            .fetch_one(self.0.read())
            .await
            .map_err(store)?;
        let now = self.0.clock.now();
        let oldest_seconds =
            oldest.map_or(0.0, |oldest| now.duration_since(oldest.0).as_secs_f64());
        Ok(OutboxBacklog {
            waiting: waiting.unsigned_abs(),
            oldest_seconds,
        })
    }
}
