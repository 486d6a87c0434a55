//! Notifications: one per event and channel, claimed by a lease before they are sent.

mod ledger;
mod list;
mod row;

use std::time::Duration;

use async_trait::async_trait;
use core_kernel::{EventId, NotificationId, Page, PageRequest, Slice};
use core_notify::{
    Attempt, AttemptOutcome, Claim, Draft, Job, Notification, NotificationFilter,
    NotificationPosition, NotificationStore, Status, StoreError, Summary,
};
use jiff::{SignedDuration, Timestamp};
use sqlx::SqliteConnection;

use crate::database::Database;
use crate::error::notify_error;
use crate::value::Micros;
use row::{AttemptRow, JobRow, KnownRow, NotificationRow};

const ENQUEUE: &str = "
    INSERT INTO notifications (id, event_id, user_id, order_id, channel, type, recipient, subject,
                               body, body_text, created_at, attempts, lease_until, updated_at,
                               resend_of, resent_by, resend_reason)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, 1, ?12, ?13, ?14, ?15, ?16)
    ON CONFLICT (event_id, channel) DO UPDATE
    SET status = 'queued', attempts = attempts + 1,
        unknown_outcomes = unknown_outcomes + (lease_until IS NOT NULL),
        lease_until = excluded.lease_until, updated_at = excluded.updated_at
    WHERE status <> 'sent' AND (lease_until IS NULL OR lease_until < excluded.updated_at)
    RETURNING id, channel, recipient, subject, body, body_text, attempts,
              unknown_outcomes > 0 AS maybe_sent";

const KNOWN: &str = "
    SELECT id, channel, status, error_message, lease_until
    FROM notifications WHERE event_id = ?1 ORDER BY channel";

const CLAIM: &str = "
    UPDATE notifications
    SET status = 'queued', attempts = attempts + 1,
        unknown_outcomes = unknown_outcomes + (lease_until IS NOT NULL),
        lease_until = ?2, updated_at = ?3
    WHERE id = ?1
    RETURNING id, channel, recipient, subject, body, body_text, attempts,
              unknown_outcomes > 0 AS maybe_sent";

const MARK_SENT: &str = "
    UPDATE notifications
    SET status = 'sent', provider_ref = ?2, sent_at = ?3, error_message = NULL,
        lease_until = NULL, updated_at = ?4
    WHERE id = ?1";

// The number of the claim fences off who was so slow that another has claimed it meanwhile.
const RELEASE: &str = "
    UPDATE notifications
    SET status = ?5, error_message = substr(?2, 1, 1000), lease_until = NULL,
        unknown_outcomes = unknown_outcomes + ?4, updated_at = ?6
    WHERE id = ?1 AND attempts = ?3 AND status = 'queued'";

const RECORD: &str = "
    INSERT INTO notification_attempts (notification_id, number, began_at, ended_at, outcome,
                                       provider_ref, reason)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
    ON CONFLICT (notification_id, number) DO UPDATE
    SET began_at = excluded.began_at, ended_at = excluded.ended_at, outcome = excluded.outcome,
        provider_ref = excluded.provider_ref, reason = excluded.reason";

// What was claimed by whoever died, or was too slow.
const LAPSED: &str = "
    INSERT INTO notification_attempts (notification_id, number, began_at, outcome)
    SELECT id, attempts, lease_until - ?3, 'lost' FROM notifications
    WHERE event_id = ?1 AND status <> 'sent' AND lease_until < ?2
    ON CONFLICT DO NOTHING";

const ATTEMPTS: &str = "
    SELECT number, began_at, ended_at, outcome, provider_ref, reason
    FROM notification_attempts WHERE notification_id = ?1 ORDER BY number";

const FIND: &str = "
    SELECT id, user_id, order_id, channel, type, recipient, subject, status, sent_at, created_at,
           body, body_text, provider_ref, error_message, resend_of, resent_by, resend_reason
    FROM notifications WHERE id = ?1";

/// A lease outlives every attempt (8 s at most), and little more: after a crash its message waits
/// for it to end.
const LEASE: SignedDuration = SignedDuration::from_secs(15);

