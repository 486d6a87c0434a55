//! Notifications: one per event and channel, claimed by a lease before they are sent.

mod row;

use std::time::Duration;

use async_trait::async_trait;
use core_kernel::{EventId, NotificationId, Page, PageRequest, UserScope};
use core_notify::{
    Channel, Claim, Draft, Job, Notification, NotificationFilter, NotificationStore, Status,
    StoreError, Summary,
};
use jiff::Timestamp;
use jiff_sqlx::ToSqlx;
use sqlx::postgres::PgPool;
use uuid::Uuid;

use crate::error::notify_error;
use crate::pool::within;
use row::{ClaimRow, JobRow, ListRow, NotificationRow};

// A lease outlives every attempt (8 s at most), and little more: after a crash its message waits
// for it to end. Leases are kept by the database's clock, since several machines compare them.
const ENQUEUE: &str = "
    INSERT INTO notifications (id, event_id, user_id, order_id, channel, type, recipient, subject,
                               body, body_text, created_at, attempts, lease_until)
    SELECT draft.*, 1, now() + interval '15 seconds'
    FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::text[], $6::text[], $7::text[],
                $8::text[], $9::text[], $10::text[], $11::timestamptz[]) AS draft
    ON CONFLICT (event_id, channel) DO UPDATE
    SET status = 'queued', attempts = notifications.attempts + 1,
        unknown_outcomes = notifications.unknown_outcomes
                           + (notifications.lease_until IS NOT NULL)::integer,
        lease_until = now() + interval '15 seconds', updated_at = now()
    WHERE notifications.status <> 'sent'
      AND (notifications.lease_until IS NULL OR notifications.lease_until < now())
    RETURNING id, channel, recipient, subject, body, body_text, attempts,
              unknown_outcomes > 0 AS maybe_sent";

const STATUSES: &str = "SELECT channel, status FROM notifications WHERE event_id = $1";

const RECLAIM: &str = "
    WITH known AS (
        SELECT id, channel, status, error_message,
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
    )
    SELECT known.channel, known.status, known.error_message, claimed.id, claimed.recipient,
           claimed.subject, claimed.body, claimed.body_text, claimed.attempts, claimed.maybe_sent
    FROM known LEFT JOIN claimed ON claimed.id = known.id";

const MARK_SENT: &str = "
    UPDATE notifications
    SET status = 'sent', provider_ref = left($2, 255), sent_at = $3, error_message = NULL,
        lease_until = NULL, updated_at = now()
    WHERE id = $1";

// The number of the claim fences off who was so slow that another has claimed it meanwhile.
const RELEASE: &str = "
    UPDATE notifications
    SET error_message = left($2, 1000), lease_until = NULL,
        unknown_outcomes = unknown_outcomes + $4::integer, updated_at = now()
    WHERE id = $1 AND attempts = $3 AND status = 'queued'";

const MARK_FAILED: &str = "
    UPDATE notifications
    SET status = 'failed', error_message = left($2, 1000), lease_until = NULL, updated_at = now()
    WHERE id = $1 AND attempts = $3 AND status = 'queued'";

const FIND: &str = "
    SELECT id, user_id, order_id, channel, type, recipient, subject, status, sent_at, created_at,
           body, provider_ref, error_message
    FROM notifications WHERE id = $1";

// One page and the total in one round trip; the total comes even when the page is empty. A part of
// the filter that is NULL lets everything pass; custom plans drop it.
const LIST: &str = "
    SELECT counted.total, page.*
    FROM (SELECT count(*) AS total FROM notifications
          WHERE ($1::uuid IS NULL OR user_id = $1) AND ($2::text IS NULL OR channel = $2)
            AND ($3::uuid IS NULL OR order_id = $3) AND ($4::text IS NULL OR type = $4)
            AND ($5::text IS NULL OR status = $5)) AS counted
    LEFT JOIN LATERAL (
        SELECT id, user_id, order_id, channel, type, recipient, subject, status, sent_at,
               created_at
        FROM notifications
        WHERE ($1::uuid IS NULL OR user_id = $1) AND ($2::text IS NULL OR channel = $2)
          AND ($3::uuid IS NULL OR order_id = $3) AND ($4::text IS NULL OR type = $4)
          AND ($5::text IS NULL OR status = $5)
        ORDER BY created_at DESC, id DESC
        LIMIT $6 OFFSET $7
    ) AS page ON true
    ORDER BY page.created_at DESC, page.id DESC";

