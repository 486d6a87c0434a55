//! One-time tokens, and the requests for mails that come with them.

use async_trait::async_trait;
use core_auth::{
    AuditEntry, OneTimeRequest, OneTimeStore, Purpose, Spending, StoreError, StoredOneTime,
    TokenHash,
};
use core_kernel::{OutboxMessage, TokenId, UserId};
use jiff::Timestamp;
use jiff_sqlx::ToSqlx;
use sqlx::postgres::PgPool;
use sqlx::{FromRow, PgConnection};
use uuid::Uuid;

use crate::auth::bind_audit;
use crate::error::{Inconsistent, auth_error};

// Token, audit and event in one statement. Whose the token is decides about the other two.
const REQUEST: &str = "
    WITH owner AS (
        SELECT $2::uuid AS user_id
        WHERE $2 IS NOT NULL
          AND NOT EXISTS (SELECT 1 FROM one_time_tokens
                          WHERE user_id = $2 AND purpose = $3 AND issued_at > $7)
    ), token AS (
        INSERT INTO one_time_tokens (id, user_id, purpose, hash, issued_at, expires_at)
        VALUES ($1, (SELECT user_id FROM owner), $3, $4, $5, $6)
    ), queued AS (
        INSERT INTO user_outbox (event_id, subject, event_type, routing_key, payload, traceparent,
                                 tracestate, created_at)
        SELECT event.*, $5
        FROM owner, unnest($8::uuid[], $9::uuid[], $10::text[], $11::text[], $12::text[],
                           $13::text[], $14::text[]) AS event
    )
    INSERT INTO user_audit (user_id, action, from_value, to_value, actor_id, actor_role, request_id,
                            trace_id, at)
    SELECT owner.user_id, entry.*, $5
    FROM owner, unnest($15::text[], $16::text[], $17::text[], $18::text[], $19::text[],
                       $20::text[], $21::text[]) AS entry";

const FIND: &str = "
    SELECT id, user_id, purpose, hash, issued_at, expires_at, used_at
    FROM one_time_tokens WHERE id = $1";

const FIND_BY_HASH: &str = "
    SELECT id, user_id, purpose, hash, issued_at, expires_at, used_at
    FROM one_time_tokens WHERE hash = $1";

const SPEND: &str = "
    UPDATE one_time_tokens SET used_at = $3
    WHERE user_id = $1 AND purpose = $2 AND used_at IS NULL
    RETURNING hash";

// Several instances may prune at once: they skip what another has in hand.
const PRUNE: &str = "
    DELETE FROM one_time_tokens
    WHERE id IN (SELECT id FROM one_time_tokens WHERE expires_at < $1
                 LIMIT $2 FOR UPDATE SKIP LOCKED)";

#[derive(FromRow)]
struct TokenRow {
    id: Uuid,
    user_id: Option<Uuid>,
    purpose: String,
    hash: Vec<u8>,
    issued_at: jiff_sqlx::Timestamp,
    expires_at: jiff_sqlx::Timestamp,
    used_at: Option<jiff_sqlx::Timestamp>,
}

impl TryFrom<TokenRow> for StoredOneTime {
    type Error = StoreError;

    fn try_from(row: TokenRow) -> Result<Self, StoreError> {
        let broken = |what| {
            StoreError::Broken(Box::new(Inconsistent {
                table: "one_time_tokens",
                id: row.id.to_string(),
                what,
            }))
        };
        let hash = row.hash.try_into().map_err(|_| broken("no hash"))?;
        Ok(Self {
            id: TokenId(row.id),
            user_id: row.user_id.map(UserId),
            purpose: Purpose::from_word(&row.purpose).ok_or_else(|| broken("unknown purpose"))?,
            hash: TokenHash(hash),
            issued_at: row.issued_at.to_jiff(),
            expires_at: row.expires_at.to_jiff(),
            used_at: row.used_at.map(jiff_sqlx::Timestamp::to_jiff),
        })
    }
}

/// Writes a request down.
pub(crate) async fn request(
    connection: &mut PgConnection,
    request: &OneTimeRequest,
    not_since: Timestamp,
) -> sqlx::Result<()> {
    fn column<T>(event: Option<&OutboxMessage>, value: impl Fn(&OutboxMessage) -> T) -> Vec<T> {
        event.map(value).into_iter().collect()
    }
    let (token, event) = (&request.token, request.event.as_ref());
    let audit: &[AuditEntry] = request.audit.as_slice();
    let insert = sqlx::query(REQUEST)
        .bind(token.id.0)
        .bind(token.user_id.map(|id| id.0))
        .bind(token.purpose.as_str())
        .bind(token.hash.0.as_slice())
        .bind(token.issued_at.to_sqlx())
        .bind(token.expires_at.to_sqlx())
        .bind(not_since.to_sqlx())
        .bind(column(event, |event| event.event_id.0))
        .bind(column(event, |event| event.subject))
        .bind(column(event, |event| event.event_type.clone()))
        .bind(column(event, |event| event.routing_key.clone()))
        .bind(column(event, |event| event.payload.clone()))
        .bind(column(event, |event| event.traceparent.clone()))
        .bind(column(event, |event| event.tracestate.clone()));
    bind_audit(insert, audit)
        .execute(connection)
        .await
        .map(drop)
}

/// Ends the tokens of a user; false when the one that had to be unused was not.
pub(crate) async fn spend(
    connection: &mut PgConnection,
    user: UserId,
    spending: Spending,
    at: Timestamp,
) -> sqlx::Result<bool> {
    let ended: Vec<Vec<u8>> = sqlx::query_scalar(SPEND)
        .bind(user.0)
        .bind(spending.purpose.as_str())
        .bind(at.to_sqlx())
        .fetch_all(connection)
        .await?;
    let wanted = spending.token;
    Ok(wanted.is_none_or(|token| ended.iter().any(|hash| *hash == token.0)))
}

/// One-time tokens in the table `one_time_tokens`.
#[derive(Clone, Debug)]
pub struct PgOneTimeStore {
    pool: PgPool,
}

impl PgOneTimeStore {
    /// The store on this pool.
    #[must_use]
    pub fn new(pool: PgPool) -> Self {
        Self { pool }
    }
}

#[async_trait]
impl OneTimeStore for PgOneTimeStore {
    async fn request(&self, new: &OneTimeRequest, not_since: Timestamp) -> Result<(), StoreError> {
        let mut connection = self.pool.acquire().await.map_err(auth_error)?;
        request(&mut connection, new, not_since)
            .await
            .map_err(auth_error)
    }

    async fn find(&self, id: TokenId) -> Result<Option<StoredOneTime>, StoreError> {
        sqlx::query_as::<_, TokenRow>(FIND)
            .bind(id.0)
            .fetch_optional(&self.pool)
            .await
            .map_err(auth_error)?
            .map(StoredOneTime::try_from)
            .transpose()
    }

    async fn find_by_hash(&self, hash: TokenHash) -> Result<Option<StoredOneTime>, StoreError> {
        sqlx::query_as::<_, TokenRow>(FIND_BY_HASH)
            .bind(hash.0.as_slice())
            .fetch_optional(&self.pool)
            .await
            .map_err(auth_error)?
            .map(StoredOneTime::try_from)
            .transpose()
    }

    async fn prune(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        sqlx::query(PRUNE)
            .bind(before.to_sqlx())
            .bind(i64::from(limit))
            .execute(&self.pool)
            .await
            .map(|done| done.rows_affected())
            .map_err(auth_error)
    }
}
