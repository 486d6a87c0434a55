//! Accounts.

use async_trait::async_trait;
use core_auth::{
    Account, Email, PasswordHash, PersonName, Phone, StoreError, User, UserRole, UserStore,
};
use core_kernel::UserId;
use jiff_sqlx::ToSqlx;
use sqlx::FromRow;
use sqlx::postgres::PgPool;
use uuid::Uuid;

use crate::error::{Inconsistent, auth_error, broken_unique};

const FIND: &str = "
    SELECT id, email, first_name, last_name, phone, role, is_active, created_at, updated_at
    FROM users WHERE id = $1";

const FIND_BY_EMAIL: &str = "
    SELECT id, email, first_name, last_name, phone, role, is_active, created_at, updated_at,
           password_hash
    FROM users WHERE email = $1";

const INSERT: &str = "
    INSERT INTO users (id, email, password_hash, first_name, last_name, phone, role, is_active,
                       created_at, updated_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";

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
        })
    }
}

/// Accounts in the table `users` (PRD §9.1).
#[derive(Clone, Debug)]
pub struct PgUserStore {
    pool: PgPool,
}

impl PgUserStore {
    /// The store on this pool.
    #[must_use]
    pub fn new(pool: PgPool) -> Self {
        Self { pool }
    }
}

#[async_trait]
impl UserStore for PgUserStore {
    async fn find(&self, id: UserId) -> Result<Option<User>, StoreError> {
        sqlx::query_as::<_, UserRow>(FIND)
            .bind(id.0)
            .fetch_optional(&self.pool)
            .await
            .map_err(auth_error)?
            .map(User::try_from)
            .transpose()
    }

    async fn find_by_email(&self, email: &Email) -> Result<Option<Account>, StoreError> {
        // PostgreSQL has no text with a NUL in it, so nobody has such an address.
        if email.as_str().contains('\0') {
            return Ok(None);
        }
        let row = sqlx::query_as::<_, AccountRow>(FIND_BY_EMAIL)
            .bind(email.as_str())
            .fetch_optional(&self.pool)
            .await
            .map_err(auth_error)?;
        row.map(|row| {
            Ok(Account {
                user: row.user.try_into()?,
                password_hash: PasswordHash(row.password_hash),
            })
        })
        .transpose()
    }

    async fn insert(&self, account: &Account) -> Result<(), StoreError> {
        let user = &account.user;
        sqlx::query(INSERT)
            .bind(user.id.0)
            .bind(user.email.as_str())
            .bind(&account.password_hash.0)
            .bind(user.first_name.as_str())
            .bind(user.last_name.as_str())
            .bind(user.phone.as_ref().map(Phone::as_str))
            .bind(user.role.role().as_str())
            .bind(user.is_active)
            .bind(user.created_at.to_sqlx())
            .bind(user.updated_at.to_sqlx())
            .execute(&self.pool)
            .await
            .map(drop)
            .map_err(|error| match broken_unique(&error) {
                Some("users_email_key") => StoreError::EmailTaken,
                _ => auth_error(error),
            })
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
