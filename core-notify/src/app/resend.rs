//! Sending a notification once more, by intent.

use std::sync::Arc;

use core_kernel::{Clock, EventPublisher, NotificationId, PublishError, RequestContext, Text};

use super::deliver::{Notifier, dead, from_store};
use crate::event::{Event, EventKind};
use crate::notification::{Content, Draft, Notification, Resent, Status};
use crate::outcome::Outcome;
use crate::ports::{NotificationStore, StoreError};
use crate::resend::Resend;
use crate::retention::PURGED;

/// Why a notification is not sent again.
#[derive(Debug, thiserror::Error)]
pub enum ResendError {
    /// None has this id.
    #[error("no such notification")]
    NotFound,
    /// It has not been sent even once; a dead letter can be replayed.
    #[error("it is {}, and was not sent yet", .0.as_str())]
    NotSent(Status),
    /// Its words are masked: they had a one-time token, which nobody keeps.
    #[error("a one-time token was in it, which is not kept")]
    HadToken,
    /// Its words are gone with the account that they were for.
    #[error("its account was purged, and its words with it")]
    Purged,
    /// The queue is full, or not there.
    #[error("the queue does not take it")]
    NotTaken,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The broker does not tell whether it has taken it.
    #[error(transparent)]
    Queue(#[from] PublishError),
    /// It cannot be written as JSON.
    #[error("the event cannot be written")]
    Event(#[from] serde_json::Error),
}

/// Has notifications sent again.
///
/// What is wanted is put into a work queue, and nothing else is written: the notification service
/// takes it from there and makes a notification of it, as of every event. So there is no moment at
/// which a crash could leave a half of it.
#[derive(Clone)]
pub struct Resends {
    /// Where the notifications are.
    pub store: Arc<dyn NotificationStore>,
    /// Puts events into work queues: its routing keys are their names.
    pub queues: Arc<dyn EventPublisher>,
    /// The time of the events.
    pub clock: Arc<dyn Clock>,
}

impl Resends {
    /// The notification with this id, if it can be sent again.
    ///
    /// # Errors
    /// Why not.
    pub async fn sendable(&self, id: NotificationId) -> Result<Notification, ResendError> {
        let found = self.store.find(id).await?.ok_or(ResendError::NotFound)?;
        let summary = &found.summary;
        match summary.status {
            Status::Sent => {}
            status @ (Status::Queued | Status::Failed) => return Err(ResendError::NotSent(status)),
        }
        if summary.recipient.as_str() == PURGED {
            return Err(ResendError::Purged);
        }
        kind_of(&found)?;
        Ok(found)
    }

    /// Asks for a notification that [`Resends::sendable`] told to be sent again, and returns the id
    /// of the one that it becomes, once the queue has confirmed it. Asking twice sends it twice.
    ///
    /// # Errors
    /// `NotTaken`, or what failed; after `Queue` nobody knows, and it may go out all the same.
    pub async fn ask(
        &self,
        first: &Notification,
        by: &str,
        reason: Option<Text<200>>,
        context: &RequestContext,
    ) -> Result<NotificationId, ResendError> {
        let summary = &first.summary;
        let resend = Resend {
            notification_id: NotificationId::generate(),
            resend_of: summary.id,
            user_id: summary.user_id,
            order_id: summary.order_id,
            type_key: summary.type_key.clone(),
            by: by.to_owned(),
            reason,
        };
        let id = resend.notification_id;
        let event = resend.event(kind_of(first)?, self.clock.now(), context)?;
        match self.queues.publish(&[event]).await?.as_slice() {
            [true] => Ok(id),
            _ => Err(ResendError::NotTaken),
        }
    }
}

fn kind_of(notification: &Notification) -> Result<EventKind, ResendError> {
    let kind = EventKind::with_type_key(&notification.summary.type_key);
    let kind = kind.filter(|kind| kind.is_about_order());
    kind.ok_or(ResendError::HadToken)
}

impl Notifier {
    /// What was sent once, in the same words and to the same recipient.
    pub(super) async fn copy(
        &self,
        event: &Event,
        resend: &Resend,
        attempt: u32,
    ) -> Result<Draft, Outcome> {
        let found = self.store.find(resend.resend_of).await;
        let first = found
            .map_err(|error| from_store(&error, attempt))?
            .filter(|first| first.summary.recipient.as_str() != PURGED)
            .ok_or_else(|| {
                let reason = "what was to be sent again is not there any more";
                dead("expired", reason.to_owned(), Vec::new())
            })?;
        let summary = first.summary;
        Ok(Draft {
            id: resend.notification_id,
            event_id: event.id,
            user_id: summary.user_id,
            order_id: summary.order_id,
            channel: summary.channel,
            type_key: event.kind.type_key(),
            recipient: summary.recipient,
            content: Content {
                subject: summary.subject,
                body: first.body,
                plain: first.plain,
            },
            created_at: self.clock.now(),
            resent: Some(Resent {
                of: summary.id,
                by: resend.by.clone(),
                reason: resend.reason.clone(),
            }),
        })
    }
}
