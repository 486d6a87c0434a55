//! What becomes of one delivery.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use core_kernel::{BoxError, Clock};
use core_notify::{Delivery, EventHandler, Outcome, WorkQueue};
use futures_util::FutureExt;
use lapin::BasicProperties;
use lapin::message::Delivery as Received;
use lapin::options::{BasicAckOptions, BasicNackOptions};
use shopflow_telemetry::messaging::{self, Arrival};
use tokio::sync::watch;
use tokio::time::Instant;
use tracing::Instrument;

use crate::backoff::Backoff;
use crate::channel::{Message, Publisher};
use crate::headers::{Hop, SYSTEM, for_dead_letter, for_retry};
use crate::topology::{RETRY, wait_queue};

/// The waits between looks whether a neighbour is back. Short, since what is back is to be used soon;
/// no more than ten messages of a queue look.
const MIN_WAIT: Duration = Duration::from_millis(500);
const MAX_WAIT: Duration = Duration::from_secs(2);

/// A message that waits longer makes room for others, which may fare better. (One in hand for half an
/// hour would cost us the channel, by the broker's consumer timeout.)
const MAX_IN_HAND: Duration = Duration::from_secs(30);

/// Before a message goes back to its queue, so as not to spin.
const RETURN_PAUSE: Duration = Duration::from_secs(1);

/// Works on deliveries.
#[derive(Clone)]
pub(super) struct Worker {
    pub(super) handler: Arc<dyn EventHandler>,
    pub(super) publisher: Arc<Publisher>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) stop: watch::Receiver<bool>,
}

/// What is to be done with the delivery once its outcome is known.
enum Settle {
    /// All is recorded.
    Ack,
    /// To another queue, and only then away from here.
    Move(Box<Message>),
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
        let arrival = Arrival {
            system: SYSTEM,
            queue,
            route: (received.exchange.as_str(), received.routing_key.as_str()),
            attempt: hop.attempt,
            cause: hop.cause.as_ref(),
            published_at: hop.published_at,
            context: &hop.context,
        };
        let span = arrival.begin();
        async {
            let begun = std::time::Instant::now();
            // A panic must not keep the message unacknowledged; what it cost is on the next try.
            let handled = AssertUnwindSafe(self.handle(queue, &received, &hop)).catch_unwind();
            let settle = handled.await.unwrap_or_else(|_| {
                tracing::error!("working on the event panicked");
                Settle::Return
            });
            if let Err(error) = self.settle(&received, settle).await {
                let error = core_kernel::chain(&*error);
                tracing::warn!(error, "delivery not settled; it comes again");
            }
            messaging::worked_on(begun);
        }
        .instrument(span)
        .await;
    }

    async fn handle(&self, queue: WorkQueue, received: &Received, hop: &Hop) -> Settle {
        let properties = &received.properties;
        let in_hand_since = Instant::now();
        let mut wait = MIN_WAIT;
        let mut again = received.redelivered || hop.republished;
        let mut revive = !hop.republished;
        loop {
            let delivery = Delivery {
                body: &received.data,
                attempt: hop.attempt,
                again,
                revive,
            };
            let outcome = self.handler.handle(delivery, &hop.context).await;
            messaging::handled(queue, &outcome);
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
                    return Settle::Move(Box::new(Message {
                        exchange: queue.dead_letter_exchange,
                        routing_key: queue.dead_letter_key.to_owned(),
                        properties: copy,
                        body: received.data.clone(),
                    }));
                }
                Outcome::Wait { reason } => reason,
            };
            if in_hand_since.elapsed() > MAX_IN_HAND {
                // A fresh copy, since the broker counts returns and dead-letters after twenty.
                let copy = for_retry(properties, hop, hop.attempt, None);
                return Settle::Move(waiting(queue, 1, copy, received));
            }
            if !received.acker.usable() {
                return Settle::Return;
            }
            tracing::warn!(reason, "waiting for a neighbour");
            let mut stop = self.stop.clone();
            tokio::select! {
                // Never all of them at once.
                () = tokio::time::sleep(wait.mul_f64(0.5 + fastrand::f64() / 2.0)) => {}
                _ = stop.wait_for(|stop| *stop) => return Settle::Return,
            }
            wait = (wait * 2).min(MAX_WAIT);
            again = true;
            revive = false;
        }
    }

    async fn settle(&self, received: &Received, settle: Settle) -> Result<(), BoxError> {
        let gone = match settle {
            Settle::Ack => true,
            Settle::Return => false,
            Settle::Move(message) => self.publish(received, *message).await,
        };
        let settled = if gone {
            received.ack(BasicAckOptions::default()).await?
        } else {
            tokio::time::sleep(RETURN_PAUSE).await;
            let options = BasicNackOptions {
                requeue: true,
                multiple: false,
            };
            received.nack(options).await?
        };
        match settled {
            true => Ok(()),
            false => Err("the channel is gone".into()),
        }
    }

    /// Publishes until the broker has confirmed it: true. False when that is not to be awaited any
    /// more, because of a stop or because the message comes again anyway.
    async fn publish(&self, received: &Received, message: Message) -> bool {
        let mut backoff = Backoff::default();
        let mut stop = self.stop.clone();
        while received.acker.usable() {
            // One message at a time, so a returned one cannot be another's.
            let problem = match self.publisher.publish(vec![message.clone()]).await {
                Ok(taken) if taken == [true] => return true,
                Ok(_) => "the queue is full or missing".to_owned(),
                Err(error) => core_kernel::chain(&*error),
            };
            tracing::warn!(problem, "the broker did not take a message; trying again");
            tokio::select! {
                () = backoff.pause() => {}
                _ = stop.wait_for(|stop| *stop) => return false,
            }
        }
        false
    }
}

fn waiting(
    queue: WorkQueue,
    seconds: u64,
    properties: BasicProperties,
    received: &Received,
) -> Box<Message> {
    Box::new(Message {
        exchange: RETRY,
        routing_key: wait_queue(&queue, seconds),
        properties,
        body: received.data.clone(),
    })
}
