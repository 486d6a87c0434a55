//! Letting go of notifications, and of what the inbox captured of them.

use async_trait::async_trait;
use core_kernel::{ArchiveId, NotificationId, UserId};
use core_notify::{Batch, Manifest, NotificationRetirement, PURGED, Record, Retired, StoreError};
use jiff::Timestamp;
use sqlx::FromRow;
use uuid::Uuid;

use super::number;
use crate::error::notify_error;
use crate::notifications::SqliteNotificationStore;
use crate::value::Micros;

const DUE: &str = "
    SELECT count(*) FROM notifications WHERE created_at < ?1 AND status <> 'queued'";

const OPEN: &str = "SELECT id, planned_at FROM notification_archives WHERE completed_at IS NULL";

const PLAN: &str = "
    INSERT INTO notification_archives (id, planned_at, members)
    SELECT ?1, ?2, json_group_array(hex(due.id))
    FROM (SELECT id FROM notifications WHERE created_at < ?3 AND status <> 'queued'
          ORDER BY created_at, id LIMIT ?4) AS due
    HAVING count(*) > 0
    RETURNING id, planned_at";

const RECORDS: &str = "
    SELECT n.id, n.event_id, n.user_id, n.order_id, n.channel, n.type, n.recipient, n.subject,
           n.body, n.body_text, n.status, n.provider_ref, n.error_message, n.attempts,
           n.unknown_outcomes, n.sent_at, n.created_at, n.updated_at, n.resend_of, n.resent_by,
           n.resend_reason
    FROM notification_archives a, json_each(a.members) AS member
    JOIN notifications n ON n.id = unhex(member.value)
    WHERE a.id = ?1 AND n.status <> 'queued'
    ORDER BY n.created_at, n.id";

// Every change of a row changes its updated_at.
const DELETE: &str = "DELETE FROM notifications WHERE id = ?1 AND updated_at = ?2";

const DELETE_CAPTURED: &str = "DELETE FROM inbox_messages WHERE notification_id = ?1";

const CLOSE: &str = "
    UPDATE notification_archives
    SET completed_at = ?2, members = NULL, object = ?3, sha256 = ?4, bytes = ?5, rows = ?6,
        from_at = ?7, to_at = ?8
    WHERE id = ?1";

const MASK: &str = "
    UPDATE notifications
    SET recipient = ?2, body = '', body_text = NULL, error_message = NULL, resend_reason = NULL,
        lease_until = NULL,
        status = CASE status WHEN 'queued' THEN 'failed' ELSE status END, updated_at = ?3
    WHERE user_id = ?1 AND recipient <> ?2 AND (lease_until IS NULL OR lease_until < ?3)
    RETURNING id";

const UNMASKED: &str = "
    SELECT count(*) FROM notifications
    WHERE user_id = ?1 AND recipient <> ?2 AND (lease_until IS NULL OR lease_until < ?3)";

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
    attempts: i64,
    unknown_outcomes: i64,
    sent_at: Option<Micros>,
    created_at: Micros,
    updated_at: Micros,
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
            attempts: row.attempts,
            unknown_outcomes: row.unknown_outcomes,
            sent_at: row.sent_at.map(|at| at.0),
            created_at: row.created_at.0,
            updated_at: row.updated_at.0,
            resend_of: row.resend_of.map(NotificationId),
            resent_by: row.resent_by,
            resend_reason: row.resend_reason,
        }
    }
}

type BatchRow = (Uuid, Micros);

fn batch((id, planned_at): BatchRow) -> Batch {
    Batch {
        id: ArchiveId(id),
        planned_at: planned_at.0,
    }
}

