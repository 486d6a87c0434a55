//! Letting go of notifications.

use async_trait::async_trait;
use core_kernel::{ArchiveId, NotificationId, UserId};
use core_notify::{Batch, Manifest, NotificationRetirement, PURGED, Record, Retired, StoreError};
use jiff::Timestamp;
use jiff_sqlx::ToSqlx;
use sqlx::FromRow;
use uuid::Uuid;

use super::number;
use crate::error::notify_error;
use crate::notify::PgNotificationStore;
use crate::pool::within;

const DUE: &str = "
    SELECT count(*) FROM notifications WHERE created_at < $1 AND status <> 'queued'";

const OPEN: &str = "SELECT id, planned_at FROM notification_archives WHERE completed_at IS NULL";

// Two that plan at once meet at the index of open batches, and the second takes what the first made.
const PLAN: &str = "
    INSERT INTO notification_archives (id, planned_at, members)
    SELECT $1, $2, array_agg(due.id)
    FROM (SELECT id FROM notifications WHERE created_at < $3 AND status <> 'queued'
          ORDER BY created_at, id LIMIT $4) AS due
    HAVING count(*) > 0
    ON CONFLICT DO NOTHING";

const RECORDS: &str = "
    SELECT n.id, n.event_id, n.user_id, n.order_id, n.channel, n.type, n.recipient, n.subject,
           n.body, n.body_text, n.status, n.provider_ref, n.error_message, n.attempts,
           n.unknown_outcomes, n.sent_at, n.created_at, n.updated_at, n.resend_of, n.resent_by,
           n.resend_reason
    FROM notification_archives a
    JOIN notifications n ON n.id = ANY (a.members)
    WHERE a.id = $1 AND n.status <> 'queued'
    ORDER BY n.created_at, n.id";

const LOCK: &str = "
    SELECT id FROM notification_archives WHERE id = $1 AND completed_at IS NULL FOR UPDATE";

// Every change of a row changes its updated_at.
const DELETE: &str = "
    DELETE FROM notifications n
    USING unnest($1::uuid[], $2::timestamptz[]) AS seen (id, updated_at)
    WHERE n.id = seen.id AND n.updated_at = seen.updated_at";

const CLOSE: &str = "
    UPDATE notification_archives
    SET completed_at = $2, members = NULL, object = $3, sha256 = $4, bytes = $5, rows = $6,
        from_at = $7, to_at = $8
    WHERE id = $1";

const MASK: &str = "
    UPDATE notifications
    SET recipient = $2, body = '', body_text = NULL, error_message = NULL, resend_reason = NULL,
        lease_until = NULL,
        status = CASE status WHEN 'queued' THEN 'failed' ELSE status END, updated_at = now()
    WHERE user_id = ANY ($1) AND recipient <> $2
      AND (lease_until IS NULL OR lease_until < now())";

const UNMASKED: &str = "
    SELECT count(*) FROM notifications
    WHERE user_id = ANY ($1) AND recipient <> $2
      AND (lease_until IS NULL OR lease_until < now())";

#[derive(FromRow)]
struct Row {
    id: Uuid,
    event_id: Uuid,
    user_id: Uuid,
    order_id: Option<Uuid>,
    channel: String,
    #[sqlx(rename = "type")]
    type_key: String,
    recipient: String,
    subject: Option<String>,
    body: String,
    body_text: Option<String>,
    status: String,
    provider_ref: Option<String>,
    error_message: Option<String>,
    attempts: i32,
    unknown_outcomes: i32,
    sent_at: Option<jiff_sqlx::Timestamp>,
    created_at: jiff_sqlx::Timestamp,
    updated_at: jiff_sqlx::Timestamp,
    resend_of: Option<Uuid>,
    resent_by: Option<String>,
    resend_reason: Option<String>,
}

impl From<Row> for Record {
    fn from(row: Row) -> Self {
        Self {
            id: NotificationId(row.id),
            event_id: row.event_id,
            user_id: UserId(row.user_id),
            order_id: row.order_id,
            channel: row.channel,
            type_key: row.type_key,
            recipient: row.recipient,
            subject: row.subject,
            body: row.body,
            body_text: row.body_text,
            status: row.status,
            provider_ref: row.provider_ref,
            error_message: row.error_message,
            attempts: row.attempts.into(),
            unknown_outcomes: row.unknown_outcomes.into(),
            sent_at: row.sent_at.map(jiff_sqlx::Timestamp::to_jiff),
            created_at: row.created_at.to_jiff(),
            updated_at: row.updated_at.to_jiff(),
            resend_of: row.resend_of.map(NotificationId),
            resent_by: row.resent_by,
            resend_reason: row.resend_reason,
        }
    }
}

