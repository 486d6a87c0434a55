//! Consuming: a message stays in its queue until its outcome is recorded.

mod work;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use core_notify::{EventHandler, WORK_QUEUES, WorkQueue};
use futures_util::future::join_all;
use jiff::Timestamp;
use shopflow_telemetry::messaging;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::database::Database;
use crate::value::Micros;
use work::{Message, Worker};

const NEXT: &str = "
    SELECT id, message_id, event_type, body, traceparent, tracestate, attempt, republished, due_at
    FROM bus_messages
    WHERE queue = ?1 AND due_at <= ?2
    ORDER BY due_at, id
    LIMIT ?3";

const NEXT_DUE: &str = "
    SELECT min(due_at) FROM bus_messages WHERE queue = ?1 AND due_at > ?2";

/// Messages of one queue in hand at once, as on the broker (PRD §10.3).
const PREFETCH: usize = 10;

/// How long what another process put there may wait.
const POLL: Duration = Duration::from_millis(500);

/// After a read that failed, so as not to spin.
const READ_AGAIN: Duration = Duration::from_millis(500);

/// Consumes the events that notifications follow.
pub struct BusConsumer {
    database: Database,
    handler: Arc<dyn EventHandler>,
}

impl std::fmt::Debug for BusConsumer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("BusConsumer")
    }
}

impl BusConsumer {
    pub(super) fn new(database: Database, handler: Arc<dyn EventHandler>) -> Self {
        messaging::expect_publishing();
        messaging::expect_work();
        Self { database, handler }
    }

    /// Consumes until `stop` is true; then takes nothing more, finishes what is in hand, and
    /// returns. Dropped, it dies where it stands, and what it had in hand is delivered again.
    pub async fn run(&self, stop: watch::Receiver<bool>) {
        let queues = WORK_QUEUES.map(|queue| {
            let queue = Queue {
                queue,
                worker: Worker {
                    database: self.database.clone(),
                    handler: self.handler.clone(),
                    stop: stop.clone(),
                },
                in_hand: HashSet::new(),
                tasks: JoinSet::new(),
            };
            queue.consume(stop.clone())
        });
        join_all(queues).await;
    }
}

/// Waits; true when it is time to stop.
async fn paused(stop: &mut watch::Receiver<bool>, time: Duration) -> bool {
    tokio::time::timeout(time, stop.wait_for(|stop| *stop))
        .await
        .is_ok()
}

/// One queue while it is consumed.
struct Queue {
    queue: WorkQueue,
    worker: Worker,
    in_hand: HashSet<i64>,
    tasks: JoinSet<i64>,
}

impl Queue {
    async fn consume(mut self, mut stop: watch::Receiver<bool>) {
        let mut published = self.worker.database.traffic.published.subscribe();
        while !*stop.borrow() {
            published.mark_unchanged();
            let wait = self.take().await.unwrap_or_else(|error| {
                tracing::warn!(error = %error, queue = self.queue.name, "the bus cannot be read");
                READ_AGAIN
            });
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => {}
                _ = published.changed() => {}
                Some(done) = self.tasks.join_next() => self.put_down(&done),
                () = tokio::time::sleep(wait) => {}
            }
        }
        while let Some(done) = self.tasks.join_next().await {
            self.put_down(&done);
        }
    }

    fn put_down(&mut self, done: &Result<i64, tokio::task::JoinError>) {
        // A worker catches panics and is only cancelled together with this queue.
        if let Ok(id) = done {
            self.in_hand.remove(id);
        }
    }

    /// Begins to work on what is due, as far as hands are free; tells when to look again.
    async fn take(&mut self) -> sqlx::Result<Duration> {
        if self.in_hand.len() >= PREFETCH {
            return Ok(POLL);
        }
        let now = self.worker.database.clock.now();
        let reader = self.worker.database.read();
        // What is in hand is still in its queue, so that many more are asked for.
        let limit = PREFETCH + self.in_hand.len();
        let due: Vec<Message> = sqlx::query_as(NEXT)
            .bind(self.queue.name)
            .bind(Micros(now))
            .bind(i64::try_from(limit).unwrap_or(i64::MAX))
            .fetch_all(reader)
            .await?;
        for message in due {
            if self.in_hand.len() >= PREFETCH {
                break;
            }
            if self.in_hand.insert(message.id) {
                let (worker, queue) = (self.worker.clone(), self.queue);
                self.tasks.spawn(async move {
                    let id = message.id;
                    worker.work(queue, message).await;
                    id
                });
            }
        }
        let next: Option<Micros> = sqlx::query_scalar(NEXT_DUE)
            .bind(self.queue.name)
            .bind(Micros(now))
            .fetch_one(reader)
            .await?;
        Ok(next.map_or(POLL, |next| until(now, next.0).min(POLL)))
    }
}

fn until(now: Timestamp, then: Timestamp) -> Duration {
    then.duration_since(now).try_into().unwrap_or_default()
}
