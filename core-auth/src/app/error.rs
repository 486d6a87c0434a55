//! Why a use case did not do what was asked for.

use crate::ports::{HashError, StoreError};
use crate::session::Refusal;
use crate::throttle::TooManyFailures;
use crate::token::{SignError, TokenError};

/// Why an account was not made.
#[derive(Debug, thiserror::Error)]
pub enum RegisterError {
    /// The address has one already (409).
    #[error("the email is taken")]
    EmailTaken,
    /// The password could not be hashed.
    #[error(transparent)]
    Hash(#[from] HashError),
    /// The store failed.
    #[error(transparent)]
    Store(StoreError),
}

/// Why a login failed.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    /// Unknown address or wrong password; which of the two nobody learns (401).
    #[error("the credentials are wrong")]
    InvalidCredentials,
    /// The right password of a deactivated account (403).
    #[error("the account is deactivated")]
    Deactivated,
    /// The right password of an account whose address has yet to be verified (403).
    #[error("the email is not verified")]
    Unverified,
    /// The account was tried too often in vain (429).
    #[error(transparent)]
    TooManyFailures(#[from] TooManyFailures),
    /// The password could not be hashed.
    #[error(transparent)]
    Hash(#[from] HashError),
    /// A token could not be signed.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a refresh token got no new pair.
#[derive(Debug, thiserror::Error)]
pub enum RefreshError {
    /// It is no refresh token of ours, or expired (401).
    #[error(transparent)]
    Token(#[from] TokenError),
    /// It does not count any more (401).
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// A token could not be signed.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a bearer token was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum ValidateError {
    /// It is no token of ours, expired, or no longer counts (401).
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a profile cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    /// It is another's (403), whether or not it exists.
    #[error("the profile belongs to another user")]
    Forbidden,
    /// No user has this id (404).
    #[error("no such user")]
    NotFound,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}
