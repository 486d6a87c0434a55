//! Rows of the table `notifications`, and what they mean.

use core_kernel::{NotificationId, OrderId, Text, UserId};
use core_notify::{
    Attempt, AttemptOutcome, Channel, Claim, Content, Job, Notification, Resent, Status,
    StoreError, Summary,
};
use jiff::Timestamp;
use sqlx::sqlite::SqliteRow;
use sqlx::{FromRow, Row};
use uuid::Uuid;

use crate::error::Inconsistent;
use crate::value::Micros;

fn broken(id: Uuid, what: &'static str) -> StoreError {
    StoreError::Broken(Inconsistent::boxed("notifications", id, what))
}

fn channel(word: &str, id: Uuid) -> Result<Channel, StoreError> {
    Channel::from_word(word).ok_or_else(|| broken(id, "unknown channel"))
}

/// A notification that this call has claimed.
#[derive(FromRow)]
pub(super) struct JobRow {
    id: Uuid,
    channel: String,
    recipient: String,
    subject: Option<String>,
    body: String,
    body_text: Option<String>,
    attempts: i64,
    maybe_sent: bool,
}

impl JobRow {
    pub(super) fn job(self) -> Result<Job, StoreError> {
        Ok(Job {
            id: NotificationId(self.id),
            channel: channel(&self.channel, self.id)?,
            recipient: self.recipient.into(),
            content: Content {
                subject: self.subject,
                body: self.body,
                plain: self.body_text,
            },
            claim: u32::try_from(self.attempts).unwrap_or(u32::MAX),
            maybe_sent: self.maybe_sent,
        })
    }
}

/// What an event has already on one channel.
#[derive(FromRow)]
pub(super) struct KnownRow {
    pub(super) id: Uuid,
    channel: String,
    status: String,
    error_message: Option<String>,
    lease_until: Option<Micros>,
}

impl KnownRow {
    pub(super) fn is(&self, channel: Channel, status: Status) -> bool {
        self.channel == channel.as_str() && self.status == status.as_str()
    }

    /// Whether it may be claimed.
    pub(super) fn is_free(&self, now: Timestamp, failed_too: bool) -> bool {
        let held = self.lease_until.is_some_and(|until| until.0 >= now);
        let due = match Status::from_word(&self.status) {
            Some(Status::Queued) => true,
            Some(Status::Failed) => failed_too,
            Some(Status::Sent) | None => false,
        };
        due && !held
    }

    /// Why it was not claimed.
    pub(super) fn claim(self) -> Result<Claim, StoreError> {
        let channel = channel(&self.channel, self.id)?;
        match Status::from_word(&self.status) {
            Some(Status::Sent) => Ok(Claim::Sent(channel)),
            Some(Status::Failed) => {
                let reason = self.error_message.unwrap_or_default();
                Ok(Claim::Failed(channel, reason))
            }
            Some(Status::Queued) => Ok(Claim::Held(channel)),
            None => Err(broken(self.id, "unknown status")),
        }
    }
}

#[derive(FromRow)]
pub(super) struct AttemptRow {
    number: i64,
    began_at: Micros,
    ended_at: Option<Micros>,
    outcome: String,
    provider_ref: Option<String>,
    reason: Option<String>,
}

impl TryFrom<AttemptRow> for Attempt {
    type Error = StoreError;

    fn try_from(row: AttemptRow) -> Result<Self, StoreError> {
        let outcome = AttemptOutcome::from_word(&row.outcome);
        Ok(Self {
            number: u32::try_from(row.number).unwrap_or(u32::MAX),
            began_at: row.began_at.0,
            ended_at: row.ended_at.map(|at| at.0),
            outcome: outcome.ok_or_else(|| broken(Uuid::nil(), "unknown outcome"))?,
            provider_ref: row.provider_ref,
            reason: row.reason,
        })
    }
}

/// A line of a list.
#[derive(FromRow)]
pub(super) struct SummaryRow {
    id: Uuid,
    user_id: Uuid,
    order_id: Option<Uuid>,
    channel: String,
    #[sqlx(rename = "type")]
    type_key: String,
    recipient: String,
    subject: Option<String>,
    status: String,
    sent_at: Option<Micros>,
    created_at: Micros,
}

impl TryFrom<SummaryRow> for Summary {
    type Error = StoreError;

    fn try_from(row: SummaryRow) -> Result<Self, StoreError> {
        Ok(Self {
            id: NotificationId(row.id),
            user_id: UserId(row.user_id),
            order_id: row.order_id.map(OrderId),
            channel: channel(&row.channel, row.id)?,
            type_key: row.type_key,
            recipient: row.recipient.into(),
            subject: row.subject,
            status: Status::from_word(&row.status)
                .ok_or_else(|| broken(row.id, "unknown status"))?,
            sent_at: row.sent_at.map(|at| at.0),
            created_at: row.created_at.0,
        })
    }
}

/// A line of a list beside the total; without a notification when the page is empty.
pub(super) struct ListRow {
    pub(super) total: i64,
    summary: Option<SummaryRow>,
}

impl<'r> FromRow<'r, SqliteRow> for ListRow {
    fn from_row(row: &'r SqliteRow) -> sqlx::Result<Self> {
        let present: Option<Uuid> = row.try_get("id")?;
        Ok(Self {
            total: row.try_get("total")?,
            summary: present.map(|_| SummaryRow::from_row(row)).transpose()?,
        })
    }
}

impl ListRow {
    pub(super) fn summary(self) -> Result<Option<Summary>, StoreError> {
        self.summary.map(Summary::try_from).transpose()
    }
}

#[derive(FromRow)]
pub(super) struct NotificationRow {
    #[sqlx(flatten)]
    summary: SummaryRow,
    body: String,
    body_text: Option<String>,
    provider_ref: Option<String>,
    error_message: Option<String>,
    resend_of: Option<Uuid>,
    resent_by: Option<String>,
    resend_reason: Option<String>,
}

impl TryFrom<NotificationRow> for Notification {
    type Error = StoreError;

    fn try_from(row: NotificationRow) -> Result<Self, StoreError> {
        let resent = row.resend_of.map(|of| Resent {
            of: NotificationId(of),
            by: row.resent_by.unwrap_or_default(),
            reason: row.resend_reason.map(Text::trusted),
        });
        Ok(Self {
            summary: row.summary.try_into()?,
            body: row.body,
            plain: row.body_text,
            provider_ref: row.provider_ref,
            error_message: row.error_message,
            resent,
        })
    }
}
