//! What is done with anybody's account by who may: admins over HTTP, and operators at the command
//! line, who show no token.

use std::sync::Arc;

use core_kernel::{Clock, Page, PageRequest, SessionId, UserId};
use jiff::Timestamp;

use super::Accounts;
use super::account::{ChangeError, MAX_RACES};
use crate::change::{AuditEntry, Doing, Patch, UserChange};
use crate::password::Password;
use crate::ports::{HashError, SessionStore, StoreError, UserFilter};
use crate::user::{Email, User, UserRole};

/// Why an operator's change was not made.
#[derive(Debug, thiserror::Error)]
pub enum OperateError {
    /// Nobody has this id or address.
    #[error("no such user")]
    NotFound,
    /// Nobody could administer the shop any more.
    #[error("this is the last active admin")]
    LastAdmin,
    /// No password was hashed.
    #[error(transparent)]
    Hash(#[from] HashError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<ChangeError> for OperateError {
    fn from(error: ChangeError) -> Self {
        match error {
            // Whoever operates may.
            ChangeError::NotFound | ChangeError::Forbidden => Self::NotFound,
            ChangeError::Store(error) => Self::Store(error),
        }
    }
}

/// A user, and what was changed to make them so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// The user as they now are.
    pub user: User,
    /// `None` when they were so already, and nothing was written.
    pub change: Option<UserChange>,
}

impl Accounts {
    /// The user with this id or address.
    ///
    /// # Errors
    /// `NotFound`, or what failed.
    pub async fn named(&self, name: &str) -> Result<User, OperateError> {
        let found = match name.parse::<UserId>() {
            Ok(id) => self.users.find(id).await?,
            Err(_) => {
                let account = self.users.find_by_email(&Email::normalized(name)).await?;
                account.map(|account| account.user)
            }
        };
        found.ok_or(OperateError::NotFound)
    }

    /// One page of all users.
    ///
    /// # Errors
    /// What failed.
    pub async fn list(
        &self,
        filter: &UserFilter,
        page: PageRequest,
    ) -> Result<Page<User>, StoreError> {
        self.users.list(filter, page).await
    }

    /// One page of what was done with an account, newest first; also when it was purged since.
    ///
    /// # Errors
    /// `NotFound`, or what failed.
    pub async fn audit(
        &self,
        id: UserId,
        page: PageRequest,
    ) -> Result<Page<AuditEntry>, ChangeError> {
        let audit = self.users.audit(id, page).await?;
        if audit.total == 0 && self.users.find(id).await?.is_none() {
            return Err(ChangeError::NotFound);
        }
        Ok(audit)
    }

