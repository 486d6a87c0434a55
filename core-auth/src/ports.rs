//! What this core needs from outside.

use async_trait::async_trait;
use core_kernel::{BoxError, Page, PageRequest, SessionId, TokenId, UserId};
use jiff::{SignedDuration, Timestamp};

use crate::app::SessionSummary;
use crate::change::{AuditEntry, UserChange};
use crate::one_time::{OneTimeRequest, StoredOneTime};
use crate::password::{Password, PasswordHash, Verdict};
use crate::revocation::Revoked;
use crate::session::{AccessState, NewSession, Rotation, RotationOutcome, TokenHash};
use crate::user::{Account, Email, User, UserRole};

/// Why a store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another account has this address; nothing was written.
    #[error("the email is taken")]
    EmailTaken,
    /// The account was changed by another meanwhile; nothing was written.
    #[error("the account was changed by another")]
    Conflict,
    /// The store does not answer; it may be tried again later (503).
    #[error("the user store does not answer")]
    Unavailable(#[source] BoxError),
    /// What is stored cannot be understood, or the store refused (500).
    #[error("the user store failed")]
    Broken(#[source] BoxError),
}

/// Which users a list holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserFilter {
    /// With exactly this address.
    pub email: Option<Email>,
    /// With this role.
    pub role: Option<UserRole>,
    /// Active, or not.
    pub is_active: Option<bool>,
}

/// Keeps accounts, and the audit of what was done with them.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait UserStore: Send + Sync {
    /// The user with this id, or `None`.
    async fn find(&self, id: UserId) -> Result<Option<User>, StoreError>;

    /// The account with this address, or `None`.
    async fn find_by_email(&self, email: &Email) -> Result<Option<Account>, StoreError>;

    /// The account with this id, or `None`.
    async fn account(&self, id: UserId) -> Result<Option<Account>, StoreError>;

    /// One page of the users that pass the filter, newest first.
    async fn list(&self, filter: &UserFilter, page: PageRequest) -> Result<Page<User>, StoreError>;

    /// One page of what was done with an account, newest first.
    async fn audit(&self, id: UserId, page: PageRequest) -> Result<Page<AuditEntry>, StoreError>;

    /// Adds an account, its audit entries and, if any, the request that its address be verified:
    /// all or nothing.
    ///
    /// # Errors
    /// `EmailTaken`, however close the race.
    async fn insert<'a>(
        &self,
        account: &Account,
        audit: &[AuditEntry],
        verification: Option<&'a OneTimeRequest>,
    ) -> Result<(), StoreError>;

    /// Replaces a user, ends sessions and one-time tokens, and adds audit entries: all or nothing.
    /// The address never changes; the password only if the change has another.
    ///
    /// A change that ends tokens ends those too that were issued while it was under way, by what
    /// the user was before: where a session that goes on was given a refresh token later than
    /// `tokens_from`, but no more than [`CHANGE_TAKES`] later, that time is stored in its place.
    ///
    /// # Errors
    /// `Conflict` if the user has changed since `change.before`, or is not there, or the one-time
    /// token was used meanwhile; nothing is written.
    async fn commit(&self, change: &UserChange) -> Result<(), StoreError>;

    /// Adds an audit entry to which no change belongs.
    async fn log(&self, entry: &AuditEntry) -> Result<(), StoreError>;

    /// Puts a new hash of the same password in the place of `old`. Does nothing when the hash is
    /// no longer `old`: then the password was changed meanwhile.
    async fn replace_hash(
        &self,
        id: UserId,
        old: &PasswordHash,
        new: &PasswordHash,
    ) -> Result<(), StoreError>;
}

/// No change of an account is under way for longer. It is no longer either, so that the clock of an
/// instance that is fast does not end what others will issue.
pub const CHANGE_TAKES: SignedDuration = SignedDuration::from_secs(5);

/// Keeps one-time tokens by their hashes. Each call is one transaction.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait OneTimeStore: Send + Sync {
    /// Adds a token with its audit entry and its event: all or nothing.
    ///
    /// When the user has been given one of the same purpose after `not_since`, the token is stored
    /// as nobody's, without audit and event: mails cannot be asked for without end, and the answer
    /// takes the same time.
    async fn request(
        &self,
        request: &OneTimeRequest,
        not_since: Timestamp,
    ) -> Result<(), StoreError>;

    /// The token with this id, or `None`.
    async fn find(&self, id: TokenId) -> Result<Option<StoredOneTime>, StoreError>;

    /// The token with this hash, or `None`.
    async fn find_by_hash(&self, hash: TokenHash) -> Result<Option<StoredOneTime>, StoreError>;

    /// Forgets up to `limit` tokens that expired before `before`; how many they were.
    async fn prune(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError>;
}

/// Keeps sessions and the hashes of their refresh tokens. Each call is one transaction.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait SessionStore: Send + Sync {
    /// Begins a session.
    ///
    /// # Errors
    /// `Conflict` if the user has changed since `session.seen`, or is not active: a login must not
    /// outlive a change of password or a deactivation that came while it was checked.
    async fn start(&self, session: &NewSession) -> Result<(), StoreError>;

    /// Exchanges a refresh token for the next one of its session, by the rule of
    /// [`Rotation::check_use`]. A token used again ends the session in the same transaction; of
    /// several calls with one token at once, exactly one is the first.
    async fn rotate(&self, rotation: &Rotation) -> Result<RotationOutcome, StoreError>;

    /// Ends a session and adds the audit entries, in one transaction; whether it ended by this call.
    /// One that had ended stays as it was, and nothing is added.
    async fn end(
        &self,
        id: SessionId,
        reason: &str,
        at: Timestamp,
        audit: &[AuditEntry],
    ) -> Result<bool, StoreError>;

    /// Ends all sessions of a user and the access tokens issued up to `at`, and adds the audit
    /// entries, in one transaction.
    async fn end_all(
        &self,
        user: UserId,
        reason: &'static str,
        at: Timestamp,
        audit: &[AuditEntry],
    ) -> Result<(), StoreError>;

    /// A user's latest sessions, newest first, at most `limit`; those that ended as well.
    async fn list(&self, user: UserId, limit: u32) -> Result<Vec<SessionSummary>, StoreError>;

    /// Sessions that ended at `since` or later, and users whose `tokens_from` is then or later.
    async fn revoked_since(&self, since: Timestamp) -> Result<Revoked, StoreError>;

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
