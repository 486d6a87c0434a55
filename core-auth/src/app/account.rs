//! What is done with accounts that are there: profiles, passwords, deactivation, and what admins
//! see.

use core_kernel::{Caller, Page, PageRequest, RequestContext, UserId};

use super::Auth;
use crate::change::{AuditEntry, Doing, Patch, UserChange};
use crate::password::{Password, Verdict};
use crate::ports::{HashError, StoreError, UserFilter};
use crate::throttle::TooManyFailures;
use crate::user::{Identity, User};

/// Why an account cannot be changed, or users cannot be listed.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// Not for this caller (403), whether or not the user exists.
    #[error("not for this caller")]
    Forbidden,
    /// No user has this id (404).
    #[error("no such user")]
    NotFound,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a password cannot be changed.
#[derive(Debug, thiserror::Error)]
pub enum PasswordChangeError {
    /// It is another's (403).
    #[error("the account belongs to another user")]
    Forbidden,
    /// The current password is wrong (403).
    #[error("the current password is wrong")]
    WrongPassword,
    /// Too many wrong ones before; try later (429).
    #[error(transparent)]
    TooManyFailures(#[from] TooManyFailures),
    /// No password was hashed.
    #[error(transparent)]
    Hash(#[from] HashError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// How often a change that lost a race is decided anew.
pub(super) const MAX_RACES: usize = 4;

impl Auth {
    /// Changes a profile: one's own, or anyone's for admins. Who changes someone else's is told
    /// that they may not, whether or not the user exists.
    ///
    /// # Errors
    /// `Forbidden` (another's, or a part that is for admins), `NotFound`, or what failed.
    pub async fn update(
        &self,
        caller: &Caller,
        id: UserId,
        patch: &Patch,
        context: &RequestContext,
    ) -> Result<User, ChangeError> {
        let admin = matches!(caller, Caller::Admin(_));
        if !admin && (caller.user_id() != Some(id) || patch.is_for_admins()) {
            return Err(ChangeError::Forbidden);
        }
        self.apply(caller, id, patch, context).await
    }

    /// Makes a change that the caller may make, however many others change the same account.
    async fn apply(
        &self,
        caller: &Caller,
        id: UserId,
        patch: &Patch,
        context: &RequestContext,
    ) -> Result<User, ChangeError> {
        let doing = Doing::by(caller, self.accounts.clock.now(), context);
        let changed = self.accounts.change(id, patch, &doing).await?;
        if let Some(change) = &changed.change {
            self.note(change);
        }
        Ok(changed.user)
    }

    /// Deactivates an account: one's own, or anyone's for admins (PRD §10.6). It stays, but nobody
    /// can use it.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`, or what failed.
    pub async fn deactivate(
        &self,
        caller: &Caller,
        id: UserId,
        context: &RequestContext,
    ) -> Result<(), ChangeError> {
        if !matches!(caller, Caller::Admin(_)) && caller.user_id() != Some(id) {
            return Err(ChangeError::Forbidden);
        }
        let patch = Patch {
            is_active: Some(false),
            ..Patch::default()
        };
        self.apply(caller, id, &patch, context).await.map(drop)
    }

    /// Changes one's own password. The session that asks goes on; all others end, and so do the
    /// access tokens issued before.
    ///
    /// # Errors
    /// `Forbidden` for another's, `WrongPassword`, or what failed.
    pub async fn change_password(
        &self,
        who: &Identity,
        id: UserId,
        current: Password,
        new: Password,
        context: &RequestContext,
    ) -> Result<(), PasswordChangeError> {
        if who.caller.user_id() != Some(id) {
            return Err(PasswordChangeError::Forbidden);
        }
        let account = self.accounts.users.account(id).await?;
        let mut account = account.ok_or(PasswordChangeError::Forbidden)?;
        // A stolen access token is no way around the slowing down of guesses.
        let attempt = self.throttle.begin(&account.user.email).await?;
        let verified = account.password_hash.clone();
        let stored = Some(verified.clone());
        let verdict = self.accounts.hasher.verify(current, stored).await?;
        if !matches!(verdict, Verdict::Right { .. }) {
            let doing = Doing::by(&who.caller, self.accounts.clock.now(), context);
            attempt.fail(Some(id), &doing).await?;
            return Err(PasswordChangeError::WrongPassword);
        }
        attempt.succeed().await?;
        let hash = self.accounts.hasher.hash(new).await?;
        let mut races = 0;
        loop {
            let doing = Doing::by(&who.caller, self.accounts.clock.now(), context);
            let change = account
                .user
                .with_password(hash.clone(), who.session, &doing);
            match self.accounts.users.commit(&change).await {
                Ok(()) => {
                    self.note(&change);
                    break;
                }
                Err(StoreError::Conflict) if races < MAX_RACES => races += 1,
                Err(error) => return Err(error.into()),
            }
            let again = self.accounts.users.account(id).await?;
            // The password that was verified is the current one no more.
            let again = again.filter(|again| again.password_hash == verified);
            account = again.ok_or(PasswordChangeError::WrongPassword)?;
        }
        tracing::info!(user_id = %id, "password changed");
        Ok(())
    }

    /// Lets a change count at once on this instance.
    pub(super) fn note(&self, change: &UserChange) {
        if let Some(from) = change.user.tokens_from {
            self.revocations.tokens_ended(change.user.id, from);
        }
    }

    /// One page of all users, for admins.
    ///
    /// # Errors
    /// `Forbidden`, or what failed.
    pub async fn users(
        &self,
        caller: &Caller,
        filter: &UserFilter,
        page: PageRequest,
    ) -> Result<Page<User>, ChangeError> {
        Self::may_administer(caller)?;
        Ok(self.accounts.list(filter, page).await?)
    }

    /// One page of what was done with an account, for admins; also when it was purged since.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`, or what failed.
    pub async fn audit(
        &self,
        caller: &Caller,
        id: UserId,
        page: PageRequest,
    ) -> Result<Page<AuditEntry>, ChangeError> {
        Self::may_administer(caller)?;
        self.accounts.audit(id, page).await
    }

    /// Whether a caller is an admin.
    ///
    /// # Errors
    /// `Forbidden` for all others.
    pub fn may_administer(caller: &Caller) -> Result<(), ChangeError> {
        match caller {
            Caller::Admin(_) => Ok(()),
            Caller::Customer(_) | Caller::Service(_) => Err(ChangeError::Forbidden),
        }
    }
}
