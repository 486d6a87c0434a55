//! What becomes of one delivery.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use core_kernel::{RequestContext, TraceContext};
use core_notify::{Channel, Delivery, EventHandler, Outcome, WorkQueue};
use futures_util::FutureExt;
use jiff::SignedDuration;
use shopflow_telemetry::messaging::{self, Arrival};
use sqlx::FromRow;
use tokio::sync::watch;
use tokio::time::Instant;
use tracing::Instrument;

use super::paused;
use crate::bus::SYSTEM;
use crate::database::Database;
use crate::value::Micros;

const FORGET: &str = "DELETE FROM bus_messages WHERE id = ?1";

const RETRY: &str = "
    UPDATE bus_messages
    SET attempt = ?2, republished = 1, first_failed_at = coalesce(first_failed_at, ?3), due_at = ?4
    WHERE id = ?1";

const BURY: &str = "
    INSERT INTO dead_letters (queue, message_id, event_type, body, traceparent, tracestate,
                              error_class, error_message, attempts, first_failed_at, failed_at,
                              failed_channels)
    SELECT queue, message_id, event_type, body, traceparent, tracestate, ?2, substr(?3, 1, 1000),
           attempt, coalesce(first_failed_at, ?4), ?4, ?5
    FROM bus_messages WHERE id = ?1";

/// The waits between looks whether a neighbour is back. Short, since what is back is to be used soon;
/// no more than ten messages of a queue look.
const MIN_WAIT: Duration = Duration::from_millis(500);
const MAX_WAIT: Duration = Duration::from_secs(2);

/// A message that waits longer makes room for others, which may fare better.
const MAX_IN_HAND: Duration = Duration::from_secs(30);

/// How soon what another holds, or what has made room for others, is looked at again.
const HELD: Duration = Duration::from_secs(1);

/// Before an event whose handler panicked is handled again, so as not to spin.
const PANIC_PAUSE: Duration = Duration::from_secs(1);

/// How long to wait before an outcome that could not be recorded is recorded again.
const RECORD_AGAIN: Duration = Duration::from_millis(200);

/// A message as it lies in its queue.
#[derive(FromRow)]
pub(super) struct Message {
    pub(super) id: i64,
    message_id: String,
    event_type: String,
    body: String,
    traceparent: String,
    tracestate: Option<String>,
    attempt: i64,
    republished: bool,
    due_at: Micros,
}

impl Message {
    fn attempt(&self) -> u32 {
        u32::try_from(self.attempt).unwrap_or(u32::MAX)
    }

    /// What caused it, as far as that can be read.
    fn cause(&self) -> Option<TraceContext> {
        TraceContext::parse(&self.traceparent, self.tracestate.as_deref())
    }
}

/// Works on deliveries.
#[derive(Clone)]
pub(super) struct Worker {
    pub(super) database: Database,
    pub(super) handler: Arc<dyn EventHandler>,
    pub(super) stop: watch::Receiver<bool>,
}

impl Worker {
    /// From delivery to record.
    pub(super) async fn work(&self, queue: WorkQueue, message: Message) {
        let before = self.database.traffic.deliver(message.id);
        let cause = message.cause();
        // What the work on it is known by: the event's id, and its trace.
        let context = RequestContext {
            request_id: message.message_id.as_str().into(),
            trace: TraceContext::continued(cause.as_ref()),
        };
        let arrival = Arrival {
            system: SYSTEM,
            queue,
            route: (queue.exchange, queue.routing_keys[0]),
            attempt: message.attempt(),
            cause: cause.as_ref(),
            published_at: (!message.republished).then_some(message.due_at.0),
            context: &context,
        };
        let span = arrival.begin();
        async {
            let begun = std::time::Instant::now();
            if let Some(outcome) = self.handle(queue, &message, &context, before).await {
                self.record(&message, &outcome).await;
            }
            messaging::worked_on(begun);
        }
        .instrument(span)
        .await;
    }

