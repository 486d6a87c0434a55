//! The transactional outbox: events are stored with the change they tell of, and a relay carries
//! them to the broker afterwards, at least once and in order per subject.

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use crate::{BoxError, EventId};

/// An event waiting to be published. Its bytes never change, however often it is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboxMessage {
    /// The event's id, which is the `message_id` on the broker.
    pub event_id: EventId,
    /// What it is about (an order's id). Events of one subject are published in order.
    pub subject: Uuid,
    /// What happened, `OrderCreated`.
    pub event_type: String,
    /// Where the broker is to route it, `order.created`.
    pub routing_key: String,
    /// The envelope as JSON.
    pub payload: String,
    /// W3C trace context of the request that caused it.
    pub traceparent: String,
    /// The vendors' part of the trace context.
    pub tracestate: Option<String>,
    /// When it happened, in whole seconds since 1970 (UTC); a fraction is cut off.
    pub occurred_at: i64,
}

/// The broker cannot take events now; all of them stay in the outbox.
#[derive(Debug, thiserror::Error)]
#[error("the broker does not take events")]
pub struct PublishError(#[source] pub BoxError);

/// Hands events to the broker.
#[async_trait]
pub trait EventPublisher: Send + Sync {
    /// Makes sure that events can be published now, connecting if need be. Whoever calls
    /// [`Outbox::relay`] asks this first, so that nothing is claimed for a broker that is away; the
    /// outbox itself does not ask, and `publish` may be called without it.
    ///
    /// # Errors
    /// When the broker is away or takes nothing.
    async fn ready(&self) -> Result<(), PublishError>;

    /// Publishes a batch and answers, message by message and in the same order, whether the broker
    /// confirmed and routed it. A message without an answer was not taken; an answer without a
    /// message counts for nothing.
    ///
    /// # Errors
    /// When nothing is known of the batch: there is no connection and none can be made, or no
    /// confirm came in time. Some messages may have arrived all the same.
    async fn publish(&self, batch: &[OutboxMessage]) -> Result<Vec<bool>, PublishError>;
}

/// How long published events stay in the outbox, for those who look into what went out.
pub const KEEP_PUBLISHED: SignedDuration = SignedDuration::from_hours(7 * 24);

/// An event that the broker refused, could not route, or did not answer for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Which.
    pub event_id: EventId,
    /// How often by now, from 1.
    pub times: u32,
}

/// What one pass over the outbox did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RelayReport {
    /// Events that the broker confirmed and routed; they have left the outbox.
    pub published: usize,
    /// Events that it did not take; they stay.
    pub refused: Vec<Refused>,
}

/// What waits in an outbox.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct OutboxBacklog {
    /// Events not yet published.
    pub waiting: u64,
    /// The age of the oldest of them, in seconds; 0 when none waits.
    pub oldest_seconds: f64,
}

/// An event that waits to be published, as operators see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaitingEvent {
    /// Its id.
    pub event_id: EventId,
    /// What it is about: an order's id, a user's.
    pub subject: Uuid,
    /// What happened, `OrderCreated`.
    pub event_type: String,
    /// Since when it waits.
    pub since: Timestamp,
    /// How often the broker did not take it.
    pub refusals: u32,
}

/// Why a pass over the outbox failed. Nothing is lost: what was not marked is sent again.
#[derive(Debug, thiserror::Error)]
pub enum RelayError {
    /// The broker does not take events.
    #[error(transparent)]
    Broker(#[from] PublishError),
    /// The store does not answer.
    #[error("the outbox cannot be read or written")]
    Store(#[source] BoxError),
}

/// Keeps events until they are published.
#[async_trait]
pub trait Outbox: Send + Sync {
    /// Claims up to `limit` events (at least 1), publishes them, and marks those that were confirmed
    /// and routed: they are not published again.
    ///
    /// An event that was refused is never given up. It is tried again, less often each time but at
    /// least once a minute, and however many are refused, events of other subjects go out.
    ///
    /// Any number of relays may run at once: they skip what another has claimed, or take turns. An
    /// event is only claimed when no earlier event of its subject is unpublished, so order per
    /// subject holds. A claim ends with this call, or with the process that made it; when the call
    /// is dropped in the middle, as soon as the adapter can give it back. What is stored can be read
    /// and written while the publisher works.
    ///
    /// # Errors
    /// `Broker` or `Store`; the claimed events stay in the outbox.
    async fn relay(
        &self,
        publisher: &dyn EventPublisher,
        limit: u32,
    ) -> Result<RelayReport, RelayError>;

    /// Removes events that were published at `until` or before, `limit` at most (at least 1), and
    /// tells how many they were: fewer than `limit` when no more are left, or when another is at it.
    /// An adapter that keeps no published events has none to remove.
    ///
    /// # Errors
    /// `Store`; nothing is removed.
    async fn prune(&self, until: Timestamp, limit: u32) -> Result<u64, RelayError>;

    /// What waits to be published.
    ///
    /// # Errors
    /// `Store` when it cannot be read.
    async fn backlog(&self) -> Result<OutboxBacklog, RelayError>;

    /// The events that wait, oldest first, `limit` at most.
    ///
    /// # Errors
    /// `Store` when they cannot be read.
    async fn waiting(&self, limit: u32) -> Result<Vec<WaitingEvent>, RelayError>;

    /// Lets the next pass try what was put off after a refusal, as if its time had come. How often
    /// it was refused is not forgotten.
    ///
    /// # Errors
    /// `Store`; everything is put off as it was.
    async fn hurry(&self) -> Result<(), RelayError>;
}

/// Told that events were committed, so that the relay need not wait for its next look.
pub trait Wake: Send + Sync {
    /// Wakes the relay; a wake during a pass leads to one more pass.
    fn wake(&self);
}