impl SqliteNotificationStore {
    async fn plan_one(
        &self,
        before: Timestamp,
        limit: u32,
        at: Timestamp,
    ) -> sqlx::Result<Option<Batch>> {
        let mut transaction = self.0.write().await?;
        let open: Option<BatchRow> = sqlx::query_as(OPEN)
            .fetch_optional(&mut *transaction)
            .await?;
        if let Some(open) = open {
            return Ok(Some(batch(open)));
        }
        let planned: Option<BatchRow> = sqlx::query_as(PLAN)
            .bind(ArchiveId::generate().0)
            .bind(Micros(at))
            .bind(Micros(before))
            .bind(i64::from(limit))
            .fetch_optional(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(planned.map(batch))
    }

    async fn retire_in_one(
        &self,
        batch: Batch,
        records: &[Record],
        manifest: Option<&Manifest>,
        at: Timestamp,
    ) -> sqlx::Result<Retired> {
        let mut transaction = self.0.write().await?;
        let open: Option<BatchRow> = sqlx::query_as(OPEN)
            .fetch_optional(&mut *transaction)
            .await?;
        if open.is_none_or(|(id, _)| id != batch.id.0) {
            return Ok(Retired::Deleted(0));
        }
        for record in records {
            let deleted = sqlx::query(DELETE)
                .bind(record.id.0)
                .bind(Micros(record.updated_at))
                .execute(&mut *transaction)
                .await?;
            if deleted.rows_affected() == 0 {
                // Dropped without a commit, the transaction leaves everything as it was.
                return Ok(Retired::Changed);
            }
            sqlx::query(DELETE_CAPTURED)
                .bind(record.id.0)
                .execute(&mut *transaction)
                .await?;
        }
        let rows = records.len() as u64;
        sqlx::query(CLOSE)
            .bind(batch.id.0)
            .bind(Micros(at))
            .bind(manifest.map(|one| one.object.clone()))
            .bind(manifest.map(|one| one.sha256.clone()))
            .bind(manifest.map(|one| number(one.bytes)))
            .bind(number(rows))
            .bind(manifest.map(|one| Micros(one.from)))
            .bind(manifest.map(|one| Micros(one.to)))
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(Retired::Deleted(rows))
    }

    async fn mask_each(&self, users: &[UserId], at: Timestamp) -> sqlx::Result<u64> {
        let mut transaction = self.0.write().await?;
        let mut masked = 0;
        for user in users {
            let ids: Vec<Uuid> = sqlx::query_scalar(MASK)
                .bind(user.0)
                .bind(PURGED)
                .bind(Micros(at))
                .fetch_all(&mut *transaction)
                .await?;
            for id in &ids {
                sqlx::query(DELETE_CAPTURED)
                    .bind(*id)
                    .execute(&mut *transaction)
                    .await?;
            }
            masked += ids.len() as u64;
        }
        transaction.commit().await?;
        Ok(masked)
    }
}

#[async_trait]
impl NotificationRetirement for SqliteNotificationStore {
    async fn due(&self, before: Timestamp) -> Result<u64, StoreError> {
        let due = sqlx::query_scalar(DUE).bind(Micros(before));
        let due: i64 = due.fetch_one(self.0.read()).await.map_err(notify_error)?;
        Ok(due.unsigned_abs())
    }

    async fn plan(
        &self,
        before: Timestamp,
        limit: u32,
        at: Timestamp,
    ) -> Result<Option<Batch>, StoreError> {
        let planned = self.plan_one(before, limit, at).await;
        planned.map_err(notify_error)
    }

    async fn records(&self, batch: Batch) -> Result<Vec<Record>, StoreError> {
        let records = sqlx::query_as(RECORDS).bind(batch.id.0);
        let rows: Vec<Row> = records
            .fetch_all(self.0.read())
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
        let retired = self.retire_in_one(batch, records, manifest, at).await;
        retired.map_err(notify_error)
    }

    async fn mask(&self, users: &[UserId], at: Timestamp) -> Result<u64, StoreError> {
        self.mask_each(users, at).await.map_err(notify_error)
    }

    async fn unmasked(&self, users: &[UserId]) -> Result<u64, StoreError> {
        let now = self.0.clock.now();
        let mut count = 0;
        for user in users {
            let unmasked = sqlx::query_scalar(UNMASKED)
                .bind(user.0)
                .bind(PURGED)
                .bind(Micros(now));
            let unmasked: i64 = unmasked
                .fetch_one(self.0.read())
                .await
                .map_err(notify_error)?;
            count += unmasked.unsigned_abs();
        }
        Ok(count)
    }
}
