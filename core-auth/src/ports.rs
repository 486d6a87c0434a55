//! What this core needs from outside.

use async_trait::async_trait;
use core_kernel::{BoxError, SessionId, UserId};

use crate::password::{Password, PasswordHash, Verdict};
use crate::session::{AccessState, NewSession, Rotation, RotationOutcome};
use crate::user::{Account, Email, User};

/// Why a store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another account has this address; nothing was written.
    #[error("the email is taken")]
    EmailTaken,
    /// The store does not answer; it may be tried again later (503).
    #[error("the user store does not answer")]
    Unavailable(#[source] BoxError),
    /// What is stored cannot be understood, or the store refused (500).
    #[error("the user store failed")]
    Broken(#[source] BoxError),
}

/// Keeps accounts.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait UserStore: Send + Sync {
    /// The user with this id, or `None`.
    async fn find(&self, id: UserId) -> Result<Option<User>, StoreError>;

    /// The account with this address, or `None`.
    async fn find_by_email(&self, email: &Email) -> Result<Option<Account>, StoreError>;

    /// Adds an account.
    ///
    /// # Errors
    /// `EmailTaken`, however close the race.
    async fn insert(&self, account: &Account) -> Result<(), StoreError>;

    /// Puts a new hash of the same password in the place of `old`. Does nothing when the hash is
    /// no longer `old`: then the password was changed meanwhile.
    async fn replace_hash(
        &self,
        id: UserId,
        old: &PasswordHash,
        new: &PasswordHash,
    ) -> Result<(), StoreError>;
}

/// Keeps sessions and the hashes of their refresh tokens. Each call is one transaction.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait SessionStore: Send + Sync {
    /// Begins a session.
    async fn start(&self, session: &NewSession) -> Result<(), StoreError>;

    /// Exchanges a refresh token for the next one of its session, by the rule of
    /// [`Rotation::check_use`]. A token used again ends the session in the same transaction; of
    /// several calls with one token at once, exactly one is the first.
    async fn rotate(&self, rotation: &Rotation) -> Result<RotationOutcome, StoreError>;

    /// What decides whether access tokens of a session still count; `None` for an unknown one.
    async fn access(&self, id: SessionId) -> Result<Option<AccessState>, StoreError>;
}

/// Why a password was not hashed.
#[derive(Debug, thiserror::Error)]
pub enum HashError {
    /// Too many wait already (503).
    #[error("too many passwords are being hashed")]
    Busy,
    /// The stored hash is of no use, or hashing failed (500).
    #[error("the password could not be hashed")]
    Broken(#[source] BoxError),
}

/// Runs [`crate::PasswordCrypto`] where it does not hold up other work, and not too often at once.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait PasswordHasher: Send + Sync {
    /// The hash of a password.
    async fn hash(&self, password: Password) -> Result<PasswordHash, HashError>;

    /// Compares a password with a stored hash; without one it does the same work in vain.
    async fn verify(
        &self,
        password: Password,
        stored: Option<PasswordHash>,
    ) -> Result<Verdict, HashError>;
}