    /// What the handler makes of it in the end; `None` when a stop comes before that.
    async fn handle(
        &self,
        queue: WorkQueue,
        message: &Message,
        context: &RequestContext,
        before: bool,
    ) -> Option<Outcome> {
        let mut stop = self.stop.clone();
        let in_hand_since = Instant::now();
        let mut wait = MIN_WAIT;
        let mut again = before || message.republished;
        let mut revive = !message.republished;
        loop {
            let delivery = Delivery {
                body: message.body.as_bytes(),
                attempt: message.attempt(),
                again,
                revive,
            };
            let handled = AssertUnwindSafe(self.handler.handle(delivery, context));
            again = true;
            let Ok(outcome) = handled.catch_unwind().await else {
                tracing::error!(
                    event_type = message.event_type,
                    "working on the event panicked"
                );
                if paused(&mut stop, PANIC_PAUSE).await {
                    return None;
                }
                continue;
            };
            messaging::handled(queue, &outcome);
            let Outcome::Wait { reason } = &outcome else {
                return Some(outcome);
            };
            if in_hand_since.elapsed() > MAX_IN_HAND {
                return Some(outcome);
            }
            tracing::warn!(reason, "waiting for a neighbour");
            if paused(&mut stop, wait).await {
                return None;
            }
            wait = (wait * 2).min(MAX_WAIT);
            revive = false;
        }
    }

    /// Records an outcome, however often that takes. A stop ends the tries, and the event is
    /// delivered again.
    async fn record(&self, message: &Message, outcome: &Outcome) {
        let mut stop = self.stop.clone();
        while let Err(error) = self.try_record(message, outcome).await {
            tracing::error!(error = %error, "the outcome is not recorded; recording it again");
            if paused(&mut stop, RECORD_AGAIN).await {
                return;
            }
        }
        self.database.traffic.settle(message.id);
    }

    async fn try_record(&self, message: &Message, outcome: &Outcome) -> sqlx::Result<()> {
        match outcome {
            Outcome::Done => self.forget(message).await,
            Outcome::Retry { after, reason } => {
                let after_seconds = after.as_secs();
                tracing::warn!(reason, after_seconds, "event failed; trying again");
                self.retry(message, message.attempt + 1, *after, true).await
            }
            Outcome::Held => self.retry(message, message.attempt, HELD, false).await,
            Outcome::Wait { .. } => self.retry(message, message.attempt, HELD, false).await,
            Outcome::Dead {
                class,
                reason,
                channels,
            } => {
                tracing::error!(class, reason, "event dead-lettered");
                self.bury(message, class, reason, channels).await
            }
        }
    }

    async fn forget(&self, message: &Message) -> sqlx::Result<()> {
        let mut transaction = self.database.write().await?;
        sqlx::query(FORGET)
            .bind(message.id)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await
    }

    async fn retry(
        &self,
        message: &Message,
        attempt: i64,
        after: Duration,
        failed: bool,
    ) -> sqlx::Result<()> {
        let now = self.database.clock.now();
        let after = SignedDuration::try_from(after).unwrap_or_default();
        let mut transaction = self.database.write().await?;
        sqlx::query(RETRY)
            .bind(message.id)
            .bind(attempt)
            .bind(failed.then_some(Micros(now)))
            .bind(Micros(now + after))
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await
    }

    async fn bury(
        &self,
        message: &Message,
        class: &'static str,
        reason: &str,
        channels: &[Channel],
    ) -> sqlx::Result<()> {
        let channels: Vec<&str> = channels.iter().map(|channel| channel.as_str()).collect();
        let mut transaction = self.database.write().await?;
        sqlx::query(BURY)
            .bind(message.id)
            .bind(class)
            .bind(reason.to_owned())
            .bind(Micros(self.database.clock.now()))
            .bind(channels.join(","))
            .execute(&mut *transaction)
            .await?;
        sqlx::query(FORGET)
            .bind(message.id)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await
    }
}
