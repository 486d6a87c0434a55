//! What it takes to send, and how long a customer waits for it.

use std::collections::HashMap;
use std::time::Instant;

use async_trait::async_trait;
use core_kernel::{Clock, SystemClock};
use core_notify::{AttemptOutcome, Channel, EmailSender, Mail, SendError, SmsSender, Text};
use jiff::Timestamp;
use metrics::{Counter, Histogram};

/// A sender whose attempts are counted.
pub(crate) struct Measured<S> {
    sender: S,
    attempts: HashMap<&'static str, Counter>,
    duration: Histogram,
    delivery: Histogram,
}

impl<S> Measured<S> {
    /// The sender of a channel.
    pub(crate) fn new(channel: Channel, sender: S) -> Self {
        let channel = channel.as_str();
        let counter = |outcome: &AttemptOutcome| {
            let outcome = outcome.as_str();
            let counter = metrics::counter!(
                "shopflow_send_attempts_total", "channel" => channel, "outcome" => outcome);
            (outcome, counter)
        };
        // A lost attempt is found by the store, later; no call of a provider ends so.
        let known = AttemptOutcome::ALL.iter();
        let known = known.filter(|outcome| **outcome != AttemptOutcome::Lost);
        Self {
            sender,
            attempts: known.map(counter).collect(),
            duration: metrics::histogram!("shopflow_send_duration_seconds", "channel" => channel),
            delivery: metrics::histogram!("shopflow_delivery_seconds", "channel" => channel),
        }
    }

    fn tell(&self, begun: Instant, happened_at: Timestamp, sent: &Result<String, SendError>) {
        self.duration.record(begun.elapsed().as_secs_f64());
        let outcome = match sent {
            Ok(_) => {
                let took = SystemClock.now().duration_since(happened_at);
                // Clocks of two machines may differ by more than it took.
                self.delivery.record(took.as_secs_f64().max(0.0));
                AttemptOutcome::Sent.as_str()
            }
            Err(error) => error.word(),
        };
        if let Some(counter) = self.attempts.get(outcome) {
            counter.increment(1);
        }
    }
}

#[async_trait]
impl<S: EmailSender> EmailSender for Measured<S> {
    async fn send<'a>(&self, mail: Mail<'a>) -> Result<String, SendError> {
        let begun = Instant::now();
        let sent = self.sender.send(mail).await;
        self.tell(begun, mail.happened_at, &sent);
        sent
    }
}

#[async_trait]
impl<S: SmsSender> SmsSender for Measured<S> {
    async fn send<'a>(&self, text: Text<'a>) -> Result<String, SendError> {
        let begun = Instant::now();
        let sent = self.sender.send(text).await;
        self.tell(begun, text.happened_at, &sent);
        sent
    }
}