/// How long to wait before an outcome that could not be recorded is recorded again.
const RECORD_AGAIN: Duration = Duration::from_millis(200);

/// Notifications in the table `notifications` (PRD §9.3).
#[derive(Clone, Debug)]
pub struct PgNotificationStore {
    pool: PgPool,
}

impl PgNotificationStore {
    /// The store on this pool.
    #[must_use]
    pub fn new(pool: PgPool) -> Self {
        Self { pool }
    }

    async fn insert_and_claim(&self, drafts: &[Draft]) -> sqlx::Result<Vec<JobRow>> {
        fn column<'a, T>(drafts: &'a [Draft], value: impl Fn(&'a Draft) -> T) -> Vec<T> {
            drafts.iter().map(value).collect()
        }
        sqlx::query_as(ENQUEUE)
            .bind(column(drafts, |draft| draft.id.0))
            .bind(column(drafts, |draft| draft.event_id.0))
            .bind(column(drafts, |draft| draft.user_id.0))
            .bind(column(drafts, |draft| draft.order_id.map(|id| id.0)))
            .bind(column(drafts, |draft| draft.channel.as_str()))
            .bind(column(drafts, |draft| draft.type_key))
            .bind(column(drafts, |draft| draft.recipient.as_str()))
            .bind(column(drafts, |draft| draft.content.subject.as_deref()))
            .bind(column(drafts, |draft| draft.content.body.as_str()))
            .bind(column(drafts, |draft| draft.content.plain.as_deref()))
            .bind(column(drafts, |draft| draft.created_at.to_sqlx()))
            .fetch_all(&self.pool)
            .await
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
        let rows = within(self.insert_and_claim(drafts)).await;
        let rows = rows.map_err(notify_error)?;
        let jobs = rows.into_iter().map(JobRow::job);
        let jobs = jobs.collect::<Result<Vec<_>, _>>()?;
        let mut claims = Vec::with_capacity(drafts.len());
        for draft in drafts {
            let job = jobs.iter().find(|job| job.channel == draft.channel);
            claims.push(match job {
                Some(job) => Claim::Send(job.clone()),
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

    async fn mark_sent(&self, id: NotificationId, provider_ref: &str, at: Timestamp) {
        loop {
            let recorded = sqlx::query(MARK_SENT)
                .bind(id.0)
                .bind(provider_ref)
                .bind(at.to_sqlx())
                .execute(&self.pool);
            match within(recorded).await {
                Ok(_) => return,
                Err(error) => {
                    tracing::error!(notification_id = %id, error = %error,
                        "sent, but not recorded; recording it again");
                    tokio::time::sleep(RECORD_AGAIN).await;
                }
            }
        }
    }

    async fn release(&self, job: &Job, reason: &str, maybe_sent: bool) -> Result<(), StoreError> {
        let released = sqlx::query(RELEASE)
            .bind(job.id.0)
            .bind(reason)
            .bind(i64::from(job.claim))
            .bind(maybe_sent)
            .execute(&self.pool);
        within(released).await.map(drop).map_err(notify_error)
    }

    async fn mark_failed(&self, job: &Job, reason: &str) -> Result<(), StoreError> {
        let marked = sqlx::query(MARK_FAILED)
            .bind(job.id.0)
            .bind(reason)
            .bind(i64::from(job.claim))
            .execute(&self.pool);
        within(marked).await.map(drop).map_err(notify_error)
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
        let user: Option<Uuid> = match filter.scope {
            UserScope::One(id) => Some(id.0),
            UserScope::All => None,
        };
        let rows: Vec<ListRow> = sqlx::query_as(LIST)
            .bind(user)
            .bind(filter.channel.map(Channel::as_str))
            .bind(filter.order_id.map(|id| id.0))
            .bind(filter.type_key.as_deref())
            .bind(filter.status.map(Status::as_str))
            .bind(i64::from(page.limit))
            .bind(i64::try_from(page.offset()).unwrap_or(i64::MAX))
            .fetch_all(&self.pool)
            .await
            .map_err(notify_error)?;
        let total = rows.first().map_or(0, |row| row.total.unsigned_abs());
        let items = rows
            .into_iter()
            .filter_map(|row| row.summary().transpose())
            .collect::<Result<_, _>>()?;
        Ok(Page { items, total })
    }
}
