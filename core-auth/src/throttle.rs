//! Slowing down who guesses the password of one account, from however many addresses.
//!
//! The rule: five failures are free. From the sixth within 15 minutes on, an account may be tried
//! once after 1 s, then after 2 s, 4 s and so on up to 60 s. A success forgets the failures. There
//! is no hard lock, so nobody can shut another one out for good; and unknown accounts are treated as
//! known ones, so nobody learns which there are.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use ring::digest::{SHA256, digest};

use crate::user::Email;

/// An account by its address, whether or not it exists: 128 bits of a hash, so that addresses of
/// any length take the same room and none is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AccountKey(u128);

impl AccountKey {
    /// The account with this address.
    #[must_use]
    pub fn of(email: &Email) -> Self {
        let hash = digest(&SHA256, email.as_str().as_bytes());
        let bits = hash.as_ref().iter().take(16);
        Self(bits.fold(0, |bits, byte| bits << 8 | u128::from(*byte)))
    }
}

/// A try that may go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// There were few failures, so there may be other tries at the same time.
    Free,
    /// The only one until the next is due.
    Only,
}

/// The account must not be tried before this time has passed (429).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many failed logins")]
pub struct TooManyFailures(pub Duration);

/// Counts failed logins by account. It never fails: without its store it lets everybody try, since
/// the limit by address still holds.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait LoginThrottle: Send + Sync {
    /// Whether the account may be tried now; asked before any work is done. Of tries at the same
    /// time, one is the only one.
    ///
    /// # Errors
    /// How long to wait.
    async fn begin(&self, account: AccountKey) -> Result<Turn, TooManyFailures>;

    /// What became of the try, and whether that may be told. Where free tries at the same time were
    /// failures, the rest of them is told to wait, the right one too: nobody gets more guesses by
    /// making them all at once.
    ///
    /// # Errors
    /// How long to wait.
    async fn end(
        &self,
        account: AccountKey,
        turn: Turn,
        right: bool,
    ) -> Result<(), TooManyFailures>;
}

/// The throttle, if there is one.
#[derive(Clone, Default)]
pub(crate) struct Throttle(pub(crate) Option<Arc<dyn LoginThrottle>>);

/// A try under way. One that is given up without an end is neither failure nor success.
pub(crate) struct Attempt<'a>(Option<(&'a dyn LoginThrottle, AccountKey, Turn)>);

impl Throttle {
    pub(crate) async fn begin(&self, email: &Email) -> Result<Attempt<'_>, TooManyFailures> {
        let Some(throttle) = &self.0 else {
            return Ok(Attempt(None));
        };
        let account = AccountKey::of(email);
        let turn = throttle.begin(account).await?;
        Ok(Attempt(Some((&**throttle, account, turn))))
    }
}

impl Attempt<'_> {
    pub(crate) async fn end(self, right: bool) -> Result<(), TooManyFailures> {
        match self.0 {
            Some((throttle, account, turn)) => throttle.end(account, turn, right).await,
            None => Ok(()),
        }
    }
}
