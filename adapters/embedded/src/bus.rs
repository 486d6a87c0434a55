//! The event bus: a durable queue for each work queue of the notification service, with the
//! promises of the broker it stands in for.

mod consumer;
mod dead_letters;
mod traffic;

use std::sync::Arc;

use async_trait::async_trait;
use core_kernel::{EventPublisher, OutboxMessage, PublishError};
use core_notify::{
    BusError, Channel, DeadLetter, Depth, EventHandler, QueueDepths, StoreError, WORK_QUEUES,
    WorkQueue,
};
use shopflow_telemetry::messaging::Publishing;
use sqlx::FromRow;

use crate::database::Database;
use crate::error::notify_error;
use crate::value::Micros;

pub use consumer::BusConsumer;
pub(crate) use traffic::Traffic;

/// What traces call this bus.
const SYSTEM: &str = "shopflow_embedded";

const PUBLISH: &str = "
    INSERT INTO bus_messages (queue, message_id, event_type, body, traceparent, tracestate, due_at)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";

const DEPTH: &str = "
    SELECT (SELECT count(*) FROM bus_messages WHERE queue = ?1 AND due_at <= ?2),
           (SELECT count(*) FROM dead_letters WHERE queue = ?1)";

const DEAD_LETTERS: &str = "
    SELECT queue, message_id, event_type, body, error_class, error_message, attempts,
           first_failed_at, failed_at, failed_channels, traceparent, tracestate
    FROM dead_letters ORDER BY id DESC LIMIT ?1";

#[derive(FromRow)]
struct DeadLetterRow {
    queue: String,
    message_id: String,
    event_type: String,
    body: String,
    error_class: String,
    error_message: String,
    attempts: i64,
    first_failed_at: Micros,
    failed_at: Micros,
    failed_channels: String,
    traceparent: String,
    tracestate: Option<String>,
}

impl From<DeadLetterRow> for DeadLetter {
    fn from(row: DeadLetterRow) -> Self {
        let channels = row.failed_channels.split(',');
        Self {
            queue: row.queue,
            message_id: row.message_id,
            // Letters from elsewhere may have none.
            event_type: Some(row.event_type).filter(|kind| !kind.is_empty()),
            body: row.body.into_bytes(),
            class: row.error_class,
            reason: row.error_message,
            attempts: u32::try_from(row.attempts).unwrap_or(u32::MAX),
            first_failed_at: row.first_failed_at.0,
            failed_at: row.failed_at.0,
            channels: channels.filter_map(Channel::from_word).collect(),
            traceparent: Some(row.traceparent).filter(|parent| !parent.is_empty()),
            tracestate: row.tracestate,
        }
    }
}

/// Events from the outbox to the consumer, in the tables `bus_messages` and `dead_letters`.
///
/// What was published is delivered at least once, in the order of publishing; a message leaves its
/// queue in the transaction that records where it went. Retries wait without holding up others.
#[derive(Clone, Debug)]
pub struct SqliteBus(pub(crate) Database);

impl SqliteBus {
    /// A consumer of all work queues that hands every event to `handler`. One process at a time
    /// consumes a database.
    #[must_use]
    pub fn consumer(&self, handler: Arc<dyn EventHandler>) -> BusConsumer {
        BusConsumer::new(self.0.clone(), handler)
    }

    /// The newest `limit` events that were given up, newest first.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn dead_letters(&self, limit: u32) -> Result<Vec<DeadLetter>, StoreError> {
        let rows: Vec<DeadLetterRow> = sqlx::query_as(DEAD_LETTERS)
            .bind(limit)
            .fetch_all(self.0.read())
            .await
            .map_err(notify_error)?;
        Ok(rows.into_iter().map(DeadLetter::from).collect())
    }

    async fn store(&self, publishing: &Publishing<'_>) -> sqlx::Result<Vec<bool>> {
        let due = Micros(self.0.clock.now());
        let mut transaction = self.0.write().await?;
        let mut taken = Vec::new();
        for (message, traceparent) in publishing.events() {
            let queue = queue_of(&message.routing_key);
            if let Some(queue) = queue {
                sqlx::query(PUBLISH)
                    .bind(queue.name)
                    .bind(message.event_id.to_string())
                    .bind(message.event_type.clone())
                    .bind(message.payload.clone())
                    .bind(traceparent.to_owned())
                    .bind(message.tracestate.clone())
                    .bind(due)
                    .execute(&mut *transaction)
                    .await?;
            }
            taken.push(queue.is_some());
        }
        transaction.commit().await?;
        Ok(taken)
    }
}

#[async_trait]
impl QueueDepths for SqliteBus {
    async fn depth(&self, queue: WorkQueue) -> Result<Depth, BusError> {
        let counted: (i64, i64) = sqlx::query_as(DEPTH)
            .bind(queue.name)
            .bind(Micros(self.0.clock.now()))
            .fetch_one(self.0.read())
            .await
            .map_err(|error| BusError(error.into()))?;
        Ok(Depth {
            waiting: counted.0.unsigned_abs(),
            dead: counted.1.unsigned_abs(),
        })
    }
}

/// By a routing key, or by its own name as on a broker's default exchange.
fn queue_of(key: &str) -> Option<WorkQueue> {
    let mut queues = WORK_QUEUES.into_iter();
    queues.find(|queue| queue.name == key || queue.routing_keys.contains(&key))
}

#[async_trait]
impl EventPublisher for SqliteBus {
    async fn ready(&self) -> Result<(), PublishError> {
        Ok(())
    }

    /// Stores the batch in one transaction; an event that no queue takes is refused.
    async fn publish(&self, batch: &[OutboxMessage]) -> Result<Vec<bool>, PublishError> {
        let exchange = |event: &OutboxMessage| {
            let queue = queue_of(&event.routing_key);
            queue.map_or("none", |queue| queue.exchange)
        };
        let publishing = Publishing::begin(SYSTEM, exchange, batch);
        let taken = self.store(&publishing).await;
        publishing.end(taken.as_deref().ok());
        let taken = taken.map_err(|error| PublishError(error.into()))?;
        self.0.traffic.published.send_replace(());
        Ok(taken)
    }
}
