//! Accounts.

use async_trait::async_trait;
use core_auth::{
    Account, AuditEntry, CHANGE_TAKES, Email, OneTimeRequest, PasswordHash, PersonName, Phone,
    StoreError, User, UserChange, UserFilter, UserRole, UserStore,
};
use core_kernel::{Page, PageRequest, UserId};
use jiff_sqlx::ToSqlx;
use sqlx::postgres::{PgArguments, PgPool, PgRow};
use sqlx::query::Query;
use sqlx::{FromRow, Postgres, Row, ValueRef};
use uuid::Uuid;

use crate::by_id::{Finds, Identified};
use crate::error::{Inconsistent, auth_error, broken_unique};
use crate::one_time;
use crate::together::Together;
use crate::warm::WarmPool;

const FIND: &str = "
    SELECT id, email, first_name, last_name, phone, role, is_active, created_at, updated_at,
           tokens_from, email_verified_at
    FROM users
    JOIN (SELECT id FROM unnest((SELECT $1::uuid[])) AS id LIMIT (SELECT $2::bigint)) AS wanted
      USING (id)";

const FIND_BY_EMAIL: &str = "
    SELECT id, email, first_name, last_name, phone, role, is_active, created_at, updated_at,
           tokens_from, email_verified_at, password_hash
    FROM users WHERE email = $1";

const ACCOUNT: &str = "
    SELECT id, email, first_name, last_name, phone, role, is_active, created_at, updated_at,
           tokens_from, email_verified_at, password_hash
    FROM users WHERE id = $1";

// The audit's columns are the last seven parameters of each statement, as arrays.
const INSERT: &str = "
    WITH made AS (
        INSERT INTO users (id, email, password_hash, first_name, last_name, phone, role, is_active,
                           created_at, updated_at, email_verified_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $19)
        RETURNING id
    )
    INSERT INTO user_audit (user_id, action, from_value, to_value, actor_id, actor_role, request_id,
                            trace_id, at)
    SELECT made.id, entry.*, $18
    FROM made, unnest($11::text[], $12::text[], $13::text[], $14::text[], $15::text[], $16::text[],
                      $17::text[]) AS entry";

const LOG: &str = "
    INSERT INTO user_audit (user_id, action, from_value, to_value, actor_id, actor_role, request_id,
                            trace_id, at)
    SELECT $1, entry.*, $2
    FROM unnest($3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[])
         AS entry";

// The guard on the last change comes first and locks the row; the audit follows only from a row that
// it let through.
const COMMIT: &str = "
    WITH moved AS (
        UPDATE users
        SET first_name = $3, last_name = $4, phone = $5, role = $6, is_active = $7,
            updated_at = $8, tokens_from = $9, password_hash = coalesce($10, password_hash),
            email_verified_at = $18
        WHERE id = $1 AND updated_at = $2
        RETURNING id
    ), logged AS (
        INSERT INTO user_audit (user_id, action, from_value, to_value, actor_id, actor_role,
                                request_id, trace_id, at)
        SELECT moved.id, entry.*, $8
        FROM moved, unnest($11::text[], $12::text[], $13::text[], $14::text[], $15::text[],
                           $16::text[], $17::text[]) AS entry
    )
    SELECT count(*) FROM moved";

// A statement of its own: a session that began while the one before waited for its row is only seen
// by a later one.
const END_SESSIONS: &str = "
    UPDATE sessions SET ended_at = $2, end_reason = $3
    WHERE user_id = $1 AND ended_at IS NULL AND id IS DISTINCT FROM $4";

// The tokens that were issued while the change was under way. A statement of its own for the same
// reason; who issues holds the user's row, so each is either seen here or reads what has changed.
const END_TOKENS: &str = "
    UPDATE users SET tokens_from = greatest(tokens_from, (
        SELECT max(issued_at) FROM refresh_tokens JOIN sessions ON sessions.id = session_id
        WHERE user_id = $1 AND ended_at IS NULL AND issued_at <= $2))
    WHERE id = $1";

// Told at the commit, see `revocations`.
const TELL_OTHERS: &str = "SELECT pg_notify('shopflow_revocations', '')";

