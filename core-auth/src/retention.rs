//! Purging accounts (PRD §10.6): what was deactivated 90 days ago goes for good.

use std::sync::Arc;

use async_trait::async_trait;
use core_kernel::{
    Caller, Progress, RequestContext, Retained, RetentionError, RunBy, Tally, UserId, days_before,
};
use jiff::Timestamp;

use crate::change::Doing;
use crate::ports::StoreError;

/// How long a deactivated account is kept.
const KEPT_DAYS: i64 = 90;

/// Accounts purged in one transaction, so that none is long.
const BATCH: u32 = 200;

/// A user whose account was purged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Purged {
    /// Where it stands among the purged, from 1, with gaps; later ones have larger numbers.
    pub position: i64,
    /// Who it was.
    pub user_id: UserId,
    /// When it was purged.
    pub at: Timestamp,
}

/// Lets go of accounts for good.
///
/// An account counts as deactivated from the time at which it was, or from its last change if that
/// was earlier, which only a change by hand can make it. One that is active again does not count.
#[async_trait]
pub trait UserPurge: Send + Sync {
    /// How many accounts have been deactivated since `before` or longer.
    async fn due(&self, before: Timestamp) -> Result<u64, StoreError>;

    /// Deletes up to `limit` of them with their sessions and refresh tokens, and adds an audit entry
    /// `purged` for each, in one transaction. The audit of an account stays. How many it were; 0
    /// when none is left.
    ///
    /// An account that is reactivated at the same time is either kept, active, or gone, and then the
    /// reactivation finds no account.
    async fn purge(&self, before: Timestamp, limit: u32, by: &Doing<'_>)
    -> Result<u64, StoreError>;

    /// Up to `limit` purged users after this position (0: from the first), in order.
    async fn purged(&self, after: i64, limit: u32) -> Result<Vec<Purged>, StoreError>;
}

/// The accounts under PRD §10.6.
#[derive(Clone)]
pub struct UserRetention(pub Arc<dyn UserPurge>);

#[async_trait]
impl Retained for UserRetention {
    async fn due(&self, now: Timestamp) -> Result<Tally, RetentionError> {
        let due = self.0.due(days_before(now, KEPT_DAYS)).await;
        let purged = due.map_err(RetentionError::of("counting accounts"))?;
        Ok(Tally {
            purged,
            ..Tally::default()
        })
    }

    async fn run(
        &self,
        now: Timestamp,
        by: &RunBy,
        progress: &dyn Progress,
    ) -> Result<(), RetentionError> {
        let context = RequestContext::generate();
        let doing = Doing {
            actor_id: by.id.clone(),
            actor_role: by.role,
            at: now,
            context: &context,
        };
        loop {
            let before = days_before(now, KEPT_DAYS);
            let purged = self.0.purge(before, BATCH, &doing).await;
            let purged = purged.map_err(RetentionError::of("purging accounts"))?;
            if purged == 0 {
                return Ok(());
            }
            let tally = Tally {
                purged,
                ..Tally::default()
            };
            progress.made(tally).await?;
        }
    }
}

/// Why a caller is not told who was purged.
#[derive(Debug, thiserror::Error)]
pub enum PurgedError {
    /// It is for services and admins (403).
    #[error("not for this caller")]
    Forbidden,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Tells the other services whose data they are to let go of.
#[derive(Clone)]
pub struct PurgedUsers(pub Arc<dyn UserPurge>);

impl PurgedUsers {
    /// Whether a caller may ask at all.
    ///
    /// # Errors
    /// `Forbidden` for customers.
    pub fn may_ask(&self, caller: &Caller) -> Result<(), PurgedError> {
        match caller {
            Caller::Customer(_) => Err(PurgedError::Forbidden),
            Caller::Admin(_) | Caller::Service(_) => Ok(()),
        }
    }

    /// Up to `limit` purged users after this position, in order.
    ///
    /// # Errors
    /// `Forbidden` for customers, or what failed.
    pub async fn list(
        &self,
        caller: &Caller,
        after: i64,
        limit: u32,
    ) -> Result<Vec<Purged>, PurgedError> {
        self.may_ask(caller)?;
        Ok(self.0.purged(after, limit).await?)
    }
}
