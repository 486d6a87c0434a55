//! Sessions and the refresh tokens in them.

use async_trait::async_trait;
use core_auth::{
    AccessState, AuditEntry, Ending, NewSession, Refusal, Revoked, Rotation, RotationOutcome,
    SessionStore, SessionSummary, StoreError, StoredRefresh, User,
};
use core_kernel::{SessionId, UserId};
use jiff::Timestamp;
use sqlx::{FromRow, SqliteConnection};
use uuid::Uuid;

use crate::database::Database;
use crate::error::auth_error;
use crate::users::{UserRow, end_sessions, log};
use crate::value::Micros;

const START: &str = "
    INSERT INTO sessions (id, user_id, created_at)
    SELECT ?1, id, ?3 FROM users WHERE id = ?2 AND is_active AND updated_at = ?4";

const ISSUE: &str = "
    INSERT INTO refresh_tokens (hash, session_id, issued_at, expires_at) VALUES (?1, ?2, ?3, ?4)";

const ACCESS: &str = "
    SELECT u.id, u.email, u.first_name, u.last_name, u.phone, u.role, u.is_active, u.created_at,
           u.updated_at, u.tokens_from, u.email_verified_at, s.ended_at IS NOT NULL AS ended
    FROM sessions s JOIN users u ON u.id = s.user_id
    WHERE s.id = ?1";

const FIND_TOKEN: &str = "
    SELECT u.id, u.email, u.first_name, u.last_name, u.phone, u.role, u.is_active, u.created_at,
           u.updated_at, u.tokens_from, u.email_verified_at, s.ended_at IS NOT NULL AS ended, t.used_at
    FROM refresh_tokens t
    JOIN sessions s ON s.id = t.session_id
    JOIN users u ON u.id = s.user_id
    WHERE t.hash = ?1 AND t.session_id = ?2";

const USE: &str = "UPDATE refresh_tokens SET used_at = coalesce(used_at, ?2) WHERE hash = ?1";

const END: &str = "
    UPDATE sessions SET ended_at = ?2, end_reason = ?3 WHERE id = ?1 AND ended_at IS NULL";

const END_TOKENS: &str = "UPDATE users SET tokens_from = ?2 WHERE id = ?1";

const LIST: &str = "
    SELECT id, created_at, ended_at, end_reason,
           coalesce((SELECT max(issued_at) FROM refresh_tokens WHERE session_id = sessions.id),
                    created_at) AS renewed_at
    FROM sessions WHERE user_id = ?1
    ORDER BY created_at DESC, id DESC
    LIMIT ?2";

const REVOKED: &str = "
    SELECT 1 AS is_session, id, ended_at AS at FROM sessions WHERE ended_at >= ?1
    UNION ALL
    SELECT 0, id, tokens_from FROM users WHERE tokens_from >= ?1";

#[derive(FromRow)]
struct SessionRow {
    id: Uuid,
    created_at: Micros,
    ended_at: Option<Micros>,
    end_reason: Option<String>,
    renewed_at: Micros,
}

