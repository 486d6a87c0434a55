//! Recording what became of claims, of several at once.

use async_trait::async_trait;
use core_notify::{Attempt, Job, Status};
use jiff_sqlx::ToSqlx;
use uuid::Uuid;

use crate::together::Work;
use crate::warm::WarmPool;

// The number of the claim fences off who was so slow that another has claimed it meanwhile; but what was
// sent was sent.
//
// Why the limit is hidden is told where notifications are claimed.
const RECORD: &str = "
    WITH record AS MATERIALIZED (
        SELECT * FROM unnest((SELECT $1::uuid[]), $2::bigint[], $3::text[], $4::text[],
                             $5::timestamptz[], $6::timestamptz[], $7::text[], $8::text[], $9::text[])
                 AS record (id, number, status, message, began_at, ended_at, outcome, provider_ref,
                            reason)
        LIMIT (SELECT $10::bigint)
    ), tried AS (
        INSERT INTO notification_attempts (notification_id, number, began_at, ended_at, outcome,
                                           provider_ref, reason)
        SELECT id, number, began_at, record.ended_at, outcome, left(record.provider_ref, 255),
               left(reason, 1000)
        FROM record WHERE began_at IS NOT NULL
                      AND EXISTS (SELECT FROM notifications known WHERE known.id = record.id)
        ON CONFLICT (notification_id, number) DO UPDATE
        SET began_at = excluded.began_at, ended_at = excluded.ended_at, outcome = excluded.outcome,
            provider_ref = excluded.provider_ref, reason = excluded.reason
    )
    UPDATE notifications n
    SET status = record.status, lease_until = NULL, updated_at = now(),
        unknown_outcomes = unknown_outcomes
                           + (record.outcome IS NOT DISTINCT FROM 'unknown')::integer,
        error_message = left(record.message, 1000),
        sent_at = CASE record.status WHEN 'sent' THEN record.ended_at ELSE n.sent_at END,
        provider_ref = CASE record.status WHEN 'sent' THEN left(record.provider_ref, 255)
                                          ELSE n.provider_ref END
    FROM record
    WHERE n.id = record.id
      AND (record.status = 'sent' OR (n.attempts = record.number AND n.status = 'queued'))";

/// What records.
pub(super) struct Records(pub(super) WarmPool);

/// What became of a claim.
#[derive(Clone, Debug)]
pub(super) struct Recorded {
    id: Uuid,
    claim: i64,
    /// What the notification is from now on.
    status: Status,
    /// Why it is not sent.
    message: Option<String>,
    attempt: Option<Attempt>,
}

impl Recorded {
    pub(super) fn new(
        job: &Job,
        attempt: Option<&Attempt>,
        status: Status,
        message: Option<&str>,
    ) -> Self {
        Self {
            id: job.id.0,
            claim: i64::from(job.claim),
            status,
            message: message.map(str::to_owned),
            attempt: attempt.cloned(),
        }
    }
}

#[async_trait]
impl Work for Records {
    type Item = Recorded;
    type Answer = ();

    async fn run(&self, records: &[Recorded]) -> sqlx::Result<Vec<()>> {
        fn column<'a, T>(records: &[&'a Recorded], value: impl Fn(&'a Recorded) -> T) -> Vec<T> {
            records.iter().map(|one| value(one)).collect()
        }
        fn tried<'a, T>(
            records: &[&'a Recorded],
            value: impl Fn(&'a Attempt) -> Option<T>,
        ) -> Vec<Option<T>> {
            column(records, |one| one.attempt.as_ref().and_then(&value))
        }
        let mut sorted: Vec<&Recorded> = records.iter().collect();
        // Two instances that record the same ones lock them in the same order.
        sorted.sort_by_key(|one| one.id);
        sqlx::query(RECORD)
            .bind(column(&sorted, |one| one.id))
            .bind(column(&sorted, |one| one.claim))
            .bind(column(&sorted, |one| one.status.as_str()))
            .bind(column(&sorted, |one| one.message.as_deref()))
            .bind(tried(&sorted, |attempt| Some(attempt.began_at.to_sqlx())))
            .bind(tried(&sorted, |attempt| {
                attempt.ended_at.map(ToSqlx::to_sqlx)
            }))
            .bind(tried(&sorted, |attempt| Some(attempt.outcome.as_str())))
            .bind(tried(&sorted, |attempt| attempt.provider_ref.as_deref()))
            .bind(tried(&sorted, |attempt| attempt.reason.as_deref()))
            .bind(i64::try_from(records.len()).unwrap_or(i64::MAX))
            .execute(&self.0)
            .await?;
        Ok(vec![(); records.len()])
    }
}
