//! Sessions and the refresh tokens in them.

use async_trait::async_trait;
use core_auth::{
    AccessState, AuditEntry, NewSession, Refusal, Revoked, Rotation, RotationOutcome, SessionStore,
    SessionSummary, StoreError, User,
};
use core_kernel::{SessionId, UserId};
use jiff::Timestamp;
use jiff_sqlx::ToSqlx;
use sqlx::postgres::{PgArguments, PgPool};
use sqlx::query::Query;
use sqlx::{FromRow, PgConnection, Postgres};
use uuid::Uuid;

use crate::auth::{UserRow, bind_audit};
use crate::error::auth_error;
use crate::pool::within;

// The user's row is locked against changes until the session is there, so that a change either comes
// first and is seen here, or comes later and ends the session.
const START: &str = "
    WITH begun AS (
        INSERT INTO sessions (id, user_id, created_at)
        SELECT $1, id, $3 FROM users WHERE id = $2 AND is_active AND updated_at = $7
        FOR SHARE
        RETURNING id
    )
    INSERT INTO refresh_tokens (hash, session_id, issued_at, expires_at)
    SELECT $4, id, $5, $6 FROM begun";

const ACCESS: &str = "
    SELECT u.id, u.email, u.first_name, u.last_name, u.phone, u.role, u.is_active, u.created_at,
           u.updated_at, u.tokens_from, u.email_verified_at, s.ended_at IS NOT NULL AS ended
    FROM sessions s JOIN users u ON u.id = s.user_id
    WHERE s.id = $1";

// Session and token are both locked: of racing calls each sees what the one before it made. The user
// first, against changes, as wherever both are locked: a token is either signed by what was changed,
// or ended by the change.
const LOCK_TOKEN: &str = "
    WITH u AS MATERIALIZED (
        SELECT id, email, first_name, last_name, phone, role, is_active, created_at, updated_at,
               tokens_from, email_verified_at
        FROM users WHERE id = (SELECT user_id FROM sessions WHERE id = $2)
        FOR SHARE
    )
    SELECT u.*, s.ended_at IS NOT NULL AS ended, t.used_at
    FROM u
    JOIN sessions s ON s.user_id = u.id
    JOIN refresh_tokens t ON t.session_id = s.id
    WHERE t.hash = $1 AND s.id = $2
    FOR UPDATE OF s, t";

const USE_TOKEN: &str = "
    WITH used AS (
        UPDATE refresh_tokens SET used_at = coalesce(used_at, $2) WHERE hash = $1
    )
    INSERT INTO refresh_tokens (hash, session_id, issued_at, expires_at)
    VALUES ($3, $4, $5, $6)";

// What ends sessions or tokens tells the other instances at its commit, see `revocations`.
const END: &str = "
    WITH ended AS (
        UPDATE sessions SET ended_at = $2, end_reason = $3 WHERE id = $1 AND ended_at IS NULL
        RETURNING user_id
    ), logged AS (
        INSERT INTO user_audit (user_id, action, from_value, to_value, actor_id, actor_role,
                                request_id, trace_id, at)
        SELECT ended.user_id, entry.*, $2
        FROM ended, unnest($4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[],
                           $10::text[]) AS entry
    )
    SELECT pg_notify('shopflow_revocations', '') FROM ended";

const END_ALL: &str = "
    WITH moved AS (
        UPDATE users SET tokens_from = $2 WHERE id = $1
        RETURNING id
    ), ended AS (
        UPDATE sessions SET ended_at = $2, end_reason = $3
        FROM moved WHERE user_id = moved.id AND ended_at IS NULL
    ), logged AS (
        INSERT INTO user_audit (user_id, action, from_value, to_value, actor_id, actor_role,
                                request_id, trace_id, at)
        SELECT $1, entry.*, $2
        FROM unnest($4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[],
                    $10::text[]) AS entry
    )
    SELECT pg_notify('shopflow_revocations', '')";

const LIST: &str = "
    SELECT id, created_at, ended_at, end_reason,
           coalesce((SELECT max(issued_at) FROM refresh_tokens WHERE session_id = sessions.id),
                    created_at) AS renewed_at
    FROM sessions WHERE user_id = $1
    ORDER BY created_at DESC, id DESC
    LIMIT $2";

const REVOKED: &str = "
    SELECT true AS is_session, id, ended_at AS at FROM sessions WHERE ended_at >= $1
    UNION ALL
    SELECT false, id, tokens_from FROM users WHERE tokens_from >= $1";

#[derive(FromRow)]
struct SessionRow {
    id: Uuid,
    created_at: jiff_sqlx::Timestamp,
    ended_at: Option<jiff_sqlx::Timestamp>,
    end_reason: Option<String>,
    renewed_at: jiff_sqlx::Timestamp,
}

impl From<SessionRow> for SessionSummary {
    fn from(row: SessionRow) -> Self {
        Self {
            id: SessionId(row.id),
            created_at: row.created_at.to_jiff(),
            renewed_at: row.renewed_at.to_jiff(),
            ended_at: row.ended_at.map(jiff_sqlx::Timestamp::to_jiff),
            end_reason: row.end_reason,
        }
    }
}

#[derive(FromRow)]
struct AccessRow {
    #[sqlx(flatten)]
    user: UserRow,
    ended: bool,
}

#[derive(FromRow)]
struct TokenRow {
    #[sqlx(flatten)]
    access: AccessRow,
    used_at: Option<jiff_sqlx::Timestamp>,
}

/// Sessions in the tables `sessions` and `refresh_tokens`.
#[derive(Clone, Debug)]
pub struct PgSessionStore {
    pool: PgPool,
}

