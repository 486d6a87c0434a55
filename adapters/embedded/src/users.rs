//! Accounts.

use async_trait::async_trait;
use core_auth::{
    Account, Email, PasswordHash, PersonName, Phone, StoreError, User, UserRole, UserStore,
};
use core_kernel::UserId;
use sqlx::FromRow;
use uuid::Uuid;

use crate::database::Database;
use crate::error::{Inconsistent, auth_error, broke_unique};
use crate::value::Micros;

const FIND: &str = "
    SELECT id, email, first_name, last_name, phone, role, is_active, created_at, updated_at
    FROM users WHERE id = ?1";

const FIND_BY_EMAIL: &str = "
    SELECT id, email, first_name, last_name, phone, role, is_active, created_at, updated_at,
           password_hash
    FROM users WHERE email = ?1";

const INSERT: &str = "
    INSERT INTO users (id, email, password_hash, first_name, last_name, phone, role, is_active,
                       created_at, updated_at)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";

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
        })
    }
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
            .bind(Micros(user.updated_at));
        let mut transaction = self.0.write().await.map_err(auth_error)?;
        match insert.execute(&mut *transaction).await {
            Ok(_) => transaction.commit().await.map_err(auth_error),
            Err(error) if broke_unique(&error, "users.email") => Err(StoreError::EmailTaken),
            Err(error) => Err(auth_error(error)),
        }
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
