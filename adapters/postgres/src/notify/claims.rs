//! Writing notifications down and claiming them, those of several events at once.

use std::collections::HashSet;
use std::sync::Arc;

use async_trait::async_trait;
use core_kernel::{EventId, NotificationId};
use core_notify::{Content, Draft, Job};
use jiff_sqlx::ToSqlx;
use sqlx::{Error, FromRow};
use uuid::Uuid;

use crate::together::Work;
use crate::warm::WarmPool;

// A lease outlives every attempt (8 s at most), and little more: after a crash its message waits
// for it to end. Leases are kept by the database's clock, since several machines compare them.
//
// How many there are is a limit that nobody sees beforehand. So a call with few does not look cheaper than
// the general case, which would have each planned anew, at as much as its work; and few are expected, so
// that they are looked up one by one, however small the tables were when that was decided.
//
// What was written just now is not told again; its words are the draft's.
const ENQUEUE: &str = "
    WITH draft AS MATERIALIZED (
        SELECT * FROM unnest((SELECT $1::uuid[]), $2::uuid[], $3::uuid[], $4::uuid[], $5::text[],
                             $6::text[], $7::text[], $8::text[], $9::text[], $10::text[],
                             $11::timestamptz[], $12::uuid[], $13::text[], $14::text[])
                 AS draft (id, event_id, user_id, order_id, channel, type, recipient, subject, body,
                           body_text, created_at, resend_of, resent_by, resend_reason)
        LIMIT (SELECT $15::bigint)
    ), lapsed AS (
        SELECT known.id, known.attempts, known.lease_until
        FROM draft JOIN notifications known USING (event_id, channel)
        WHERE known.lease_until < now()
    ), claimed AS (
        INSERT INTO notifications (id, event_id, user_id, order_id, channel, type, recipient,
                                   subject, body, body_text, created_at, resend_of, resent_by,
                                   resend_reason, attempts, lease_until)
        SELECT draft.*, 1, now() + interval '15 seconds' FROM draft
        ON CONFLICT (event_id, channel) DO UPDATE
        SET status = 'queued', attempts = notifications.attempts + 1,
            unknown_outcomes = notifications.unknown_outcomes
                               + (notifications.lease_until IS NOT NULL)::integer,
            lease_until = now() + interval '15 seconds', updated_at = now()
        WHERE notifications.status <> 'sent'
          AND (notifications.lease_until IS NULL OR notifications.lease_until < now())
        RETURNING id, event_id, channel, attempts, unknown_outcomes > 0 AS maybe_sent,
                  CASE WHEN attempts > 1 THEN recipient END AS recipient,
                  CASE WHEN attempts > 1 THEN subject END AS subject,
                  CASE WHEN attempts > 1 THEN body END AS body,
                  CASE WHEN attempts > 1 THEN body_text END AS body_text
    ), lost AS (
        INSERT INTO notification_attempts (notification_id, number, began_at, outcome)
        SELECT lapsed.id, lapsed.attempts, lapsed.lease_until - interval '15 seconds', 'lost'
        FROM lapsed JOIN claimed ON claimed.id = lapsed.id
                                AND claimed.attempts = lapsed.attempts + 1
        ON CONFLICT DO NOTHING
    )
    SELECT * FROM claimed";

/// What claims.
pub(super) struct Claims(pub(super) WarmPool);

/// A notification that was claimed, with its own words if they were there before.
#[derive(FromRow)]
pub(super) struct Claimed {
    id: Uuid,
    event_id: Uuid,
    channel: String,
    attempts: i32,
    maybe_sent: bool,
    recipient: Option<String>,
    subject: Option<String>,
    body: Option<String>,
    body_text: Option<String>,
}

impl Claimed {
    pub(super) fn is_of(&self, draft: &Draft) -> bool {
        self.event_id == draft.event_id.0 && self.channel == draft.channel.as_str()
    }

    /// The job, by the draft for which it was claimed.
    pub(super) fn job(self, draft: &Draft) -> Job {
        let (recipient, content) = match (self.recipient, self.body) {
            (Some(recipient), Some(body)) => {
                let content = Content {
                    subject: self.subject,
                    body,
                    plain: self.body_text,
                };
                (recipient.into(), content)
            }
            _ => (draft.recipient.clone(), draft.content.clone()),
        };
        Job {
            id: NotificationId(self.id),
            channel: draft.channel,
            recipient,
            content,
            claim: self.attempts.unsigned_abs(),
            maybe_sent: self.maybe_sent,
        }
    }
}

#[async_trait]
impl Work for Claims {
    /// The drafts of one event.
    type Item = Arc<[Draft]>;
    /// Those that were claimed.
    type Answer = Vec<Claimed>;

    async fn run(&self, events: &[Arc<[Draft]>]) -> sqlx::Result<Vec<Vec<Claimed>>> {
        fn column<'a, T>(drafts: &[&'a Draft], value: impl Fn(&'a Draft) -> T) -> Vec<T> {
            drafts.iter().map(|draft| value(draft)).collect()
        }
        // One statement cannot claim the same event twice.
        let ids: HashSet<EventId> = events.iter().filter_map(event).collect();
        if ids.len() < events.len() && events.len() > 1 {
            return Err(Error::InvalidArgument("an event twice".to_owned()));
        }
        let mut drafts: Vec<&Draft> = events.iter().flat_map(|drafts| &**drafts).collect();
        // Two instances that claim the same events lock them in the same order.
        drafts.sort_by_key(|draft| (draft.event_id, draft.channel.as_str()));
        let mut claimed: Vec<Claimed> = sqlx::query_as(ENQUEUE)
            .bind(column(&drafts, |draft| draft.id.0))
            .bind(column(&drafts, |draft| draft.event_id.0))
            .bind(column(&drafts, |draft| draft.user_id.0))
            .bind(column(&drafts, |draft| draft.order_id.map(|id| id.0)))
            .bind(column(&drafts, |draft| draft.channel.as_str()))
            .bind(column(&drafts, |draft| draft.type_key))
            .bind(column(&drafts, |draft| draft.recipient.as_str()))
            .bind(column(&drafts, |draft| draft.content.subject.as_deref()))
            .bind(column(&drafts, |draft| draft.content.body.as_str()))
            .bind(column(&drafts, |draft| draft.content.plain.as_deref()))
            .bind(column(&drafts, |draft| draft.created_at.to_sqlx()))
            .bind(column(&drafts, |draft| Some(draft.resent.as_ref()?.of.0)))
            .bind(column(&drafts, |draft| {
                Some(draft.resent.as_ref()?.by.as_str())
            }))
            .bind(column(&drafts, |draft| {
                Some(draft.resent.as_ref()?.reason.as_ref()?.as_str())
            }))
            .bind(i64::try_from(drafts.len()).unwrap_or(i64::MAX))
            .fetch_all(&self.0)
            .await?;
        let of = |drafts: &Arc<[Draft]>| {
            let own = event(drafts).map(|id| id.0);
            claimed
                .extract_if(.., |one| Some(one.event_id) == own)
                .collect()
        };
        Ok(events.iter().map(of).collect())
    }
}

fn event(drafts: &Arc<[Draft]>) -> Option<EventId> {
    drafts.first().map(|draft| draft.event_id)
}
