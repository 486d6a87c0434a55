//! Purging accounts.

use async_trait::async_trait;
use core_auth::{Doing, Purged, StoreError, UserPurge};
use core_kernel::UserId;
use jiff::Timestamp;
use uuid::Uuid;

use crate::error::auth_error;
use crate::users::SqliteUserStore;
use crate::value::Micros;

const COUNT: &str = "
    SELECT count(*) FROM users
    WHERE NOT is_active AND min(deactivated_at, updated_at) <= ?1";

// Sessions and refresh tokens go by cascade.
const PURGE: &str = "
    DELETE FROM users WHERE id IN (
        SELECT id FROM users
        WHERE NOT is_active AND min(deactivated_at, updated_at) <= ?1
        ORDER BY id LIMIT ?2)
    RETURNING id";

const LOG: &str = "
    INSERT INTO user_audit (user_id, action, actor_id, actor_role, at, request_id, trace_id)
    VALUES (?1, 'purged', ?2, ?3, ?4, ?5, ?6)";

const PURGED: &str = "
    SELECT id, user_id, at FROM user_audit
    WHERE action = 'purged' AND id > ?1 ORDER BY id LIMIT ?2";

#[async_trait]
impl UserPurge for SqliteUserStore {
    async fn due(&self, before: Timestamp) -> Result<u64, StoreError> {
        let count = sqlx::query_scalar(COUNT).bind(Micros(before));
        let count: i64 = count.fetch_one(self.0.read()).await.map_err(auth_error)?;
        Ok(count.unsigned_abs())
    }

    async fn purge(
        &self,
        before: Timestamp,
        limit: u32,
        by: &Doing<'_>,
    ) -> Result<u64, StoreError> {
        let mut transaction = self.0.write().await.map_err(auth_error)?;
        let gone: Vec<Uuid> = sqlx::query_scalar(PURGE)
            .bind(Micros(before))
            .bind(i64::from(limit))
            .fetch_all(&mut *transaction)
            .await
            .map_err(auth_error)?;
        for id in &gone {
            sqlx::query(LOG)
                .bind(*id)
                .bind(by.actor_id.clone())
                .bind(by.actor_role)
                .bind(Micros(by.at))
                .bind(by.context.request_id.to_string())
                .bind(by.context.trace.trace_id())
                .execute(&mut *transaction)
                .await
                .map_err(auth_error)?;
        }
        transaction.commit().await.map_err(auth_error)?;
        Ok(gone.len() as u64)
    }

    async fn purged(&self, after: i64, limit: u32) -> Result<Vec<Purged>, StoreError> {
        let rows: Vec<(i64, Uuid, Micros)> = sqlx::query_as(PURGED)
            .bind(after)
            .bind(i64::from(limit))
            .fetch_all(self.0.read())
            .await
            .map_err(auth_error)?;
        let purged = rows.into_iter().map(|(position, id, at)| Purged {
            position,
            user_id: UserId(id),
            at: at.0,
        });
        Ok(purged.collect())
    }
}