impl PgSessionStore {
    /// The store on this pool.
    #[must_use]
    pub fn new(pool: PgPool) -> Self {
        Self { pool }
    }
}

async fn use_token(connection: &mut PgConnection, rotation: &Rotation) -> sqlx::Result<()> {
    sqlx::query(USE_TOKEN)
        .bind(rotation.presented.0.as_slice())
        .bind(rotation.at.to_sqlx())
        .bind(rotation.next.hash.0.as_slice())
        .bind(rotation.session_id.0)
        .bind(rotation.next.issued_at.to_sqlx())
        .bind(rotation.next.expires_at.to_sqlx())
        .execute(connection)
        .await
        .map(drop)
}

/// Ends a session; a row comes back if it had not ended before.
fn end<'q>(
    id: SessionId,
    reason: &'q str,
    at: Timestamp,
    audit: &[AuditEntry],
) -> Query<'q, Postgres, PgArguments> {
    let end = sqlx::query(END).bind(id.0).bind(at.to_sqlx()).bind(reason);
    bind_audit(end, audit)
}

#[async_trait]
impl SessionStore for PgSessionStore {
    async fn start(&self, session: &NewSession) -> Result<(), StoreError> {
        let done = sqlx::query(START)
            .bind(session.id.0)
            .bind(session.user_id.0)
            .bind(session.at.to_sqlx())
            .bind(session.refresh.hash.0.as_slice())
            .bind(session.refresh.issued_at.to_sqlx())
            .bind(session.refresh.expires_at.to_sqlx())
            .bind(session.seen.to_sqlx())
            .execute(&self.pool)
            .await
            .map_err(auth_error)?;
        match done.rows_affected() {
            0 => Err(StoreError::Conflict),
            _ => Ok(()),
        }
    }

    async fn rotate(&self, rotation: &Rotation) -> Result<RotationOutcome, StoreError> {
        // Dropped without a commit, the transaction leaves everything as it was.
        let mut transaction = self.pool.begin().await.map_err(auth_error)?;
        let row = sqlx::query_as::<_, TokenRow>(LOCK_TOKEN)
            .bind(rotation.presented.0.as_slice())
            .bind(rotation.session_id.0)
            .fetch_optional(&mut *transaction)
            .await
            .map_err(auth_error)?;
        let Some(row) = row else {
            return Ok(RotationOutcome::Refused(Refusal::Unknown));
        };
        if row.access.ended {
            return Ok(RotationOutcome::Refused(Refusal::Ended));
        }
        let user = User::try_from(row.access.user)?;
        if !user.is_active {
            return Ok(RotationOutcome::Refused(Refusal::Deactivated));
        }
        let used_at = row.used_at.map(jiff_sqlx::Timestamp::to_jiff);
        let outcome = match rotation.check_use(used_at) {
            Ok(()) => {
                use_token(&mut transaction, rotation)
                    .await
                    .map_err(auth_error)?;
                RotationOutcome::Rotated(Box::new(user))
            }
            Err(refusal) => {
                let reason = "refresh token reused";
                end(rotation.session_id, reason, rotation.at, &[])
                    .execute(&mut *transaction)
                    .await
                    .map_err(auth_error)?;
                RotationOutcome::Refused(refusal)
            }
        };
        transaction.commit().await.map_err(auth_error)?;
        Ok(outcome)
    }

    async fn end(
        &self,
        id: SessionId,
        reason: &str,
        at: Timestamp,
        audit: &[AuditEntry],
    ) -> Result<bool, StoreError> {
        let ended = end(id, reason, at, audit).fetch_optional(&self.pool);
        Ok(ended.await.map_err(auth_error)?.is_some())
    }

    async fn end_all(
        &self,
        user: UserId,
        reason: &'static str,
        at: Timestamp,
        audit: &[AuditEntry],
    ) -> Result<(), StoreError> {
        let end = sqlx::query(END_ALL)
            .bind(user.0)
            .bind(at.to_sqlx())
            .bind(reason);
        bind_audit(end, audit)
            .execute(&self.pool)
            .await
            .map(drop)
            .map_err(auth_error)
    }

    async fn list(&self, user: UserId, limit: u32) -> Result<Vec<SessionSummary>, StoreError> {
        let rows: Vec<SessionRow> = sqlx::query_as(LIST)
            .bind(user.0)
            .bind(i64::from(limit))
            .fetch_all(&self.pool)
            .await
            .map_err(auth_error)?;
        Ok(rows.into_iter().map(SessionSummary::from).collect())
    }

    async fn revoked_since(&self, since: Timestamp) -> Result<Revoked, StoreError> {
        let rows = sqlx::query_as(REVOKED)
            .bind(since.to_sqlx())
            .fetch_all(&self.pool);
        let rows: Vec<(bool, Uuid, jiff_sqlx::Timestamp)> =
            within(rows).await.map_err(auth_error)?;
        let mut revoked = Revoked::default();
        for (is_session, id, at) in rows {
            match is_session {
                true => revoked.sessions.push((SessionId(id), at.to_jiff())),
                false => revoked.users.push((UserId(id), at.to_jiff())),
            }
        }
        Ok(revoked)
    }

    async fn access(&self, id: SessionId) -> Result<Option<AccessState>, StoreError> {
        let row = sqlx::query_as::<_, AccessRow>(ACCESS)
            .bind(id.0)
            .fetch_optional(&self.pool)
            .await
            .map_err(auth_error)?;
        row.map(|row| {
            Ok(AccessState {
                user: row.user.try_into()?,
                ended: row.ended,
            })
        })
        .transpose()
    }
}