    /// Makes a change that `by` may make, however many others change the same account.
    ///
    /// # Errors
    /// `NotFound`, or what failed.
    pub(super) async fn change(
        &self,
        id: UserId,
        patch: &Patch,
        by: &Doing<'_>,
    ) -> Result<Changed, ChangeError> {
        let mut races = 0;
        loop {
            let user = self.users.find(id).await?;
            let user = user.ok_or(ChangeError::NotFound)?;
            let now = Doing {
                at: self.clock.now(),
                ..by.clone()
            };
            let Some(change) = user.patch(patch, &now) else {
                return Ok(Changed { user, change: None });
            };
            match self.users.commit(&change).await {
                Ok(()) => {
                    tracing::info!(user_id = %id, actor = %by.actor_id, "account changed");
                    return Ok(Changed {
                        user: change.user.clone(),
                        change: Some(change),
                    });
                }
                Err(StoreError::Conflict) if races < MAX_RACES => races += 1,
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Makes a change for an operator. Without `force` the last active admin stays one: a guard
    /// against mistakes, not against two operators who take away the last two at the same moment.
    ///
    /// # Errors
    /// `NotFound`, `LastAdmin`, or what failed.
    pub async fn operate(
        &self,
        id: UserId,
        patch: &Patch,
        force: bool,
        by: &Doing<'_>,
    ) -> Result<Changed, OperateError> {
        if !force {
            let user = self.users.find(id).await?.ok_or(OperateError::NotFound)?;
            let stays = patch.role != Some(UserRole::Customer) && patch.is_active != Some(false);
            if !stays && self.is_last_admin(&user).await? {
                return Err(OperateError::LastAdmin);
            }
        }
        Ok(self.change(id, patch, by).await?)
    }

    async fn is_last_admin(&self, user: &User) -> Result<bool, StoreError> {
        if user.role != UserRole::Admin || !user.is_active {
            return Ok(false);
        }
        let admins = UserFilter {
            role: Some(UserRole::Admin),
            is_active: Some(true),
            ..UserFilter::default()
        };
        let one = PageRequest { page: 1, limit: 1 };
        Ok(self.users.list(&admins, one).await?.total <= 1)
    }

    /// Sets a password for an operator, who need not know the current one. All sessions end.
    ///
    /// # Errors
    /// `NotFound`, or what failed.
    pub async fn set_password(
        &self,
        id: UserId,
        new: Password,
        by: &Doing<'_>,
    ) -> Result<(), OperateError> {
        let hash = self.hasher.hash(new).await?;
        let mut races = 0;
        loop {
            let user = self.users.find(id).await?.ok_or(OperateError::NotFound)?;
            let now = Doing {
                at: self.clock.now(),
                ..by.clone()
            };
            let change = user.with_password(hash.clone(), None, &now);
            match self.users.commit(&change).await {
                Ok(()) => return Ok(()),
                Err(StoreError::Conflict) if races < MAX_RACES => races += 1,
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// A session as people see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionSummary {
    /// Its id.
    pub id: SessionId,
    /// When the login was.
    pub created_at: Timestamp,
    /// When its latest tokens were issued.
    pub renewed_at: Timestamp,
    /// When it ended, if it did.
    pub ended_at: Option<Timestamp>,
    /// Why it ended.
    pub end_reason: Option<String>,
}

/// Why sessions ended, for the record.
const BY_OPERATOR: &str = "ended by an operator";

/// Anybody's sessions, for who may see them.
#[derive(Clone)]
pub struct Sessions {
    store: Arc<dyn SessionStore>,
    clock: Arc<dyn Clock>,
}

impl Sessions {
    /// The use cases on this store.
    #[must_use]
    pub fn new(store: Arc<dyn SessionStore>, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock }
    }

    /// A user's latest sessions, newest first, at most `limit`.
    ///
    /// # Errors
    /// What failed.
    pub async fn list(&self, user: UserId, limit: u32) -> Result<Vec<SessionSummary>, StoreError> {
        self.store.list(user, limit).await
    }

    /// Ends one session of a user, and with it its tokens; whether it had not ended before.
    ///
    /// # Errors
    /// `NotFound` when the user has no such session, or what failed.
    pub async fn end(
        &self,
        user: UserId,
        session: SessionId,
        by: &Doing<'_>,
    ) -> Result<bool, OperateError> {
        let state = self.store.access(session).await?;
        if state.is_none_or(|state| state.user.id != user) {
            return Err(OperateError::NotFound);
        }
        let now = Doing {
            at: self.clock.now(),
            ..by.clone()
        };
        let entry = AuditEntry {
            from: Some(session.to_string()),
            ..now.entry(user, "session_ended")
        };
        let audit = [entry];
        let ended = self.store.end(session, BY_OPERATOR, now.at, &audit);
        Ok(ended.await?)
    }

    /// Ends all sessions of a user, and the access tokens issued so far.
    ///
    /// # Errors
    /// What failed.
    pub async fn end_all(&self, user: UserId, by: &Doing<'_>) -> Result<(), StoreError> {
        let now = Doing {
            at: self.clock.now(),
            ..by.clone()
        };
        let entry = now.entry(user, "sessions_ended");
        self.store
            .end_all(user, BY_OPERATOR, now.at, &[entry])
            .await
    }
}