/// How long to wait before an outcome that could not be recorded is recorded again.
const RECORD_AGAIN: Duration = Duration::from_millis(200);

/// Notifications in the table `notifications`.
#[derive(Clone, Debug)]
pub struct SqliteNotificationStore(pub(crate) Database);

/// Writes a draft down, or claims what is there in its place; `None` when that cannot be claimed.
async fn enqueue_one(
    connection: &mut SqliteConnection,
    draft: &Draft,
    now: Timestamp,
) -> sqlx::Result<Option<JobRow>> {
    let resent = draft.resent.as_ref();
    let reason = resent.and_then(|resent| resent.reason.as_ref());
    sqlx::query_as(ENQUEUE)
        .bind(draft.id.0)
        .bind(draft.event_id.0)
        .bind(draft.user_id.0)
        .bind(draft.order_id.map(|id| id.0))
        .bind(draft.channel.as_str())
        .bind(draft.type_key)
        .bind(draft.recipient.as_str().to_owned())
        .bind(draft.content.subject.clone())
        .bind(draft.content.body.clone())
        .bind(draft.content.plain.clone())
        .bind(Micros(draft.created_at))
        .bind(Micros(now + LEASE))
        .bind(Micros(now))
        .bind(resent.map(|resent| resent.of.0))
        .bind(resent.map(|resent| resent.by.clone()))
        .bind(reason.map(|reason| reason.as_str().to_owned()))
        .fetch_optional(connection)
        .await
}

async fn known(connection: &mut SqliteConnection, event: EventId) -> sqlx::Result<Vec<KnownRow>> {
    sqlx::query_as(KNOWN)
        .bind(event.0)
        .fetch_all(connection)
        .await
}

/// Records what lapsed claims of an event came to: nobody knows.
async fn record_lapsed(
    connection: &mut SqliteConnection,
    event: EventId,
    now: Timestamp,
) -> sqlx::Result<()> {
    sqlx::query(LAPSED)
        .bind(event.0)
        .bind(Micros(now))
        .bind(i64::try_from(LEASE.as_micros()).unwrap_or(i64::MAX))
        .execute(connection)
        .await
        .map(drop)
}

async fn record(
    connection: &mut SqliteConnection,
    id: NotificationId,
    attempt: &Attempt,
) -> sqlx::Result<()> {
    sqlx::query(RECORD)
        .bind(id.0)
        .bind(attempt.number)
        .bind(Micros(attempt.began_at))
        .bind(attempt.ended_at.map(Micros))
        .bind(attempt.outcome.as_str())
        .bind(attempt.provider_ref.clone())
        .bind(attempt.reason.clone())
        .execute(connection)
        .await
        .map(drop)
}

impl SqliteNotificationStore {
    async fn record_sent(&self, id: NotificationId, attempt: &Attempt) -> sqlx::Result<()> {
        let mut transaction = self.0.write().await?;
        record(&mut transaction, id, attempt).await?;
        sqlx::query(MARK_SENT)
            .bind(id.0)
            .bind(attempt.provider_ref.clone())
            .bind(attempt.ended_at.map(Micros))
            .bind(Micros(self.0.clock.now()))
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await
    }

    /// Ends a claim in this state.
    async fn end_claim(
        &self,
        job: &Job,
        attempt: Option<&Attempt>,
        reason: &str,
        status: Status,
    ) -> sqlx::Result<()> {
        let unknown = attempt.is_some_and(|attempt| attempt.outcome == AttemptOutcome::Unknown);
        let mut transaction = self.0.write().await?;
        if let Some(attempt) = attempt {
            record(&mut transaction, job.id, attempt).await?;
        }
        sqlx::query(RELEASE)
            .bind(job.id.0)
            .bind(reason.to_owned())
            .bind(i64::from(job.claim))
            .bind(unknown)
            .bind(status.as_str())
            .bind(Micros(self.0.clock.now()))
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await
    }
}