impl From<SessionRow> for SessionSummary {
    fn from(row: SessionRow) -> Self {
        Self {
            id: SessionId(row.id),
            created_at: row.created_at.0,
            renewed_at: row.renewed_at.0,
            ended_at: row.ended_at.map(|at| at.0),
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
    used_at: Option<Micros>,
}

/// Sessions in the tables `sessions` and `refresh_tokens`.
#[derive(Clone, Debug)]
pub struct SqliteSessionStore(pub(crate) Database);

async fn issue(
    connection: &mut SqliteConnection,
    session: SessionId,
    token: StoredRefresh,
) -> sqlx::Result<()> {
    sqlx::query(ISSUE)
        .bind(token.hash.0.to_vec())
        .bind(session.0)
        .bind(Micros(token.issued_at))
        .bind(Micros(token.expires_at))
        .execute(connection)
        .await
        .map(drop)
}

impl SqliteSessionStore {
    /// False when the user has changed since they were read, or is not active.
    async fn begin(&self, session: &NewSession) -> sqlx::Result<bool> {
        let mut transaction = self.0.write().await?;
        let begun = sqlx::query(START)
            .bind(session.id.0)
            .bind(session.user_id.0)
            .bind(Micros(session.at))
            .bind(Micros(session.seen))
            .execute(&mut *transaction)
            .await?;
        if begun.rows_affected() == 0 {
            return Ok(false);
        }
        issue(&mut transaction, session.id, session.refresh).await?;
        transaction.commit().await?;
        Ok(true)
    }
}

/// Whether it had not ended before.
async fn end(
    connection: &mut SqliteConnection,
    id: SessionId,
    reason: &str,
    at: Timestamp,
) -> sqlx::Result<bool> {
    let end = sqlx::query(END)
        .bind(id.0)
        .bind(Micros(at))
        .bind(reason.to_owned());
    Ok(end.execute(connection).await?.rows_affected() == 1)
}

/// What a token that is known leads to, written but not committed.
async fn exchange(
    connection: &mut SqliteConnection,
    rotation: &Rotation,
    used_at: Option<Micros>,
) -> sqlx::Result<Result<(), Refusal>> {
    match rotation.check_use(used_at.map(|at| at.0)) {
        Ok(()) => {
            sqlx::query(USE)
                .bind(rotation.presented.0.to_vec())
                .bind(Micros(rotation.at))
                .execute(&mut *connection)
                .await?;
            issue(connection, rotation.session_id, rotation.next).await?;
            Ok(Ok(()))
        }
        Err(refusal) => {
            let reason = "refresh token reused";
            end(connection, rotation.session_id, reason, rotation.at).await?;
            Ok(Err(refusal))
        }
    }
}

#[async_trait]
impl SessionStore for SqliteSessionStore {
    async fn start(&self, session: &NewSession) -> Result<(), StoreError> {
        match self.begin(session).await.map_err(auth_error)? {
            true => Ok(()),
            false => Err(StoreError::Conflict),
        }
    }

    async fn rotate(&self, rotation: &Rotation) -> Result<RotationOutcome, StoreError> {
        // Writers take turns, so of racing calls each sees what the one before it made.
        let mut transaction = self.0.write().await.map_err(auth_error)?;
        let row = sqlx::query_as::<_, TokenRow>(FIND_TOKEN)
            .bind(rotation.presented.0.to_vec())
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
        let exchanged = exchange(&mut transaction, rotation, row.used_at)
            .await
            .map_err(auth_error)?;
        transaction.commit().await.map_err(auth_error)?;
        Ok(match exchanged {
            Ok(()) => RotationOutcome::Rotated(Box::new(user)),
            Err(refusal) => RotationOutcome::Refused(refusal),
        })
    }

    async fn end(
        &self,
        id: SessionId,
        reason: &str,
        at: Timestamp,
        audit: &[AuditEntry],
    ) -> Result<bool, StoreError> {
        let mut transaction = self.0.write().await.map_err(auth_error)?;
        let ended = end(&mut transaction, id, reason, at).await;
        let ended = ended.map_err(auth_error)?;
        if ended {
            log(&mut transaction, audit).await.map_err(auth_error)?;
        }
        transaction.commit().await.map_err(auth_error)?;
        Ok(ended)
    }

    async fn end_all(
        &self,
        user: UserId,
        reason: &'static str,
        at: Timestamp,
        audit: &[AuditEntry],
    ) -> Result<(), StoreError> {
        let ending = Ending {
            reason,
            except: None,
        };
        let mut transaction = self.0.write().await.map_err(auth_error)?;
        end_sessions(&mut transaction, user, ending, at)
            .await
            .map_err(auth_error)?;
        sqlx::query(END_TOKENS)
            .bind(user.0)
            .bind(Micros(at))
            .execute(&mut *transaction)
            .await
            .map_err(auth_error)?;
        log(&mut transaction, audit).await.map_err(auth_error)?;
        transaction.commit().await.map_err(auth_error)
    }

    async fn list(&self, user: UserId, limit: u32) -> Result<Vec<SessionSummary>, StoreError> {
        let rows: Vec<SessionRow> = sqlx::query_as(LIST)
            .bind(user.0)
            .bind(limit)
            .fetch_all(self.0.read())
            .await
            .map_err(auth_error)?;
        Ok(rows.into_iter().map(SessionSummary::from).collect())
    }

    async fn revoked_since(&self, since: Timestamp) -> Result<Revoked, StoreError> {
        let rows: Vec<(bool, Uuid, Micros)> = sqlx::query_as(REVOKED)
            .bind(Micros(since))
            .fetch_all(self.0.read())
            .await
            .map_err(auth_error)?;
        let mut revoked = Revoked::default();
        for (is_session, id, at) in rows {
            match is_session {
                true => revoked.sessions.push((SessionId(id), at.0)),
                false => revoked.users.push((UserId(id), at.0)),
            }
        }
        Ok(revoked)
    }

    async fn access(&self, id: SessionId) -> Result<Option<AccessState>, StoreError> {
        let row = sqlx::query_as::<_, AccessRow>(ACCESS)
            .bind(id.0)
            .fetch_optional(self.0.read())
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
