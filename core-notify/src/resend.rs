//! A notification that is wanted once more: the only way in which anything is sent twice on purpose.

use core_kernel::{
    Envelope, EventId, NotificationId, OrderId, OutboxMessage, RequestContext, Text, UserId,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::event::EventKind;
use crate::queue::WorkQueue;

/// The payload of the event that asks for it. It names a notification and holds nothing of its words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Resend {
    /// The id of the notification that it makes, so that whoever asks can look for it.
    pub notification_id: NotificationId,
    /// The one that was sent.
    pub resend_of: NotificationId,
    /// Whom both are for.
    pub user_id: UserId,
    /// Which order both are about.
    pub order_id: Option<OrderId>,
    /// The type key of both.
    #[serde(rename = "type")]
    pub type_key: String,
    /// Who asks, `cli:ada`.
    pub by: String,
    /// Why, in their words.
    #[cfg_attr(feature = "schema", schema(value_type = Option<String>, max_length = 200))]
    pub reason: Option<Text<200>>,
}

impl Resend {
    /// The type of the event.
    pub const EVENT_TYPE: &str = "NotificationResendRequested";

    /// The queues that it may be put into, by their own names: those of events that can be told again.
    #[must_use]
    pub fn queues() -> Vec<WorkQueue> {
        let kinds = EventKind::ALL.into_iter();
        kinds
            .filter(|kind| kind.is_about_order())
            .map(WorkQueue::of)
            .collect()
    }

    /// The event, for the work queue that the first one came from. It has an id of its own, so it makes
    /// one notification however often it is delivered.
    ///
    /// # Errors
    /// Never: all of it can be JSON.
    pub(crate) fn event(
        self,
        kind: EventKind,
        at: Timestamp,
        context: &RequestContext,
    ) -> serde_json::Result<OutboxMessage> {
        let envelope = Envelope {
            event_id: EventId::generate(),
            event_type: Self::EVENT_TYPE.to_owned(),
            timestamp: at,
            version: Envelope::<Self>::VERSION.to_owned(),
            payload: self,
        };
        Ok(OutboxMessage {
            event_id: envelope.event_id,
            subject: envelope.payload.resend_of.0,
            event_type: Self::EVENT_TYPE.to_owned(),
            routing_key: WorkQueue::of(kind).name.to_owned(),
            payload: serde_json::to_string(&envelope)?,
            traceparent: context.trace.traceparent(),
            tracestate: context.trace.tracestate().map(str::to_owned),
            occurred_at: at.as_second(),
        })
    }
}