#[async_trait]
impl NotificationStore for SqliteNotificationStore {
    async fn enqueue(&self, drafts: &[Draft]) -> Result<Vec<Claim>, StoreError> {
        let mut transaction = self.0.write().await.map_err(notify_error)?;
        let now = self.0.clock.now();
        let mut claims = Vec::with_capacity(drafts.len());
        for draft in drafts {
            record_lapsed(&mut transaction, draft.event_id, now)
                .await
                .map_err(notify_error)?;
            let job = enqueue_one(&mut transaction, draft, now).await;
            claims.push(match job.map_err(notify_error)? {
                Some(job) => Claim::Send(job.job()?),
                None => {
                    let known = known(&mut transaction, draft.event_id).await;
                    let sent = known
                        .map_err(notify_error)?
                        .iter()
                        .any(|row| row.is(draft.channel, Status::Sent));
                    match sent {
                        true => Claim::Sent(draft.channel),
                        false => Claim::Held(draft.channel),
                    }
                }
            });
        }
        transaction.commit().await.map_err(notify_error)?;
        Ok(claims)
    }

    async fn reclaim(&self, event: EventId, failed_too: bool) -> Result<Vec<Claim>, StoreError> {
        let mut transaction = self.0.write().await.map_err(notify_error)?;
        let now = self.0.clock.now();
        let mut claims = Vec::new();
        record_lapsed(&mut transaction, event, now)
            .await
            .map_err(notify_error)?;
        let known = known(&mut transaction, event).await.map_err(notify_error)?;
        for row in known {
            if !row.is_free(now, failed_too) {
                claims.push(row.claim()?);
                continue;
            }
            let job: JobRow = sqlx::query_as(CLAIM)
                .bind(row.id)
                .bind(Micros(now + LEASE))
                .bind(Micros(now))
                .fetch_one(&mut *transaction)
                .await
                .map_err(notify_error)?;
            claims.push(Claim::Send(job.job()?));
        }
        transaction.commit().await.map_err(notify_error)?;
        Ok(claims)
    }

    async fn mark_sent(&self, job: &Job, attempt: &Attempt) {
        while let Err(error) = self.record_sent(job.id, attempt).await {
            tracing::error!(notification_id = %job.id, error = %error,
                "sent, but not recorded; recording it again");
            tokio::time::sleep(RECORD_AGAIN).await;
        }
    }

    async fn release<'a>(
        &self,
        job: &Job,
        attempt: Option<&'a Attempt>,
        reason: &str,
    ) -> Result<(), StoreError> {
        self.end_claim(job, attempt, reason, Status::Queued)
            .await
            .map_err(notify_error)
    }

    async fn mark_failed<'a>(
        &self,
        job: &Job,
        attempt: Option<&'a Attempt>,
        reason: &str,
    ) -> Result<(), StoreError> {
        self.end_claim(job, attempt, reason, Status::Failed)
            .await
            .map_err(notify_error)
    }

    async fn attempts(&self, id: NotificationId) -> Result<Vec<Attempt>, StoreError> {
        let rows: Vec<AttemptRow> = sqlx::query_as(ATTEMPTS)
            .bind(id.0)
            .fetch_all(self.0.read())
            .await
            .map_err(notify_error)?;
        rows.into_iter().map(Attempt::try_from).collect()
    }

    async fn find(&self, id: NotificationId) -> Result<Option<Notification>, StoreError> {
        sqlx::query_as::<_, NotificationRow>(FIND)
            .bind(id.0)
            .fetch_optional(self.0.read())
            .await
            .map_err(notify_error)?
            .map(Notification::try_from)
            .transpose()
    }

    async fn list(
        &self,
        filter: &NotificationFilter,
        page: PageRequest,
    ) -> Result<Page<Summary>, StoreError> {
        list::page(self.0.read(), filter, page).await
    }

    async fn list_after(
        &self,
        filter: &NotificationFilter,
        after: NotificationPosition,
        limit: u32,
    ) -> Result<Slice<Summary>, StoreError> {
        list::after(self.0.read(), filter, after, limit).await
    }
}