fn uuids(users: &[UserId]) -> Vec<Uuid> {
    users.iter().map(|id| id.0).collect()
}

impl PgNotificationStore {
    async fn open_batch(&self) -> sqlx::Result<Option<Batch>> {
        let open = sqlx::query_as(OPEN).fetch_optional(&self.pool);
        let open: Option<(Uuid, jiff_sqlx::Timestamp)> = within(open).await?;
        Ok(open.map(|(id, planned_at)| Batch {
            id: ArchiveId(id),
            planned_at: planned_at.to_jiff(),
        }))
    }

    async fn retire_in_one(
        &self,
        batch: Batch,
        records: &[Record],
        manifest: Option<&Manifest>,
        at: Timestamp,
    ) -> sqlx::Result<Retired> {
        let ids: Vec<Uuid> = records.iter().map(|record| record.id.0).collect();
        let changed = records.iter().map(|record| record.updated_at.to_sqlx());
        let mut transaction = self.pool.pool().begin().await?;
        let open: Option<Uuid> = sqlx::query_scalar(LOCK)
            .bind(batch.id.0)
            .fetch_optional(&mut *transaction)
            .await?;
        if open.is_none() {
            return Ok(Retired::Deleted(0));
        }
        let deleted = sqlx::query(DELETE)
            .bind(&ids)
            .bind(changed.collect::<Vec<_>>())
            .execute(&mut *transaction)
            .await?
            .rows_affected();
        if deleted != ids.len() as u64 {
            transaction.rollback().await?;
            return Ok(Retired::Changed);
        }
        sqlx::query(CLOSE)
            .bind(batch.id.0)
            .bind(at.to_sqlx())
            .bind(manifest.map(|one| one.object.as_str()))
            .bind(manifest.map(|one| one.sha256.as_str()))
            .bind(manifest.map(|one| number(one.bytes)))
            .bind(number(deleted))
            .bind(manifest.map(|one| one.from.to_sqlx()))
            .bind(manifest.map(|one| one.to.to_sqlx()))
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(Retired::Deleted(deleted))
    }
}

#[async_trait]
impl NotificationRetirement for PgNotificationStore {
    async fn due(&self, before: Timestamp) -> Result<u64, StoreError> {
        let due = sqlx::query_scalar(DUE).bind(before.to_sqlx());
        let due: i64 = due.fetch_one(&self.pool).await.map_err(notify_error)?;
        Ok(due.unsigned_abs())
    }

    async fn plan(
        &self,
        before: Timestamp,
        limit: u32,
        at: Timestamp,
    ) -> Result<Option<Batch>, StoreError> {
        if let Some(open) = self.open_batch().await.map_err(notify_error)? {
            return Ok(Some(open));
        }
        let planned = sqlx::query(PLAN)
            .bind(ArchiveId::generate().0)
            .bind(at.to_sqlx())
            .bind(before.to_sqlx())
            .bind(i64::from(limit))
            .execute(&self.pool);
        within(planned).await.map_err(notify_error)?;
        self.open_batch().await.map_err(notify_error)
    }

    async fn records(&self, batch: Batch) -> Result<Vec<Record>, StoreError> {
        let records = sqlx::query_as(RECORDS).bind(batch.id.0);
        let rows: Vec<Row> = within(records.fetch_all(&self.pool))
            .await
            .map_err(notify_error)?;
        Ok(rows.into_iter().map(Record::from).collect())
    }

    async fn retire(
        &self,
        batch: Batch,
        records: &[Record],
        manifest: Option<&Manifest>,
        at: Timestamp,
    ) -> Result<Retired, StoreError> {
        let retired = within(self.retire_in_one(batch, records, manifest, at)).await;
        retired.map_err(notify_error)
    }

    async fn mask(&self, users: &[UserId], _: Timestamp) -> Result<u64, StoreError> {
        let masked = sqlx::query(MASK).bind(uuids(users)).bind(PURGED);
        let masked = within(masked.execute(&self.pool)).await;
        Ok(masked.map_err(notify_error)?.rows_affected())
    }

    async fn unmasked(&self, users: &[UserId]) -> Result<u64, StoreError> {
        let count = sqlx::query_scalar(UNMASKED).bind(uuids(users)).bind(PURGED);
        let count: i64 = within(count.fetch_one(&self.pool))
            .await
            .map_err(notify_error)?;
        Ok(count.unsigned_abs())
    }
}
