//! One-time tokens, and the requests for mails that come with them.

use async_trait::async_trait;
use core_auth::{
    OneTimeRequest, OneTimeStore, Purpose, Spending, StoreError, StoredOneTime, TokenHash,
};
use core_kernel::{TokenId, UserId};
use jiff::Timestamp;
use sqlx::{FromRow, SqliteConnection};
use uuid::Uuid;

use crate::database::Database;
use crate::error::{Inconsistent, auth_error};
use crate::outbox;
use crate::users::log;
use crate::value::Micros;

const RECENT: &str = "
    SELECT count(*) FROM one_time_tokens WHERE user_id = ?1 AND purpose = ?2 AND issued_at > ?3";

const INSERT: &str = "
    INSERT INTO one_time_tokens (id, user_id, purpose, hash, issued_at, expires_at)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6)";

const FIND: &str = "
    SELECT id, user_id, purpose, hash, issued_at, expires_at, used_at
    FROM one_time_tokens WHERE id = ?1";

const FIND_BY_HASH: &str = "
    SELECT id, user_id, purpose, hash, issued_at, expires_at, used_at
    FROM one_time_tokens WHERE hash = ?1";

const SPEND: &str = "
    UPDATE one_time_tokens SET used_at = ?3
    WHERE user_id = ?1 AND purpose = ?2 AND used_at IS NULL
    RETURNING hash";

const PRUNE: &str = "
    DELETE FROM one_time_tokens
    WHERE id IN (SELECT id FROM one_time_tokens WHERE expires_at < ?1 LIMIT ?2)";

#[derive(FromRow)]
struct TokenRow {
    id: Uuid,
    user_id: Option<Uuid>,
    purpose: String,
    hash: Vec<u8>,
    issued_at: Micros,
    expires_at: Micros,
    used_at: Option<Micros>,
}

impl TryFrom<TokenRow> for StoredOneTime {
    type Error = StoreError;

    fn try_from(row: TokenRow) -> Result<Self, StoreError> {
        let broken =
            |what| StoreError::Broken(Inconsistent::boxed("one_time_tokens", row.id, what));
        let hash = row.hash.try_into().map_err(|_| broken("no hash"))?;
        Ok(Self {
            id: TokenId(row.id),
            user_id: row.user_id.map(UserId),
            purpose: Purpose::from_word(&row.purpose).ok_or_else(|| broken("unknown purpose"))?,
            hash: TokenHash(hash),
            issued_at: row.issued_at.0,
            expires_at: row.expires_at.0,
            used_at: row.used_at.map(|at| at.0),
        })
    }
}

/// Writes a request down: the token, and what is told of it if it is somebody's.
pub(crate) async fn request(
    connection: &mut SqliteConnection,
    request: &OneTimeRequest,
    not_since: Timestamp,
) -> sqlx::Result<()> {
    let token = &request.token;
    let recent: i64 = sqlx::query_scalar(RECENT)
        .bind(token.user_id.map(|id| id.0))
        .bind(token.purpose.as_str())
        .bind(Micros(not_since))
        .fetch_one(&mut *connection)
        .await?;
    let owner = token.user_id.filter(|_| recent == 0);
    sqlx::query(INSERT)
        .bind(token.id.0)
        .bind(owner.map(|id| id.0))
        .bind(token.purpose.as_str())
        .bind(token.hash.0.to_vec())
        .bind(Micros(token.issued_at))
        .bind(Micros(token.expires_at))
        .execute(&mut *connection)
        .await?;
    if owner.is_some() {
        log(connection, request.audit.as_slice()).await?;
        if let Some(event) = &request.event {
            outbox::put(connection, event, token.issued_at).await?;
        }
    }
    Ok(())
}

/// Ends the tokens of a user; false when the one that had to be unused was not.
pub(crate) async fn spend(
    connection: &mut SqliteConnection,
    user: UserId,
    spending: Spending,
    at: Timestamp,
) -> sqlx::Result<bool> {
    let ended: Vec<Vec<u8>> = sqlx::query_scalar(SPEND)
        .bind(user.0)
        .bind(spending.purpose.as_str())
        .bind(Micros(at))
        .fetch_all(connection)
        .await?;
    let wanted = spending.token;
    Ok(wanted.is_none_or(|token| ended.iter().any(|hash| *hash == token.0)))
}

/// One-time tokens in the table `one_time_tokens`.
#[derive(Clone, Debug)]
pub struct SqliteOneTimeStore(pub(crate) Database);

#[async_trait]
impl OneTimeStore for SqliteOneTimeStore {
    async fn request(&self, new: &OneTimeRequest, not_since: Timestamp) -> Result<(), StoreError> {
        let mut transaction = self.0.write().await.map_err(auth_error)?;
        request(&mut transaction, new, not_since)
            .await
            .map_err(auth_error)?;
        transaction.commit().await.map_err(auth_error)
    }

    async fn find(&self, id: TokenId) -> Result<Option<StoredOneTime>, StoreError> {
        sqlx::query_as::<_, TokenRow>(FIND)
            .bind(id.0)
            .fetch_optional(self.0.read())
            .await
            .map_err(auth_error)?
            .map(StoredOneTime::try_from)
            .transpose()
    }

    async fn find_by_hash(&self, hash: TokenHash) -> Result<Option<StoredOneTime>, StoreError> {
        sqlx::query_as::<_, TokenRow>(FIND_BY_HASH)
            .bind(hash.0.to_vec())
            .fetch_optional(self.0.read())
            .await
            .map_err(auth_error)?
            .map(StoredOneTime::try_from)
            .transpose()
    }

    async fn prune(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        let mut transaction = self.0.write().await.map_err(auth_error)?;
        let done = sqlx::query(PRUNE)
            .bind(Micros(before))
            .bind(limit)
            .execute(&mut *transaction)
            .await
            .map_err(auth_error)?;
        transaction.commit().await.map_err(auth_error)?;
        Ok(done.rows_affected())
    }
}
