//! What becomes of one delivery.

use std::sync::Arc;
use std::time::Duration;

use core_kernel::{BoxError, Clock};
use core_notify::{Delivery, Notifier, Outcome};
use lapin::BasicProperties;
use lapin::message::Delivery as Received;
use lapin::options::{BasicAckOptions, BasicNackOptions, BasicRejectOptions};
use tokio::sync::{Mutex, Notify, watch};
use tokio::time::Instant;
use tracing::Instrument;

use crate::channel::{ConfirmChannel, Message};
use crate::headers::{Hop, for_dead_letter, for_retry};
use crate::topology::{DEAD_LETTERS, RETRY, WorkQueue};

/// The waits between looks whether a neighbour is back.
const MIN_WAIT: Duration = Duration::from_millis(500);
const MAX_WAIT: Duration = Duration::from_secs(5);

/// A message in hand for half an hour would cost us the channel (the broker's consumer timeout).
const MAX_IN_HAND: Duration = Duration::from_secs(20 * 60);

/// Before a message goes back that its next home did not take.
const RETURN_PAUSE: Duration = Duration::from_secs(1);

/// Works on deliveries.
#[derive(Clone)]
pub(super) struct Worker {
    pub(super) notifier: Arc<Notifier>,
    pub(super) publisher: Arc<Mutex<ConfirmChannel>>,
    /// Told when the publishing channel is of no more use.
    pub(super) publisher_lost: Arc<Notify>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) stop: watch::Receiver<bool>,
}

/// What is to be done with the delivery once its outcome is known.
enum Settle {
    /// All is recorded.
    Ack,
    /// To another queue, and only then away from here.
    Move(Message),
    /// Back to its queue.
    Return,
}

impl Worker {
    /// From delivery to acknowledgement.
    pub(super) async fn work(&self, queue: WorkQueue, received: Received) {
        // A channel that broke still yields what it had buffered; the broker delivers that anew.
        if !received.acker.usable() {
            return;
        }
        let hop = Hop::read(&received.properties);
        let span = tracing::info_span!(
            "event",
            request_id = %hop.context.request_id,
            trace_id = %hop.context.trace.trace_id(),
            queue = queue.name,
            attempt = hop.attempt,
        );
        async {
            let settle = self.handle(queue, &received, &hop).await;
            if let Err(error) = self.settle(&received, settle).await {
                tracing::warn!(
                    error = core_kernel::chain(&*error),
                    "delivery not settled; it comes again"
                );
            }
        }
        .instrument(span)
        .await;
    }

    async fn handle(&self, queue: WorkQueue, received: &Received, hop: &Hop) -> Settle {
        let properties = &received.properties;
        let in_hand_since = Instant::now();
        let mut wait = MIN_WAIT;
        let mut again = received.redelivered || hop.republished;
        loop {
            let delivery = Delivery {
                body: &received.data,
                attempt: hop.attempt,
                again,
            };
            let outcome = self.notifier.handle(delivery, &hop.context).await;
            count(queue, &outcome);
            let reason = match outcome {
                Outcome::Done => return Settle::Ack,
                Outcome::Retry { after, reason } => {
                    tracing::warn!(
                        reason,
                        after_seconds = after.as_secs(),
                        "event failed; trying again"
                    );
                    let copy = for_retry(properties, hop, hop.attempt + 1, Some(self.clock.now()));
                    return Settle::Move(waiting(queue, after.as_secs(), copy, received));
                }
                Outcome::Held => {
                    let copy = for_retry(properties, hop, hop.attempt, None);
                    return Settle::Move(waiting(queue, 1, copy, received));
                }
                Outcome::Dead {
                    class,
                    reason,
                    channels,
                } => {
                    tracing::error!(class, reason, "event dead-lettered");
                    let now = self.clock.now();
                    let copy = for_dead_letter(properties, hop, class, &reason, &channels, now);
                    return Settle::Move(Message {
                        exchange: DEAD_LETTERS,
                        routing_key: queue.dead_letter_key.to_owned(),
                        properties: copy,
                        body: received.data.clone(),
                    });
                }
                Outcome::Wait { reason } => reason,
            };
            if in_hand_since.elapsed() > MAX_IN_HAND || !received.acker.usable() {
                return Settle::Return;
            }
            tracing::warn!(reason, "waiting for a neighbour");
            let mut stop = self.stop.clone();
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                _ = stop.wait_for(|stop| *stop) => return Settle::Return,
            }
            wait = (wait * 2).min(MAX_WAIT);
            again = true;
        }
    }

    async fn settle(&self, received: &Received, settle: Settle) -> Result<(), BoxError> {
        let moved = match settle {
            Settle::Ack => Ok(()),
            Settle::Return => Err(BoxError::from("returned to its queue")),
            Settle::Move(message) => {
                let dead = message.exchange == DEAD_LETTERS;
                match self.publish(message).await {
                    Err(error) if dead => {
                        tracing::error!(
                            error = core_kernel::chain(&*error),
                            "dead letter not confirmed; leaving it to the broker"
                        );
                        received
                            .reject(BasicRejectOptions { requeue: false })
                            .await?;
                        return Ok(());
                    }
                    moved => moved,
                }
            }
        };
        if let Err(error) = moved {
            tokio::time::sleep(RETURN_PAUSE).await;
            received
                .nack(BasicNackOptions {
                    requeue: true,
                    multiple: false,
                })
                .await?;
            return Err(error);
        }
        match received.ack(BasicAckOptions::default()).await? {
            true => Ok(()),
            false => Err("the channel is gone".into()),
        }
    }

    /// One message at a time: they are few, and so a returned one cannot be another's.
    async fn publish(&self, message: Message) -> Result<(), BoxError> {
        let channel = self.publisher.lock().await;
        match channel.publish(vec![message]).await {
            Ok(taken) if taken == [true] => Ok(()),
            Ok(_) => Err("the broker did not take the message".into()),
            Err(error) => {
                self.publisher_lost.notify_one();
                Err(error)
            }
        }
    }
}

fn waiting(
    queue: WorkQueue,
    seconds: u64,
    properties: BasicProperties,
    received: &Received,
) -> Message {
    Message {
        exchange: RETRY,
        routing_key: queue.wait_queue(seconds),
        properties,
        body: received.data.clone(),
    }
}

fn count(queue: WorkQueue, outcome: &Outcome) {
    let outcome = match outcome {
        Outcome::Done => "done",
        Outcome::Retry { .. } => "retry",
        Outcome::Held => "held",
        Outcome::Wait { .. } => "wait",
        Outcome::Dead { .. } => "dead",
    };
    metrics::counter!("shopflow_events_handled_total", "queue" => queue.name, "outcome" => outcome)
        .increment(1);
}
