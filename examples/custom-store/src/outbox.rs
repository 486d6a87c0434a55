//! The outbox: events wait here, written together with what they tell of, until a relay has
//! handed them to the broker.

use std::collections::{HashMap, HashSet, VecDeque};

use async_trait::async_trait;
use core_kernel::{
    EventId, EventPublisher, OrderId, Outbox, OutboxBacklog, OutboxMessage, Refused, RelayError,
    RelayReport, RequestContext, WaitingEvent,
};
use core_orders::{HistoryEntry, OrderEvent, StoreError};
use jiff::Timestamp;
use uuid::Uuid;

use crate::MemoryStore;

/// The events that wait, and what is known of the others.
#[derive(Default)]
pub(crate) struct Queue {
    /// In the order in which they happened.
    waiting: VecDeque<OutboxMessage>,
    /// The subjects (orders) of which a relay is publishing an event.
    claimed: HashSet<Uuid>,
    /// How often the broker has refused an event that still waits.
    refusals: HashMap<EventId, u32>,
    /// The ids of all events there ever were: published or not, an id is taken for good.
    ids: HashSet<EventId>,
}

impl Queue {
    /// Adds all of them, or none when an id is taken.
    pub(crate) fn add(&mut self, messages: Vec<OutboxMessage>) -> Result<(), StoreError> {
        let ids: HashSet<EventId> = messages.iter().map(|message| message.event_id).collect();
        if ids.len() < messages.len() || !self.ids.is_disjoint(&ids) {
            return Err(StoreError::Broken("an event's id is taken".into()));
        }
        self.ids.extend(ids);
        self.waiting.extend(messages);
        Ok(())
    }

    /// Published events leave. Nobody asks for them again, so none is kept.
    fn remove(&mut self, published: &HashSet<EventId>) {
        self.waiting
            .retain(|message| !published.contains(&message.event_id));
        self.refusals.retain(|event, _| !published.contains(event));
    }

    fn refuse(&mut self, event_id: EventId) -> Refused {
        let times = self.refusals.entry(event_id).or_default();
        *times += 1;
        Refused {
            event_id,
            times: *times,
        }
    }
}

/// The events of one decision as they will be published. Their trace is that of the request, so
/// that whoever reads them can be found in the same trace.
pub(crate) fn messages(
    order: OrderId,
    entry: &HistoryEntry,
    events: &[OrderEvent],
    context: &RequestContext,
) -> Result<Vec<OutboxMessage>, StoreError> {
    let message = |event: &OrderEvent| {
        let payload = event.to_json();
        Ok(OutboxMessage {
            event_id: event.id(),
            subject: order.0,
            event_type: event.event_type().to_owned(),
            routing_key: event.routing_key().to_owned(),
            payload: payload.map_err(|error| StoreError::Broken(error.into()))?,
            traceparent: context.trace.traceparent(),
            tracestate: context.trace.tracestate().map(str::to_owned),
            occurred_at: entry.at.as_second(),
        })
    };
    events.iter().map(message).collect()
}

/// Events that one relay is publishing. However its pass ends (published, failed, or dropped in
/// the middle), dropping this gives their subjects back.
struct Claim<'a> {
    store: &'a MemoryStore,
    messages: Vec<OutboxMessage>,
}

impl MemoryStore {
    /// Claims the first event of each subject that no relay holds. As long as it is neither
    /// published nor given back, the later events of its subject are not claimed by anyone: that
    /// is what keeps them in order, and keeps two relays from publishing the same event.
    fn claim(&self, limit: u32) -> Claim<'_> {
        let mut state = self.state();
        let Queue {
            waiting,
            claimed,
            refusals,
            ..
        } = &mut state.queue;
        let mut seen = claimed.clone();
        let mut messages: Vec<OutboxMessage> = waiting
            .iter()
            .filter(|message| seen.insert(message.subject))
            .cloned()
            .collect();
        // What is refused again and again comes last, so that it holds up no other subject.
        messages.sort_by_key(|message| refusals.get(&message.event_id).copied());
        messages.truncate(limit as usize);
        claimed.extend(messages.iter().map(|message| message.subject));
        Claim {
            store: self,
            messages,
        }
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        let mut state = self.store.state();
        for message in &self.messages {
            state.queue.claimed.remove(&message.subject);
        }
    }
}

#[async_trait]
impl Outbox for MemoryStore {
    async fn relay(
        &self,
        publisher: &dyn EventPublisher,
        limit: u32,
    ) -> Result<RelayReport, RelayError> {
        let claim = self.claim(limit);
        if claim.messages.is_empty() {
            return Ok(RelayReport::default());
        }
        // The lock is free while the broker works. An error here leaves every event where it is.
        let taken = publisher.publish(&claim.messages).await?;
        // Only what the broker took leaves the outbox; the rest is sent again, and so is what it
        // took without our knowing, from a pass that was dropped: at least once, never not at all.
        let answers = taken.into_iter().chain(std::iter::repeat(false));
        let mut published = HashSet::new();
        let mut refused = Vec::new();
        let mut state = self.state();
        for (message, taken) in claim.messages.iter().zip(answers) {
            match taken {
                true => drop(published.insert(message.event_id)),
                false => refused.push(state.queue.refuse(message.event_id)),
            }
        }
        state.queue.remove(&published);
        Ok(RelayReport {
            published: published.len(),
            refused,
        })
    }

    async fn prune(&self, _until: Timestamp, _limit: u32) -> Result<u64, RelayError> {
        Ok(0)
    }

    async fn backlog(&self) -> Result<OutboxBacklog, RelayError> {
        let state = self.state();
        let waiting = &state.queue.waiting;
        let oldest = waiting.iter().map(|message| message.occurred_at).min();
        let age = oldest.map_or(0, |at| self.clock.now().as_second() - at);
        Ok(OutboxBacklog {
            waiting: waiting.len() as u64,
            oldest_seconds: age.max(0) as f64,
        })
    }

    async fn waiting(&self, limit: u32) -> Result<Vec<WaitingEvent>, RelayError> {
        let state = self.state();
        let Queue {
            waiting, refusals, ..
        } = &state.queue;
        let event = |message: &OutboxMessage| WaitingEvent {
            event_id: message.event_id,
            subject: message.subject,
            event_type: message.event_type.clone(),
            since: Timestamp::from_second(message.occurred_at).unwrap_or_default(),
            refusals: refusals.get(&message.event_id).copied().unwrap_or(0),
        };
        Ok(waiting.iter().take(limit as usize).map(event).collect())
    }

    /// Nothing is put off here: every pass tries all.
    async fn hurry(&self) -> Result<(), RelayError> {
        Ok(())
    }
}
