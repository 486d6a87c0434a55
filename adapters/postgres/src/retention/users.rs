//! Purging accounts.

use async_trait::async_trait;
use core_auth::{Doing, Purged, StoreError, UserPurge};
use core_kernel::UserId;
use jiff::Timestamp;
use jiff_sqlx::ToSqlx;
use uuid::Uuid;

use crate::auth::PgUserStore;
use crate::error::auth_error;
use crate::pool::within;

const DUE: &str = "
    SELECT count(*) FROM users
    WHERE NOT is_active AND least(deactivated_at, updated_at) <= $1";

// A row that somebody changes this moment is left for the next time: it may be a reactivation. One
// that waits for us finds no row. Sessions and refresh tokens go by cascade.
const PURGE: &str = "
    WITH due AS (
        SELECT id FROM users
        WHERE NOT is_active AND least(deactivated_at, updated_at) <= $1
        ORDER BY id LIMIT $2
        FOR UPDATE SKIP LOCKED
    ), gone AS (
        DELETE FROM users USING due WHERE users.id = due.id RETURNING users.id
    )
    INSERT INTO user_audit (user_id, action, actor_id, actor_role, at, request_id, trace_id)
    SELECT id, 'purged', $3, $4, $5, $6, $7 FROM gone";

const PURGED: &str = "
    SELECT id, user_id, at FROM user_audit
    WHERE action = 'purged' AND id > $1 ORDER BY id LIMIT $2";

#[async_trait]
impl UserPurge for PgUserStore {
    async fn due(&self, before: Timestamp) -> Result<u64, StoreError> {
        let due = sqlx::query_scalar(DUE).bind(before.to_sqlx());
        let due: i64 = due.fetch_one(&self.pool).await.map_err(auth_error)?;
        Ok(due.unsigned_abs())
    }

    async fn purge(
        &self,
        before: Timestamp,
        limit: u32,
        by: &Doing<'_>,
    ) -> Result<u64, StoreError> {
        let purged = sqlx::query(PURGE)
            .bind(before.to_sqlx())
            .bind(i64::from(limit))
            .bind(&by.actor_id)
            .bind(by.actor_role)
            .bind(by.at.to_sqlx())
            .bind(&*by.context.request_id)
            .bind(by.context.trace.trace_id())
            .execute(&self.pool);
        let purged = within(purged).await.map_err(auth_error)?;
        Ok(purged.rows_affected())
    }

    async fn purged(&self, after: i64, limit: u32) -> Result<Vec<Purged>, StoreError> {
        let rows: Vec<(i64, Uuid, jiff_sqlx::Timestamp)> = sqlx::query_as(PURGED)
            .bind(after)
            .bind(i64::from(limit))
            .fetch_all(&self.pool)
            .await
            .map_err(auth_error)?;
        let purged = rows.into_iter().map(|(position, id, at)| Purged {
            position,
            user_id: UserId(id),
            at: at.to_jiff(),
        });
        Ok(purged.collect())
    }
}
