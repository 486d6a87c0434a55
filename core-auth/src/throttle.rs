//! Slowing down who guesses the password of one account, from however many addresses.
//!
//! The rule: five failures are free. From the sixth within 15 minutes on, an account may be tried
//! once after 1 s, then after 2 s, 4 s and so on up to 60 s. A success forgets the failures. There
//! is no hard lock, so nobody can shut another one out for good; and unknown accounts are treated as
//! known ones, so nobody learns which there are.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use core_kernel::UserId;
use ring::digest::{SHA256, digest};

use crate::change::{AuditEntry, Doing};
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

/// 32 hex digits.
impl fmt::Display for AccountKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// The numbers of the rule, for adapters.
#[derive(Clone, Copy, Debug)]
pub struct SlowDown;

impl SlowDown {
    /// Failures that are older do not count.
    pub const WINDOW: Duration = Duration::from_secs(15 * 60);
    /// The failure from which on there are waits.
    pub const FROM: usize = 6;
    /// The first wait; each is twice the one before.
    pub const FIRST: Duration = Duration::from_secs(1);
    /// The longest wait.
    pub const LONGEST: Duration = Duration::from_secs(60);
    /// With so many failures the wait is the longest, so that no more need be kept.
    pub const KEPT: usize = Self::FROM + 6;
}

/// A try that may go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// There were few failures, so there may be other tries at the same time.
    Free,
    /// The only one until the next is due.
    Only,
}

/// What has become of an account with a try that may be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// Nothing new.
    AsBefore,
    /// With this failure it begins to be slowed down. Of all who count together, one is told so.
    Slowed,
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
    ) -> Result<Told, TooManyFailures>;
}

/// Takes audit entries that are written after the answer: an account that has something to write
/// must not answer later than one that is not there.
#[cfg_attr(feature = "testing", mockall::automock)]
pub trait AuditQueue: Send + Sync {
    /// Sees to it that the entry is written; does not wait for it.
    fn write_soon(&self, entry: AuditEntry);
}

/// The throttle, if there is one.
#[derive(Clone, Default)]
pub(crate) struct Throttle(Option<Brake>);

#[derive(Clone)]
struct Brake {
    throttle: Arc<dyn LoginThrottle>,
    audit: Arc<dyn AuditQueue>,
}

/// A try under way. One that is given up without an end is neither failure nor success.
pub(crate) struct Attempt<'a>(Option<(&'a Brake, AccountKey, Turn)>);

impl Throttle {
    pub(crate) fn new(throttle: Arc<dyn LoginThrottle>, audit: Arc<dyn AuditQueue>) -> Self {
        Self(Some(Brake { throttle, audit }))
    }

    pub(crate) async fn begin(&self, email: &Email) -> Result<Attempt<'_>, TooManyFailures> {
        let Some(brake) = &self.0 else {
            return Ok(Attempt(None));
        };
        let account = AccountKey::of(email);
        let turn = brake.throttle.begin(account).await?;
        Ok(Attempt(Some((brake, account, turn))))
    }
}

impl Attempt<'_> {
    /// The password was right.
    pub(crate) async fn succeed(self) -> Result<(), TooManyFailures> {
        if let Some((brake, account, turn)) = self.0 {
            brake.throttle.end(account, turn, true).await?;
        }
        Ok(())
    }

    /// The password was wrong. That the account is slowed down from now on is written down, if it
    /// is there.
    pub(crate) async fn fail(
        self,
        known: Option<UserId>,
        doing: &Doing<'_>,
    ) -> Result<(), TooManyFailures> {
        let Some((brake, account, turn)) = self.0 else {
            return Ok(());
        };
        let told = brake.throttle.end(account, turn, false).await?;
        if let (Told::Slowed, Some(id)) = (told, known) {
            brake.audit.write_soon(doing.entry(id, "login_slowed"));
        }
        Ok(())
    }
}
