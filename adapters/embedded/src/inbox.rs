//! The inbox: mails and texts are captured instead of sent, and meet faults on demand.

mod mime;
mod senders;

use async_trait::async_trait;
use core_kernel::{NotificationId, OrderId};
use core_notify::{Channel, FaultKind, Inbox, InboxAttempt, InboxFilter, InboxMessage, StoreError};
use sqlx::FromRow;
use uuid::Uuid;

use crate::database::Database;
use crate::error::{Inconsistent, notify_error};
use crate::value::Micros;

pub use senders::{InboxEmailSender, InboxSmsSender};

const LIST: &str = "
    SELECT id, notification_id, order_id, channel, recipient, subject, text, html, created_at
    FROM inbox_messages
    WHERE (?1 IS NULL OR channel = ?1) AND (?2 IS NULL OR order_id = ?2)
      AND (?3 IS NULL OR recipient = ?3) AND (?4 IS NULL OR id < ?4)
    ORDER BY id DESC LIMIT ?5";

const FIND: &str = "
    SELECT id, notification_id, order_id, channel, recipient, subject, text, html, created_at
    FROM inbox_messages WHERE id = ?1";

const RAW: &str = "SELECT mime FROM inbox_messages WHERE id = ?1 AND mime IS NOT NULL";

const ATTEMPTS: &str = "
    SELECT notification_id, order_id, channel, fault, at
    FROM inbox_attempts ORDER BY id DESC LIMIT ?1";

#[derive(FromRow)]
struct MessageRow {
    id: i64,
    notification_id: Uuid,
    order_id: Option<Uuid>,
    channel: String,
    recipient: String,
    subject: Option<String>,
    text: String,
    html: Option<String>,
    created_at: Micros,
}

fn channel(word: &str, id: impl std::fmt::Display) -> Result<Channel, StoreError> {
    let unknown =
        || StoreError::Broken(Inconsistent::boxed("inbox_messages", id, "unknown channel"));
    Channel::from_word(word).ok_or_else(unknown)
}

impl TryFrom<MessageRow> for InboxMessage {
    type Error = StoreError;

    fn try_from(row: MessageRow) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.id,
            notification_id: NotificationId(row.notification_id),
            order_id: row.order_id.map(OrderId),
            channel: channel(&row.channel, row.id)?,
            to: row.recipient,
            subject: row.subject,
            text: row.text,
            html: row.html,
            created_at: row.created_at.0,
        })
    }
}

#[derive(FromRow)]
struct AttemptRow {
    notification_id: Uuid,
    order_id: Option<Uuid>,
    channel: String,
    fault: Option<String>,
    at: Micros,
}

impl TryFrom<AttemptRow> for InboxAttempt {
    type Error = StoreError;

    fn try_from(row: AttemptRow) -> Result<Self, StoreError> {
        Ok(Self {
            notification_id: NotificationId(row.notification_id),
            order_id: row.order_id.map(OrderId),
            channel: channel(&row.channel, row.notification_id)?,
            fault: row.fault.as_deref().and_then(FaultKind::from_word),
            at: row.at.0,
        })
    }
}

/// What was captured, in the tables `inbox_messages` and `inbox_attempts`.
#[derive(Clone, Debug)]
pub struct SqliteInbox(pub(crate) Database);

#[async_trait]
impl Inbox for SqliteInbox {
    async fn list(
        &self,
        filter: &InboxFilter,
        limit: u32,
    ) -> Result<Vec<InboxMessage>, StoreError> {
        let rows: Vec<MessageRow> = sqlx::query_as(LIST)
            .bind(filter.channel.map(Channel::as_str))
            .bind(filter.order_id.map(|id| id.0))
            .bind(filter.to.clone())
            .bind(filter.before)
            .bind(limit)
            .fetch_all(self.0.read())
            .await
            .map_err(notify_error)?;
        rows.into_iter().map(InboxMessage::try_from).collect()
    }

    async fn find(&self, id: i64) -> Result<Option<InboxMessage>, StoreError> {
        sqlx::query_as::<_, MessageRow>(FIND)
            .bind(id)
            .fetch_optional(self.0.read())
            .await
            .map_err(notify_error)?
            .map(InboxMessage::try_from)
            .transpose()
    }

    async fn raw(&self, id: i64) -> Result<Option<Vec<u8>>, StoreError> {
        sqlx::query_scalar(RAW)
            .bind(id)
            .fetch_optional(self.0.read())
            .await
            .map_err(notify_error)
    }

    async fn attempts(&self, limit: u32) -> Result<Vec<InboxAttempt>, StoreError> {
        let rows: Vec<AttemptRow> = sqlx::query_as(ATTEMPTS)
            .bind(limit)
            .fetch_all(self.0.read())
            .await
            .map_err(notify_error)?;
        rows.into_iter().map(InboxAttempt::try_from).collect()
    }
}
