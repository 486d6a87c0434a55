//! Notifications: one per event and channel, claimed by a lease before they are sent.

mod claims;
mod ledger;
mod list;
mod records;
mod row;

use std::time::Duration;

use async_trait::async_trait;
use core_kernel::{EventId, NotificationId, Page, PageRequest, Slice};
use core_notify::{
    Attempt, Channel, Claim, Draft, Job, Notification, NotificationFilter, NotificationPosition,
    NotificationStore, Status, StoreError, Summary,
};
use sqlx::postgres::PgPool;

use crate::error::notify_error;
use crate::pool::within;
use crate::together::Together;
use crate::warm::WarmPool;
use claims::Claims;
use records::{Recorded, Records};
use row::{AttemptRow, ClaimRow, NotificationRow};

const STATUSES: &str = "SELECT channel, status FROM notifications WHERE event_id = $1";

const RECLAIM: &str = "
    WITH known AS (
        SELECT id, channel, status, error_message, attempts, lease_until,
               status <> 'sent' AND (status <> 'failed' OR $2)
               AND (lease_until IS NULL OR lease_until < now()) AS free
        FROM notifications WHERE event_id = $1
        FOR UPDATE
    ), claimed AS (
        UPDATE notifications n
        SET status = 'queued', attempts = n.attempts + 1,
            unknown_outcomes = n.unknown_outcomes + (n.lease_until IS NOT NULL)::integer,
            lease_until = now() + interval '15 seconds', updated_at = now()
        FROM known WHERE n.id = known.id AND known.free
        RETURNING n.id, n.recipient, n.subject, n.body, n.body_text, n.attempts,
                  n.unknown_outcomes > 0 AS maybe_sent
    ), lost AS (
        INSERT INTO notification_attempts (notification_id, number, began_at, outcome)
        SELECT id, attempts, lease_until - interval '15 seconds', 'lost'
        FROM known WHERE free AND lease_until IS NOT NULL
        ON CONFLICT DO NOTHING
    )
    SELECT known.channel, known.status, known.error_message, claimed.id, claimed.recipient,
           claimed.subject, claimed.body, claimed.body_text, claimed.attempts, claimed.maybe_sent
    FROM known LEFT JOIN claimed ON claimed.id = known.id";

const ATTEMPTS: &str = "
    SELECT number, began_at, ended_at, outcome, provider_ref, reason
    FROM notification_attempts WHERE notification_id = $1 ORDER BY number";

const FIND: &str = "
    SELECT id, user_id, order_id, channel, type, recipient, subject, status, sent_at, created_at,
           body, body_text, provider_ref, error_message, resend_of, resent_by, resend_reason
    FROM notifications WHERE id = $1";

/// How long to wait before an outcome that could not be recorded is recorded again.
const RECORD_AGAIN: Duration = Duration::from_millis(200);

/// Notifications in the table `notifications` (PRD §9.3).
#[derive(Clone, Debug)]
pub struct PgNotificationStore {
    pub(crate) pool: WarmPool,
    claims: Together<Claims>,
    records: Together<Records>,
}

impl PgNotificationStore {
    /// The store on this pool.
    #[must_use]
    pub fn new(pool: PgPool) -> Self {
        let pool = WarmPool::new(pool);
        Self {
            claims: Together::new(Claims(pool.clone())),
            records: Together::new(Records(pool.clone())),
            pool,
        }
    }

    /// How many connections it keeps for its next statements; the pool takes them for used ones.
    #[must_use]
    pub fn kept_connections(&self) -> usize {
        self.pool.kept()
    }

    async fn status_of(
        &self,
        event: EventId,
        channel: Channel,
    ) -> Result<Option<Status>, StoreError> {
        let statuses = sqlx::query_as(STATUSES).bind(event.0).fetch_all(&self.pool);
        let rows: Vec<(String, String)> = within(statuses).await.map_err(notify_error)?;
        let found = rows.iter().find(|row| row.0 == channel.as_str());
        Ok(found.and_then(|row| Status::from_word(&row.1)))
    }
}

#[async_trait]
impl NotificationStore for PgNotificationStore {
    async fn enqueue(&self, drafts: &[Draft]) -> Result<Vec<Claim>, StoreError> {
        let claimed = self.claims.ask(drafts.into()).await;
        let mut rows = claimed.map_err(notify_error)?;
        let mut claims = Vec::with_capacity(drafts.len());
        for draft in drafts {
            let row = rows.iter().position(|row| row.is_of(draft));
            claims.push(match row {
                Some(row) => Claim::Send(rows.swap_remove(row).job(draft)),
                None => match self.status_of(draft.event_id, draft.channel).await? {
                    Some(Status::Sent) => Claim::Sent(draft.channel),
                    _ => Claim::Held(draft.channel),
                },
            });
        }
        Ok(claims)
    }

    async fn reclaim(&self, event: EventId, failed_too: bool) -> Result<Vec<Claim>, StoreError> {
        let reclaimed = sqlx::query_as(RECLAIM)
            .bind(event.0)
            .bind(failed_too)
            .fetch_all(&self.pool);
        let rows: Vec<ClaimRow> = within(reclaimed).await.map_err(notify_error)?;
        rows.into_iter().map(ClaimRow::claim).collect()
    }

    async fn mark_sent(&self, job: &Job, attempt: &Attempt) {
        loop {
            let sent = Recorded::new(job, Some(attempt), Status::Sent, None);
            match self.records.ask(sent).await {
                Ok(()) => return,
                Err(error) => {
                    tracing::error!(notification_id = %job.id, error = %error,
                        "sent, but not recorded; recording it again");
                    tokio::time::sleep(RECORD_AGAIN).await;
                }
            }
        }
    }

    async fn release<'a>(
        &self,
        job: &Job,
        attempt: Option<&'a Attempt>,
        reason: &str,
    ) -> Result<(), StoreError> {
        let released = Recorded::new(job, attempt, Status::Queued, Some(reason));
        self.records.ask(released).await.map_err(notify_error)
    }

    async fn mark_failed<'a>(
        &self,
        job: &Job,
        attempt: Option<&'a Attempt>,
        reason: &str,
    ) -> Result<(), StoreError> {
        let failed = Recorded::new(job, attempt, Status::Failed, Some(reason));
        self.records.ask(failed).await.map_err(notify_error)
    }

    async fn attempts(&self, id: NotificationId) -> Result<Vec<Attempt>, StoreError> {
        let rows: Vec<AttemptRow> = sqlx::query_as(ATTEMPTS)
            .bind(id.0)
            .fetch_all(&self.pool)
            .await
            .map_err(notify_error)?;
        rows.into_iter().map(Attempt::try_from).collect()
    }

    async fn find(&self, id: NotificationId) -> Result<Option<Notification>, StoreError> {
        sqlx::query_as::<_, NotificationRow>(FIND)
            .bind(id.0)
            .fetch_optional(&self.pool)
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
        list::page(&self.pool, filter, page).await
    }

    async fn list_after(
        &self,
        filter: &NotificationFilter,
        after: NotificationPosition,
        limit: u32,
    ) -> Result<Slice<Summary>, StoreError> {
        list::after(&self.pool, filter, after, limit).await
    }
}
