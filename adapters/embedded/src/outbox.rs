//! The outbox of all events: those of orders and those of accounts.

use async_trait::async_trait;
use core_kernel::{
    BoxError, EventId, EventPublisher, Outbox, OutboxBacklog, OutboxMessage, Refused, RelayError,
    RelayReport, WaitingEvent,
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
      AND (o.retry_at IS NULL OR o.retry_at <= ?2)
      AND NOT EXISTS (SELECT 1 FROM order_outbox earlier
                      WHERE earlier.subject = o.subject AND earlier.id < o.id
                        AND earlier.published_at IS NULL)
    ORDER BY o.id
    LIMIT ?1";

const MARK: &str = "UPDATE order_outbox SET published_at = ?2 WHERE id = ?1";

// The wait doubles from 100 ms to a minute. There is one relay, so none keeps step with another.
const REFUSE: &str = "
    UPDATE order_outbox
    SET refusals = refusals + 1,
        retry_at = ?2 + min(100000 * (1 << min(refusals, 20)), 60000000)
    WHERE id = ?1
    RETURNING event_id, refusals";

const PRUNE: &str = "
    DELETE FROM order_outbox WHERE id IN (
        SELECT id FROM order_outbox WHERE published_at <= ?1
        ORDER BY published_at LIMIT ?2)";

const BACKLOG: &str = "
    SELECT count(*) AS waiting, min(created_at) AS oldest
    FROM order_outbox WHERE published_at IS NULL";

const WAITING: &str = "
    SELECT event_id, subject, event_type, created_at, refusals
    FROM order_outbox WHERE published_at IS NULL ORDER BY id LIMIT ?1";

const HURRY: &str = "
    UPDATE order_outbox SET retry_at = NULL WHERE published_at IS NULL AND retry_at IS NOT NULL";

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

#[derive(FromRow)]
struct WaitingRow {
    event_id: Uuid,
    subject: Uuid,
    event_type: String,
    created_at: Micros,
    refusals: u32,
}

/// The events in the table `order_outbox`. The relays of one process take turns.
#[derive(Clone, Debug)]
pub struct SqliteOutbox(pub(crate) Database);

impl SqliteOutbox {
    /// Records what the broker answered: what it took is done, the rest is put off until later.
    async fn record(&self, answered: &[(i64, bool)]) -> sqlx::Result<RelayReport> {
        let now = Micros(self.0.clock.now());
        let mut report = RelayReport::default();
        let mut transaction = self.0.write().await?;
        for (id, taken) in answered {
            if *taken {
                let mark = sqlx::query(MARK).bind(id).bind(now);
                mark.execute(&mut *transaction).await?;
                report.published += 1;
            } else {
                let refuse = sqlx::query_as(REFUSE).bind(id).bind(now);
                let (event, times): (Uuid, u32) = refuse.fetch_one(&mut *transaction).await?;
                report.refused.push(Refused {
                    event_id: EventId(event),
                    times,
                });
            }
        }
        transaction.commit().await?;
        Ok(report)
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
            .bind(Micros(self.0.clock.now()))
            .fetch_all(self.0.read())
            .await
            .map_err(store)?;
        if rows.is_empty() {
            return Ok(RelayReport::default());
        }
        let (ids, messages): (Vec<i64>, Vec<OutboxMessage>) =
            rows.into_iter().map(|row| (row.id, message(row))).unzip();
        let taken = publisher.publish(&messages).await?;
        // A message without an answer was not taken.
        let answers = taken.into_iter().chain(std::iter::repeat(false));
        let answered: Vec<(i64, bool)> = ids.into_iter().zip(answers).collect();
        self.record(&answered).await.map_err(store)
    }

    async fn prune(&self, until: Timestamp, limit: u32) -> Result<u64, RelayError> {
        let pruned = async {
            let mut transaction = self.0.write().await?;
            let pruned = sqlx::query(PRUNE)
                .bind(Micros(until))
                .bind(i64::from(limit))
                .execute(&mut *transaction)
                .await?;
            transaction.commit().await?;
            Ok(pruned.rows_affected())
        };
        pruned.await.map_err(store)
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

    async fn waiting(&self, limit: u32) -> Result<Vec<WaitingEvent>, RelayError> {
        let rows = sqlx::query_as::<_, WaitingRow>(WAITING).bind(limit);
        let rows = rows.fetch_all(self.0.read()).await.map_err(store)?;
        let event = |row: WaitingRow| WaitingEvent {
            event_id: EventId(row.event_id),
            subject: row.subject,
            event_type: row.event_type,
            since: row.created_at.0,
            refusals: row.refusals,
        };
        Ok(rows.into_iter().map(event).collect())
    }

    async fn hurry(&self) -> Result<(), RelayError> {
        let hurried = async {
            let mut transaction = self.0.write().await?;
            sqlx::query(HURRY).execute(&mut *transaction).await?;
            transaction.commit().await
        };
        hurried.await.map_err(store)
    }
}