// One page and the total in one round trip; the total comes even when the page is empty. A part of
// the filter that is NULL lets everything pass; custom plans drop it.
const LIST: &str = "
    SELECT counted.total, page.*
    FROM (SELECT count(*) AS total FROM users
          WHERE ($1::text IS NULL OR email = $1) AND ($2::text IS NULL OR role = $2)
            AND ($3::boolean IS NULL OR is_active = $3)) AS counted
    LEFT JOIN LATERAL (
        SELECT id, email, first_name, last_name, phone, role, is_active, created_at, updated_at,
               tokens_from, email_verified_at
        FROM users
        WHERE ($1::text IS NULL OR email = $1) AND ($2::text IS NULL OR role = $2)
          AND ($3::boolean IS NULL OR is_active = $3)
        ORDER BY created_at DESC, id DESC
        LIMIT $4 OFFSET $5
    ) AS page ON true
    ORDER BY page.created_at DESC, page.id DESC";

const AUDIT: &str = "
    SELECT counted.total, page.*
    FROM (SELECT count(*) AS total FROM user_audit WHERE user_id = $1) AS counted
    LEFT JOIN LATERAL (
        SELECT id, user_id, action, from_value, to_value, actor_id, actor_role, at, request_id,
               trace_id
        FROM user_audit WHERE user_id = $1
        ORDER BY id DESC
        LIMIT $2 OFFSET $3
    ) AS page ON true
    ORDER BY page.id DESC";

const REPLACE_HASH: &str = "
    UPDATE users SET password_hash = $3 WHERE id = $1 AND password_hash = $2";

/// The columns of a user, also where they come with other things.
#[derive(FromRow)]
pub(crate) struct UserRow {
    id: Uuid,
    email: String,
    first_name: String,
    last_name: String,
    phone: Option<String>,
    role: String,
    is_active: bool,
    created_at: jiff_sqlx::Timestamp,
    updated_at: jiff_sqlx::Timestamp,
    tokens_from: Option<jiff_sqlx::Timestamp>,
    email_verified_at: Option<jiff_sqlx::Timestamp>,
}

#[derive(FromRow)]
struct AccountRow {
    #[sqlx(flatten)]
    user: UserRow,
    password_hash: String,
}

impl Identified for UserRow {
    fn id(&self) -> Uuid {
        self.id
    }
}

impl TryFrom<UserRow> for User {
    type Error = StoreError;

    fn try_from(row: UserRow) -> Result<Self, StoreError> {
        let role = UserRole::from_word(&row.role).ok_or_else(|| {
            let id = row.id.to_string();
            StoreError::Broken(Box::new(Inconsistent {
                table: "users",
                id,
                what: "unknown role",
            }))
        })?;
        Ok(Self {
            id: UserId(row.id),
            email: Email::normalized(&row.email),
            first_name: PersonName::trusted(row.first_name),
            last_name: PersonName::trusted(row.last_name),
            phone: row.phone.map(Phone::trusted),
            role,
            is_active: row.is_active,
            created_at: row.created_at.to_jiff(),
            updated_at: row.updated_at.to_jiff(),
            tokens_from: row.tokens_from.map(jiff_sqlx::Timestamp::to_jiff),
            email_verified_at: row.email_verified_at.map(jiff_sqlx::Timestamp::to_jiff),
        })
    }
}

impl TryFrom<AccountRow> for Account {
    type Error = StoreError;

    fn try_from(row: AccountRow) -> Result<Self, StoreError> {
        Ok(Self {
            user: row.user.try_into()?,
            password_hash: PasswordHash(row.password_hash),
        })
    }
}

/// A line of a list beside the total; without a row when the page is empty.
struct Line<T> {
    total: i64,
    row: Option<T>,
}

impl<'r, T: FromRow<'r, PgRow>> FromRow<'r, PgRow> for Line<T> {
    fn from_row(row: &'r PgRow) -> sqlx::Result<Self> {
        let present = !row.try_get_raw("id")?.is_null();
        Ok(Self {
            total: row.try_get("total")?,
            row: present.then(|| T::from_row(row)).transpose()?,
        })
    }
}

fn page<T, U: TryFrom<T, Error = StoreError>>(lines: Vec<Line<T>>) -> Result<Page<U>, StoreError> {
    let total = lines.first().map_or(0, |line| line.total.unsigned_abs());
    let rows = lines.into_iter().filter_map(|line| line.row);
    let items = rows.map(U::try_from).collect::<Result<_, _>>()?;
    Ok(Page { items, total })
}

#[derive(FromRow)]
struct AuditRow {
    user_id: Uuid,
    action: String,
    from_value: Option<String>,
    to_value: Option<String>,
    actor_id: String,
    actor_role: String,
    at: jiff_sqlx::Timestamp,
    request_id: String,
    trace_id: String,
}

