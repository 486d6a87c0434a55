//! Accounts.

use async_trait::async_trait;
use core_auth::{
    Account, AuditEntry, CHANGE_TAKES, Email, Ending, OneTimeRequest, PasswordHash, PersonName,
    Phone, StoreError, User, UserChange, UserFilter, UserRole, UserStore,
};
use core_kernel::{Page, PageRequest, UserId};
use jiff::Timestamp;
use sqlx::{FromRow, SqliteConnection};
use uuid::Uuid;

use crate::database::Database;
use crate::error::{Inconsistent, auth_error, broke_unique};
use crate::one_time;
use crate::value::Micros;

const FIND: &str = "
    SELECT id, email, first_name, last_name, phone, role, is_active, created_at, updated_at,
           tokens_from, email_verified_at
    FROM users WHERE id = ?1";

const FIND_BY_EMAIL: &str = "
    SELECT id, email, first_name, last_name, phone, role, is_active, created_at, updated_at,
           tokens_from, email_verified_at, password_hash
    FROM users WHERE email = ?1";

const ACCOUNT: &str = "
    SELECT id, email, first_name, last_name, phone, role, is_active, created_at, updated_at,
           tokens_from, email_verified_at, password_hash
    FROM users WHERE id = ?1";

const UPDATE: &str = "
    UPDATE users
    SET first_name = ?3, last_name = ?4, phone = ?5, role = ?6, is_active = ?7, updated_at = ?8,
        tokens_from = ?9, password_hash = coalesce(?10, password_hash), email_verified_at = ?11
    WHERE id = ?1 AND updated_at = ?2";

const END_TOKENS: &str = "
    UPDATE users SET tokens_from = max(tokens_from, coalesce((
        SELECT max(issued_at) FROM refresh_tokens JOIN sessions ON sessions.id = session_id
        WHERE user_id = ?1 AND ended_at IS NULL AND issued_at <= ?2), 0))
    WHERE id = ?1";

const END_SESSIONS: &str = "
    UPDATE sessions SET ended_at = ?2, end_reason = ?3
    WHERE user_id = ?1 AND ended_at IS NULL AND id IS NOT ?4";

const LOG: &str = "
    INSERT INTO user_audit (user_id, action, from_value, to_value, actor_id, actor_role, at,
                            request_id, trace_id)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";

// A part of the filter that is NULL lets everything pass.
const LIST: &str = "
    SELECT id, email, first_name, last_name, phone, role, is_active, created_at, updated_at,
           tokens_from, email_verified_at
    FROM users
    WHERE (?1 IS NULL OR email = ?1) AND (?2 IS NULL OR role = ?2)
      AND (?3 IS NULL OR is_active = ?3)
    ORDER BY created_at DESC, id DESC
    LIMIT ?4 OFFSET ?5";

const COUNT: &str = "
    SELECT count(*) FROM users
    WHERE (?1 IS NULL OR email = ?1) AND (?2 IS NULL OR role = ?2)
      AND (?3 IS NULL OR is_active = ?3)";

const AUDIT: &str = "
    SELECT user_id, action, from_value, to_value, actor_id, actor_role, at, request_id, trace_id
    FROM user_audit WHERE user_id = ?1 ORDER BY id DESC LIMIT ?2 OFFSET ?3";

const COUNT_AUDIT: &str = "SELECT count(*) FROM user_audit WHERE user_id = ?1";

const INSERT: &str = "
    INSERT INTO users (id, email, password_hash, first_name, last_name, phone, role, is_active,
                       created_at, updated_at, email_verified_at)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";

const REPLACE_HASH: &str = "
    UPDATE users SET password_hash = ?3 WHERE id = ?1 AND password_hash = ?2";

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
    created_at: Micros,
    updated_at: Micros,
    tokens_from: Option<Micros>,
    email_verified_at: Option<Micros>,
}

#[derive(FromRow)]
struct AccountRow {
    #[sqlx(flatten)]
    user: UserRow,
    password_hash: String,
}

impl TryFrom<UserRow> for User {
    type Error = StoreError;

