//! What a test sees of a stack and does to it, in words that fit both back ends.

use crate::Message;
use serde_json::Value;
use std::time::Duration;

/// How a message is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channel {
    /// As a mail.
    Email,
    /// As a text.
    Sms,
}

/// What is to go wrong with an attempt to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Too many at once; nothing was sent.
    Throttle,
    /// The connection ends without an answer; nothing was sent, but nobody can know.
    Timeout,
    /// The provider answers 500, which says as little as no answer. The embedded back end has no
    /// other fault for it than [`Fault::Timeout`].
    ServerError,
    /// Refused for good.
    Refuse,
    /// Sent, but the answer was lost.
    Lost,
    /// Our account is out of order, or the provider.
    Away,
}

/// A mail or text that was accepted, and would be delivered.
#[derive(Clone, Debug)]
pub struct Sent {
    /// The provider's id.
    pub id: String,
    /// The notification it is, where the provider is told.
    pub notification_id: Option<String>,
    /// The sender, where there is one.
    pub from: Option<String>,
    /// The recipient.
    pub to: String,
    /// The subject of a mail.
    pub subject: String,
    /// The HTML of a mail.
    pub html: String,
    /// The text, or the plain text of a mail.
    pub text: String,
}

/// One attempt to send.
#[derive(Clone, Copy, Debug)]
pub struct Attempt {
    /// When, counted from the same moment for all attempts of a stack.
    pub at: Duration,
    /// Whether it was sent.
    pub accepted: bool,
}

/// An event that was given up.
#[derive(Clone, Debug)]
pub struct DeadLetter {
    /// The event's bytes.
    pub body: String,
    /// The event's id, as far as the bus knows it.
    pub message_id: Option<String>,
    /// Why: `poison`, `refused` or `exhausted`.
    pub error_class: String,
    /// Why, in words.
    pub error_message: String,
    /// How often it was tried.
    pub attempts: u64,
    /// When it failed first, RFC 3339.
    pub first_failed_at: String,
    /// When it failed last, RFC 3339.
    pub failed_at: String,
    /// The channels that failed.
    pub failed_channels: Vec<String>,
    /// How it came over AMQP, if it did.
    pub amqp: Option<Message>,
}

/// An event as it was published.
#[derive(Clone, Debug)]
pub struct Published {
    /// What happened, `OrderCreated`.
    pub event_type: String,
    /// Where it went, `order.created`.
    pub routing_key: String,
    /// Its id on the bus.
    pub message_id: String,
    /// The trace it belongs to.
    pub traceparent: String,
    /// The vendors' part of the trace.
    pub tracestate: Option<String>,
    /// Its bytes.
    pub body: String,
    /// How it came over AMQP, if it did.
    pub amqp: Option<Message>,
}

impl DeadLetter {
    /// The event; panics, showing the bytes, if it is no JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        json(&self.body)
    }
}

impl Published {
    /// The event; panics, showing the bytes, if it is no JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        json(&self.body)
    }
}

fn json(body: &str) -> Value {
    serde_json::from_str(body).unwrap_or_else(|error| panic!("no JSON ({error}): {body}"))
}
