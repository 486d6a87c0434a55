//! Rows of the table `notifications`, and what they mean.

use core_kernel::{NotificationId, OrderId, Text, UserId};
use core_notify::{
    Attempt, AttemptOutcome, Channel, Claim, Content, Job, Notification, Resent, Status,
    StoreError, Summary,
};
use sqlx::postgres::PgRow;
use sqlx::{FromRow, Row};
use uuid::Uuid;

use crate::error::Inconsistent;

fn broken(id: Uuid, what: &'static str) -> StoreError {
    let id = id.to_string();
    StoreError::Broken(Box::new(Inconsistent {
        table: "notifications",
        id,
        what,
    }))
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
    attempts: i32,
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
            claim: self.attempts.unsigned_abs(),
            maybe_sent: self.maybe_sent,
        })
    }
}

/// A notification of an event; with its content if this call has claimed it.
pub(super) struct ClaimRow {
    channel: String,
    status: String,
    error_message: Option<String>,
    job: Option<JobRow>,
}

impl<'r> FromRow<'r, PgRow> for ClaimRow {
    fn from_row(row: &'r PgRow) -> sqlx::Result<Self> {
        let claimed: Option<Uuid> = row.try_get("id")?;
        Ok(Self {
            channel: row.try_get("channel")?,
            status: row.try_get("status")?,
            error_message: row.try_get("error_message")?,
            job: claimed.map(|_| JobRow::from_row(row)).transpose()?,
        })
    }
}

impl ClaimRow {
    pub(super) fn claim(self) -> Result<Claim, StoreError> {
        if let Some(job) = self.job {
            return Ok(Claim::Send(job.job()?));
        }
        let channel = channel(&self.channel, Uuid::nil())?;
        match Status::from_word(&self.status) {
            Some(Status::Sent) => Ok(Claim::Sent(channel)),
            Some(Status::Failed) => {
                let reason = self.error_message.unwrap_or_default();
                Ok(Claim::Failed(channel, reason))
            }
            Some(Status::Queued) => Ok(Claim::Held(channel)),
            None => Err(broken(Uuid::nil(), "unknown status")),
        }
    }
}

#[derive(FromRow)]
pub(super) struct AttemptRow {
    number: i32,
    began_at: jiff_sqlx::Timestamp,
    ended_at: Option<jiff_sqlx::Timestamp>,
    outcome: String,
    provider_ref: Option<String>,
    reason: Option<String>,
}

impl TryFrom<AttemptRow> for Attempt {
    type Error = StoreError;

    fn try_from(row: AttemptRow) -> Result<Self, StoreError> {
        let outcome = AttemptOutcome::from_word(&row.outcome);
        Ok(Self {
            number: row.number.unsigned_abs(),
            began_at: row.began_at.to_jiff(),
            ended_at: row.ended_at.map(jiff_sqlx::Timestamp::to_jiff),
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
    sent_at: Option<jiff_sqlx::Timestamp>,
    created_at: jiff_sqlx::Timestamp,
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
            sent_at: row.sent_at.map(jiff_sqlx::Timestamp::to_jiff),
            created_at: row.created_at.to_jiff(),
        })
    }
}

/// A line of a list beside the total; without a notification when the page is empty.
pub(super) struct ListRow {
    pub(super) total: i64,
    summary: Option<SummaryRow>,
}

impl<'r> FromRow<'r, PgRow> for ListRow {
    fn from_row(row: &'r PgRow) -> sqlx::Result<Self> {
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
