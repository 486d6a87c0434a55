//! Notifications: one per event and channel, claimed by a lease before they are sent.

mod ledger;
mod list;
mod row;

use std::time::Duration;

use async_trait::async_trait;
use core_kernel::{EventId, NotificationId, Page, PageRequest, Slice};
use core_notify::{
    Attempt, Channel, Claim, Draft, Job, Notification, NotificationFilter, NotificationPosition,
    NotificationStore, Status, StoreError, Summary,
};
use jiff_sqlx::ToSqlx;
use sqlx::Postgres;
use sqlx::postgres::{PgArguments, PgPool};
use sqlx::query::Query;

use crate::error::notify_error;
use crate::pool::within;
use crate::warm::WarmPool;
use row::{AttemptRow, ClaimRow, JobRow, NotificationRow};

// A lease outlives every attempt (8 s at most), and little more: after a crash its message waits
// for it to end. Leases are kept by the database's clock, since several machines compare them.
//
// That there are two drafts at most, and one event, is said so that the statement is planned once:
// else each call looks cheaper than the general case, and planning takes as long as the work.
const ENQUEUE: &str = "
    WITH lapsed AS (
        SELECT id, attempts, lease_until FROM notifications
        WHERE event_id = ($2::uuid[])[1] AND lease_until < now()
    ), claimed AS (
        INSERT INTO notifications (id, event_id, user_id, order_id, channel, type, recipient,
                                   subject, body, body_text, created_at, resend_of, resent_by,
                                   resend_reason, attempts, lease_until)
        SELECT draft.*, 1, now() + interval '15 seconds'
        FROM (SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::text[],
                                   $6::text[], $7::text[], $8::text[], $9::text[], $10::text[],
                                   $11::timestamptz[], $12::uuid[], $13::text[], $14::text[])
              LIMIT 2) AS draft
        ON CONFLICT (event_id, channel) DO UPDATE
        SET status = 'queued', attempts = notifications.attempts + 1,
            unknown_outcomes = notifications.unknown_outcomes
                               + (notifications.lease_until IS NOT NULL)::integer,
            lease_until = now() + interval '15 seconds', updated_at = now()
        WHERE notifications.status <> 'sent'
          AND (notifications.lease_until IS NULL OR notifications.lease_until < now())
        RETURNING id, channel, recipient, subject, body, body_text, attempts,
                  unknown_outcomes > 0 AS maybe_sent
    ), lost AS (
        INSERT INTO notification_attempts (notification_id, number, began_at, outcome)
        SELECT lapsed.id, lapsed.attempts, lapsed.lease_until - interval '15 seconds', 'lost'
        FROM lapsed JOIN claimed ON claimed.id = lapsed.id
                                AND claimed.attempts = lapsed.attempts + 1
        ON CONFLICT DO NOTHING
    )
    SELECT * FROM claimed";

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

/// A statement that records an attempt, if there is one, beside what it does to the notification. `$1`
/// is the notification, `$2` the number of the claim, `$3` to `$7` the attempt.
macro_rules! recording {
    ($change:literal) => {
        concat!(
            "WITH tried AS (
                 INSERT INTO notification_attempts (notification_id, number, began_at, ended_at,
                                                    outcome, provider_ref, reason)
                 SELECT id, $2, $3, $4, $5, left($6, 255), left($7, 1000)
                 FROM notifications WHERE id = $1 AND $3 IS NOT NULL
                 ON CONFLICT (notification_id, number) DO UPDATE
                 SET began_at = excluded.began_at, ended_at = excluded.ended_at,
                     outcome = excluded.outcome, provider_ref = excluded.provider_ref,
                     reason = excluded.reason
             )
             UPDATE notifications
             SET lease_until = NULL, updated_at = now(),
                 unknown_outcomes = unknown_outcomes + ($5 IS NOT DISTINCT FROM 'unknown')::integer,
                 ",
            $change
        )
    };
}

const MARK_SENT: &str = recording!(
    "status = 'sent', provider_ref = left($6, 255), sent_at = $4, error_message = NULL
     WHERE id = $1"
);

// The number of the claim fences off who was so slow that another has claimed it meanwhile.
const RELEASE: &str = recording!(
    "error_message = left($8, 1000)
     WHERE id = $1 AND attempts = $2 AND status = 'queued'"
);

const MARK_FAILED: &str = recording!(
    "status = 'failed', error_message = left($8, 1000)
     WHERE id = $1 AND attempts = $2 AND status = 'queued'"
);

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
}

impl PgNotificationStore {
    /// The store on this pool.
    #[must_use]
    pub fn new(pool: PgPool) -> Self {
        Self {
            pool: WarmPool::new(pool),
        }
    }

    /// How many connections it keeps for its next statements; the pool takes them for used ones.
    #[must_use]
    pub fn kept_connections(&self) -> usize {
        self.pool.kept()
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
            .bind(column(drafts, |draft| Some(draft.resent.as_ref()?.of.0)))
            .bind(column(drafts, |draft| {
                Some(draft.resent.as_ref()?.by.as_str())
            }))
            .bind(column(drafts, |draft| {
                Some(draft.resent.as_ref()?.reason.as_ref()?.as_str())
            }))
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

/// Binds `$1` to `$7` of a statement that records an attempt.
fn recording<'q>(
    sql: &'static str,
    job: &Job,
    attempt: Option<&'q Attempt>,
) -> Query<'q, Postgres, PgArguments> {
    sqlx::query(sql)
        .bind(job.id.0)
        .bind(i64::from(job.claim))
        .bind(attempt.map(|attempt| attempt.began_at.to_sqlx()))
        .bind(attempt.and_then(|attempt| attempt.ended_at.map(ToSqlx::to_sqlx)))
        .bind(attempt.map(|attempt| attempt.outcome.as_str()))
        .bind(attempt.and_then(|attempt| attempt.provider_ref.as_deref()))
        .bind(attempt.and_then(|attempt| attempt.reason.as_deref()))
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

    async fn mark_sent(&self, job: &Job, attempt: &Attempt) {
        loop {
            let recorded = recording(MARK_SENT, job, Some(attempt)).execute(&self.pool);
            match within(recorded).await {
                Ok(_) => return,
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
        let released = recording(RELEASE, job, attempt).bind(reason);
        let released = within(released.execute(&self.pool)).await;
        released.map(drop).map_err(notify_error)
    }

    async fn mark_failed<'a>(
        &self,
        job: &Job,
        attempt: Option<&'a Attempt>,
        reason: &str,
    ) -> Result<(), StoreError> {
        let marked = recording(MARK_FAILED, job, attempt).bind(reason);
        let marked = within(marked.execute(&self.pool)).await;
        marked.map(drop).map_err(notify_error)
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