    fn try_from(row: UserRow) -> Result<Self, StoreError> {
        let unknown_role =
            || StoreError::Broken(Inconsistent::boxed("users", row.id, "unknown role"));
        Ok(Self {
            id: UserId(row.id),
            email: Email::normalized(&row.email),
            first_name: PersonName::trusted(row.first_name),
            last_name: PersonName::trusted(row.last_name),
            phone: row.phone.map(Phone::trusted),
            role: UserRole::from_word(&row.role).ok_or_else(unknown_role)?,
            is_active: row.is_active,
            created_at: row.created_at.0,
            updated_at: row.updated_at.0,
            tokens_from: row.tokens_from.map(|at| at.0),
            email_verified_at: row.email_verified_at.map(|at| at.0),
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

#[derive(FromRow)]
struct AuditRow {
    user_id: Uuid,
    action: String,
    from_value: Option<String>,
    to_value: Option<String>,
    actor_id: String,
    actor_role: String,
    at: Micros,
    request_id: String,
    trace_id: String,
}

impl From<AuditRow> for AuditEntry {
    fn from(row: AuditRow) -> Self {
        Self {
            user_id: UserId(row.user_id),
            action: row.action,
            from: row.from_value,
            to: row.to_value,
            actor_id: row.actor_id,
            actor_role: row.actor_role,
            at: row.at.0,
            request_id: row.request_id.into(),
            trace_id: row.trace_id,
        }
    }
}

/// Writes audit entries.
pub(crate) async fn log(
    connection: &mut SqliteConnection,
    audit: &[AuditEntry],
) -> sqlx::Result<()> {
    for entry in audit {
        sqlx::query(LOG)
            .bind(entry.user_id.0)
            .bind(entry.action.clone())
            .bind(entry.from.clone())
            .bind(entry.to.clone())
            .bind(entry.actor_id.clone())
            .bind(entry.actor_role.clone())
            .bind(Micros(entry.at))
            .bind(entry.request_id.to_string())
            .bind(entry.trace_id.clone())
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

/// Ends the sessions of a user but one.
pub(crate) async fn end_sessions(
    connection: &mut SqliteConnection,
    user: UserId,
    ending: Ending,
    at: Timestamp,
) -> sqlx::Result<()> {
    sqlx::query(END_SESSIONS)
        .bind(user.0)
        .bind(Micros(at))
        .bind(ending.reason)
        .bind(ending.except.map(|id| id.0))
        .execute(connection)
        .await
        .map(drop)
}

/// False when the user has changed since, or is not there.
async fn update(connection: &mut SqliteConnection, change: &UserChange) -> sqlx::Result<bool> {
    let user = &change.user;
    let done = sqlx::query(UPDATE)
        .bind(user.id.0)
        .bind(Micros(change.before))
        .bind(user.first_name.as_str().to_owned())
        .bind(user.last_name.as_str().to_owned())
        .bind(user.phone.as_ref().map(|phone| phone.as_str().to_owned()))
        .bind(user.role.role().as_str())
        .bind(user.is_active)
        .bind(Micros(user.updated_at))
        .bind(user.tokens_from.map(Micros))
        .bind(change.password_hash.as_ref().map(|hash| hash.0.clone()))
        .bind(user.email_verified_at.map(Micros))
        .execute(connection)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// Ends the tokens that were issued while the change was under way.
async fn end_tokens(connection: &mut SqliteConnection, change: &UserChange) -> sqlx::Result<()> {
    let at = change.user.updated_at;
    sqlx::query(END_TOKENS)
        .bind(change.user.id.0)
        .bind(Micros(at.saturating_add(CHANGE_TAKES).unwrap_or(at)))
        .execute(connection)
        .await
        .map(drop)
}

/// Accounts in the table `users`.
#[derive(Clone, Debug)]
pub struct SqliteUserStore(pub(crate) Database);

#[async_trait]
impl UserStore for SqliteUserStore {
    async fn find(&self, id: UserId) -> Result<Option<User>, StoreError> {
        sqlx::query_as::<_, UserRow>(FIND)
            .bind(id.0)
            .fetch_optional(self.0.read())
            .await
            .map_err(auth_error)?
            .map(User::try_from)
            .transpose()
    }

    async fn find_by_email(&self, email: &Email) -> Result<Option<Account>, StoreError> {
        let row = sqlx::query_as::<_, AccountRow>(FIND_BY_EMAIL)
            .bind(email.as_str().to_owned())
            .fetch_optional(self.0.read())
            .await
            .map_err(auth_error)?;
        row.map(Account::try_from).transpose()
    }

    async fn account(&self, id: UserId) -> Result<Option<Account>, StoreError> {
        sqlx::query_as::<_, AccountRow>(ACCOUNT)
            .bind(id.0)
            .fetch_optional(self.0.read())
            .await
            .map_err(auth_error)?
            .map(Account::try_from)
            .transpose()
    }

    async fn list(&self, filter: &UserFilter, page: PageRequest) -> Result<Page<User>, StoreError> {
        let email = filter.email.as_ref().map(|email| email.as_str().to_owned());
        let role = filter.role.map(|role| role.role().as_str());
        let total: i64 = sqlx::query_scalar(COUNT)
            .bind(email.clone())
            .bind(role)
            .bind(filter.is_active)
            .fetch_one(self.0.read())
            .await
            .map_err(auth_error)?;
        let rows: Vec<UserRow> = sqlx::query_as(LIST)
            .bind(email)
            .bind(role)
            .bind(filter.is_active)
            .bind(page.limit)
            .bind(i64::try_from(page.offset()).unwrap_or(i64::MAX))
            .fetch_all(self.0.read())
            .await
            .map_err(auth_error)?;
        let items = rows.into_iter().map(User::try_from);
        Ok(Page {
            items: items.collect::<Result<_, _>>()?,
            total: total.unsigned_abs(),
        })
    }

    async fn audit(&self, id: UserId, page: PageRequest) -> Result<Page<AuditEntry>, StoreError> {
        let total: i64 = sqlx::query_scalar(COUNT_AUDIT)
            .bind(id.0)
            .fetch_one(self.0.read())
            .await
            .map_err(auth_error)?;
        let rows: Vec<AuditRow> = sqlx::query_as(AUDIT)
            .bind(id.0)
            .bind(page.limit)
            .bind(i64::try_from(page.offset()).unwrap_or(i64::MAX))
            .fetch_all(self.0.read())
            .await
            .map_err(auth_error)?;
        Ok(Page {
            items: rows.into_iter().map(AuditEntry::from).collect(),
            total: total.unsigned_abs(),
        })
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
            .bind(user.email.as_str().to_owned())
            .bind(account.password_hash.0.clone())
            .bind(user.first_name.as_str().to_owned())
            .bind(user.last_name.as_str().to_owned())
            .bind(user.phone.as_ref().map(|phone| phone.as_str().to_owned()))
            .bind(user.role.role().as_str())
            .bind(user.is_active)
            .bind(Micros(user.created_at))
            .bind(Micros(user.updated_at))
            .bind(user.email_verified_at.map(Micros));
        let mut transaction = self.0.write().await.map_err(auth_error)?;
        match insert.execute(&mut *transaction).await {
            Ok(_) => {
                log(&mut transaction, audit).await.map_err(auth_error)?;
                if let Some(request) = verification {
                    one_time::request(&mut transaction, request, user.created_at)
                        .await
                        .map_err(auth_error)?;
                }
                transaction.commit().await.map_err(auth_error)
            }
            Err(error) if broke_unique(&error, "users.email") => Err(StoreError::EmailTaken),
            Err(error) => Err(auth_error(error)),
        }
    }

    async fn commit(&self, change: &UserChange) -> Result<(), StoreError> {
        let mut transaction = self.0.write().await.map_err(auth_error)?;
        if !update(&mut transaction, change).await.map_err(auth_error)? {
            return Err(StoreError::Conflict);
        }
        if let Some(spending) = change.spends {
            let (id, at) = (change.user.id, change.user.updated_at);
            let spent = one_time::spend(&mut transaction, id, spending, at);
            if !spent.await.map_err(auth_error)? {
                return Err(StoreError::Conflict);
            }
        }
        if let Some(ending) = change.ends {
            let (id, at) = (change.user.id, change.user.updated_at);
            end_sessions(&mut transaction, id, ending, at)
                .await
                .map_err(auth_error)?;
        }
        if change.ends_tokens() {
            end_tokens(&mut transaction, change)
                .await
                .map_err(auth_error)?;
        }
        log(&mut transaction, &change.audit)
            .await
            .map_err(auth_error)?;
        transaction.commit().await.map_err(auth_error)
    }

    async fn log(&self, entry: &AuditEntry) -> Result<(), StoreError> {
        let mut transaction = self.0.write().await.map_err(auth_error)?;
        log(&mut transaction, std::slice::from_ref(entry))
            .await
            .map_err(auth_error)?;
        transaction.commit().await.map_err(auth_error)
    }

    async fn replace_hash(
        &self,
        id: UserId,
        old: &PasswordHash,
        new: &PasswordHash,
    ) -> Result<(), StoreError> {
        let replace = sqlx::query(REPLACE_HASH)
            .bind(id.0)
            .bind(old.0.clone())
            .bind(new.0.clone());
        let mut transaction = self.0.write().await.map_err(auth_error)?;
        replace
            .execute(&mut *transaction)
            .await
            .map_err(auth_error)?;
        transaction.commit().await.map_err(auth_error)
    }
}