impl TryFrom<AuditRow> for AuditEntry {
    type Error = StoreError;

    fn try_from(row: AuditRow) -> Result<Self, StoreError> {
        Ok(Self {
            user_id: UserId(row.user_id),
            action: row.action,
            from: row.from_value,
            to: row.to_value,
            actor_id: row.actor_id,
            actor_role: row.actor_role,
            at: row.at.to_jiff(),
            request_id: row.request_id.into(),
            trace_id: row.trace_id,
        })
    }
}

/// Binds the seven columns of audit entries.
pub(crate) fn bind_audit<'q>(
    query: Query<'q, Postgres, PgArguments>,
    audit: &[AuditEntry],
) -> Query<'q, Postgres, PgArguments> {
    fn column<T>(audit: &[AuditEntry], value: impl Fn(&AuditEntry) -> T) -> Vec<T> {
        audit.iter().map(value).collect()
    }
    query
        .bind(column(audit, |entry| entry.action.clone()))
        .bind(column(audit, |entry| entry.from.clone()))
        .bind(column(audit, |entry| entry.to.clone()))
        .bind(column(audit, |entry| entry.actor_id.clone()))
        .bind(column(audit, |entry| entry.actor_role.clone()))
        .bind(column(audit, |entry| entry.request_id.to_string()))
        .bind(column(audit, |entry| entry.trace_id.clone()))
}

/// Accounts in the table `users` (PRD §9.1).
#[derive(Clone, Debug)]
pub struct PgUserStore {
    pub(crate) pool: WarmPool,
    finds: Together<Finds<UserRow>>,
}

impl PgUserStore {
    /// The store on this pool.
    #[must_use]
    pub fn new(pool: PgPool) -> Self {
        let pool = WarmPool::new(pool);
        Self {
            finds: Together::new(Finds::new(pool.clone(), FIND)),
            pool,
        }
    }

    /// How many connections it keeps for its next statements; the pool takes them for used ones.
    #[must_use]
    pub fn kept_connections(&self) -> usize {
        self.pool.kept()
    }
}

/// PostgreSQL has no text with a NUL in it, so nobody has such an address.
fn is_nobodys(email: &Email) -> bool {
    email.as_str().contains('\0')
}

#[async_trait]
impl UserStore for PgUserStore {
    async fn find(&self, id: UserId) -> Result<Option<User>, StoreError> {
        let found = self.finds.ask(id.0).await.map_err(auth_error)?;
        found.map(User::try_from).transpose()
    }

    async fn find_by_email(&self, email: &Email) -> Result<Option<Account>, StoreError> {
        if is_nobodys(email) {
            return Ok(None);
        }
        let row = sqlx::query_as::<_, AccountRow>(FIND_BY_EMAIL)
            .bind(email.as_str())
            .fetch_optional(&self.pool)
            .await
            .map_err(auth_error)?;
        row.map(Account::try_from).transpose()
    }

    async fn account(&self, id: UserId) -> Result<Option<Account>, StoreError> {
        sqlx::query_as::<_, AccountRow>(ACCOUNT)
            .bind(id.0)
            .fetch_optional(&self.pool)
            .await
            .map_err(auth_error)?
            .map(Account::try_from)
            .transpose()
    }

    async fn list(
        &self,
        filter: &UserFilter,
        request: PageRequest,
    ) -> Result<Page<User>, StoreError> {
        if filter.email.as_ref().is_some_and(is_nobodys) {
            return Ok(Page {
                items: Vec::new(),
                total: 0,
            });
        }
        let lines: Vec<Line<UserRow>> = sqlx::query_as(LIST)
            .bind(filter.email.as_ref().map(Email::as_str))
            .bind(filter.role.map(|role| role.role().as_str()))
            .bind(filter.is_active)
            .bind(i64::from(request.limit))
            .bind(i64::try_from(request.offset()).unwrap_or(i64::MAX))
            .fetch_all(&self.pool)
            .await
            .map_err(auth_error)?;
        page(lines)
    }

    async fn audit(
        &self,
        id: UserId,
        request: PageRequest,
    ) -> Result<Page<AuditEntry>, StoreError> {
        let lines: Vec<Line<AuditRow>> = sqlx::query_as(AUDIT)
            .bind(id.0)
            .bind(i64::from(request.limit))
            .bind(i64::try_from(request.offset()).unwrap_or(i64::MAX))
            .fetch_all(&self.pool)
            .await
            .map_err(auth_error)?;
        page(lines)
    }

    async fn insert<'a>(
        &self,
        account: &Account,
        audit: &[AuditEntry],
        verification: Option<&'a OneTimeRequest>,
    ) -> Result<(), StoreError> {
        let user = &account.user;
        let insert = sqlx::query(INSERT)
            .bind(user.id.0)
            .bind(user.email.as_str())
            .bind(&account.password_hash.0)
            .bind(user.first_name.as_str())
            .bind(user.last_name.as_str())
            .bind(user.phone.as_ref().map(Phone::as_str))
            .bind(user.role.role().as_str())
            .bind(user.is_active)
            .bind(user.created_at.to_sqlx())
            .bind(user.updated_at.to_sqlx());
        let insert = bind_audit(insert, audit)
            .bind(user.created_at.to_sqlx())
            .bind(user.email_verified_at.map(ToSqlx::to_sqlx));
        let taken = |error: sqlx::Error| match broken_unique(&error) {
            Some("users_email_key") => StoreError::EmailTaken,
            _ => auth_error(error),
        };
        let Some(verification) = verification else {
            return insert.execute(&self.pool).await.map(drop).map_err(taken);
        };
        let mut transaction = self.pool.pool().begin().await.map_err(auth_error)?;
        insert.execute(&mut *transaction).await.map_err(taken)?;
        one_time::request(&mut transaction, verification, user.created_at)
            .await
            .map_err(auth_error)?;
        transaction.commit().await.map_err(auth_error)
    }

    async fn commit(&self, change: &UserChange) -> Result<(), StoreError> {
        let user = &change.user;
        let commit = sqlx::query(COMMIT)
            .bind(user.id.0)
            .bind(change.before.to_sqlx())
            .bind(user.first_name.as_str())
            .bind(user.last_name.as_str())
            .bind(user.phone.as_ref().map(Phone::as_str))
            .bind(user.role.role().as_str())
            .bind(user.is_active)
            .bind(user.updated_at.to_sqlx())
            .bind(user.tokens_from.map(ToSqlx::to_sqlx))
            .bind(change.password_hash.as_ref().map(|hash| hash.0.as_str()));
        let mut transaction = self.pool.pool().begin().await.map_err(auth_error)?;
        let row = bind_audit(commit, &change.audit)
            .bind(user.email_verified_at.map(ToSqlx::to_sqlx))
            .fetch_one(&mut *transaction)
            .await
            .map_err(auth_error)?;
        if row.try_get::<i64, _>(0).map_err(auth_error)? == 0 {
            return Err(StoreError::Conflict);
        }
        if let Some(spending) = change.spends {
            let spent = one_time::spend(&mut transaction, user.id, spending, user.updated_at);
            if !spent.await.map_err(auth_error)? {
                return Err(StoreError::Conflict);
            }
        }
        if let Some(ending) = change.ends {
            sqlx::query(END_SESSIONS)
                .bind(user.id.0)
                .bind(user.updated_at.to_sqlx())
                .bind(ending.reason)
                .bind(ending.except.map(|id| id.0))
                .execute(&mut *transaction)
                .await
                .map_err(auth_error)?;
        }
        if change.ends_tokens() {
            let until = user.updated_at.saturating_add(CHANGE_TAKES);
            sqlx::query(END_TOKENS)
                .bind(user.id.0)
                .bind(until.unwrap_or(user.updated_at).to_sqlx())
                .execute(&mut *transaction)
                .await
                .map_err(auth_error)?;
            sqlx::query(TELL_OTHERS)
                .execute(&mut *transaction)
                .await
                .map_err(auth_error)?;
        }
        transaction.commit().await.map_err(auth_error)
    }

    async fn log(&self, entry: &AuditEntry) -> Result<(), StoreError> {
        let log = sqlx::query(LOG)
            .bind(entry.user_id.0)
            .bind(entry.at.to_sqlx());
        bind_audit(log, std::slice::from_ref(entry))
            .execute(&self.pool)
            .await
            .map(drop)
            .map_err(auth_error)
    }

    async fn replace_hash(
        &self,
        id: UserId,
        old: &PasswordHash,
        new: &PasswordHash,
    ) -> Result<(), StoreError> {
        sqlx::query(REPLACE_HASH)
            .bind(id.0)
            .bind(&old.0)
            .bind(&new.0)
            .execute(&self.pool)
            .await
            .map(drop)
            .map_err(auth_error)
    }
}
