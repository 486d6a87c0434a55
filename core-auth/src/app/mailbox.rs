//! What is done by one-time tokens: another password, and addresses verified. Who asks for a mail
//! never learns whether the address has an account.

use std::sync::Arc;

use core_kernel::{Caller, RequestContext, TokenId, Wake};
use jiff::SignedDuration;

use super::Auth;
use super::account::MAX_RACES;
use crate::change::{Doing, UserChange};
use crate::one_time::{OneTimeRequest, OneTimeToken, Purpose, StoredOneTime};
use crate::password::Password;
use crate::ports::{HashError, OneTimeStore, StoreError};
use crate::user::{Account, Email, User};

/// No sooner is another mail of the same kind sent to one account.
const MAIL_INTERVAL: SignedDuration = SignedDuration::from_secs(60);

/// Where requests for mails go.
#[derive(Clone)]
pub struct Mailbox {
    /// Keeps the tokens, with the events that ask for the mails.
    pub tokens: Arc<dyn OneTimeStore>,
    /// Woken whenever events were committed.
    pub relay: Arc<dyn Wake>,
}

/// Why a one-time token did nothing.
#[derive(Debug, thiserror::Error)]
pub enum OneTimeError {
    /// It is none of ours, was used, has expired, or its account is gone or deactivated (401).
    #[error("the token does not work")]
    Invalid,
    /// The password could not be hashed.
    #[error(transparent)]
    Hash(#[from] HashError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a one-time token is not told.
#[derive(Debug, thiserror::Error)]
pub enum TellError {
    /// Only services are told (403).
    #[error("not for this caller")]
    Forbidden,
    /// No token has this id (404).
    #[error("no such token")]
    NotFound,
    /// It was used, or has expired, or was made by a secret that we no longer have (410).
    #[error("the token works no more")]
    Gone,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Auth {
    /// Asks for a mail with a token for another password. It goes out only if the address has an
    /// active account that was sent none within the last minute; the answer is always the same.
    ///
    /// # Errors
    /// What failed.
    pub async fn forgot_password(
        &self,
        email: &Email,
        context: &RequestContext,
    ) -> Result<(), StoreError> {
        let doing = Doing::anonymous(self.accounts.clock.now(), context);
        self.ask_for_mail(Purpose::PasswordReset, email, |_| true, &doing)
            .await
    }

    /// The same, asked for by an operator, as the audit tells.
    ///
    /// # Errors
    /// What failed.
    pub async fn mail_password_reset(
        &self,
        email: &Email,
        by: &Doing<'_>,
    ) -> Result<(), StoreError> {
        self.ask_for_mail(Purpose::PasswordReset, email, |_| true, by)
            .await
    }

    /// Asks for another mail with a token that verifies the address. It goes out only if that is
    /// still to be done; the answer is always the same.
    ///
    /// # Errors
    /// What failed.
    pub async fn resend_verification(
        &self,
        email: &Email,
        context: &RequestContext,
    ) -> Result<(), StoreError> {
        let open = |user: &User| user.email_verified_at.is_none();
        let doing = Doing::anonymous(self.accounts.clock.now(), context);
        self.ask_for_mail(Purpose::EmailVerification, email, open, &doing)
            .await
    }

    /// The same reads and writes are made whether or not a mail goes out.
    async fn ask_for_mail(
        &self,
        purpose: Purpose,
        email: &Email,
        wanted: impl Fn(&User) -> bool + Send,
        doing: &Doing<'_>,
    ) -> Result<(), StoreError> {
        let account = self.accounts.users.find_by_email(email).await?;
        let owner = account
            .map(|Account { user, .. }| user)
            .filter(|user| user.is_active && wanted(user))
            .map(|user| user.id);
        let request = OneTimeRequest::new(&self.keys.current(), purpose, owner, doing)
            .map_err(|error| StoreError::Broken(error.into()))?;
        let not_since = doing.at.saturating_sub(MAIL_INTERVAL).unwrap_or(doing.at);
        self.mailbox.tokens.request(&request, not_since).await?;
        self.mailbox.relay.wake();
        Ok(())
    }

    /// Sets another password by a token that was mailed. It works once; all sessions end.
    ///
    /// # Errors
    /// `Invalid`, or what failed.
    pub async fn reset_password(
        &self,
        token: &OneTimeToken,
        new: Password,
        context: &RequestContext,
    ) -> Result<(), OneTimeError> {
        // Before the hash, which costs more than guessers are to get for nothing.
        self.good(token, Purpose::PasswordReset).await?;
        let hash = self.accounts.hasher.hash(new).await?;
        let user = self
            .redeem(token, Purpose::PasswordReset, context, |user, doing| {
                user.with_reset_password(hash.clone(), token.hash(), doing)
            })
            .await?;
        tracing::info!(user_id = %user.id, "password reset");
        Ok(())
    }

    /// Verifies an address by the token that was mailed to it. It works once.
    ///
    /// # Errors
    /// `Invalid`, or what failed.
    pub async fn verify_email(
        &self,
        token: &OneTimeToken,
        context: &RequestContext,
    ) -> Result<(), OneTimeError> {
        let user = self
            .redeem(token, Purpose::EmailVerification, context, |user, doing| {
                user.with_verified_email(token.hash(), doing)
            })
            .await?;
        tracing::info!(user_id = %user.id, "email verified");
        Ok(())
    }

    /// Makes the change that a token is for, however many others change the same account.
    async fn redeem(
        &self,
        token: &OneTimeToken,
        purpose: Purpose,
        context: &RequestContext,
        change: impl Fn(&User, &Doing<'_>) -> UserChange + Send,
    ) -> Result<User, OneTimeError> {
        let mut races = 0;
        loop {
            let stored = self.good(token, purpose).await?;
            let owner = stored.user_id.ok_or(OneTimeError::Invalid)?;
            let user = self.accounts.users.find(owner).await?;
            let user = user.filter(|user| user.is_active);
            let user = user.ok_or(OneTimeError::Invalid)?;
            let doing = Doing {
                actor_id: user.id.to_string(),
                actor_role: user.role.role().as_str(),
                ..Doing::anonymous(self.accounts.clock.now(), context)
            };
            let change = change(&user, &doing);
            match self.accounts.users.commit(&change).await {
                Ok(()) => {
                    self.note(&change);
                    return Ok(change.user);
                }
                Err(StoreError::Conflict) if races < MAX_RACES => races += 1,
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// The token as it is stored, if it works now.
    async fn good(
        &self,
        token: &OneTimeToken,
        purpose: Purpose,
    ) -> Result<StoredOneTime, OneTimeError> {
        let now = self.accounts.clock.now();
        let stored = self.mailbox.tokens.find_by_hash(token.hash()).await?;
        stored
            .filter(|stored| stored.purpose == purpose && stored.is_good(now))
            .ok_or(OneTimeError::Invalid)
    }

    /// Tells a service the token that a mail is to carry, as often as it asks.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`, `Gone`, or what failed.
    pub async fn one_time_token(
        &self,
        caller: &Caller,
        id: TokenId,
    ) -> Result<OneTimeToken, TellError> {
        let Caller::Service(_) = caller else {
            return Err(TellError::Forbidden);
        };
        let stored = self.mailbox.tokens.find(id).await?;
        let stored = stored.filter(|stored| stored.user_id.is_some());
        let stored = stored.ok_or(TellError::NotFound)?;
        if !stored.is_good(self.accounts.clock.now()) {
            return Err(TellError::Gone);
        }
        let token = self.keys.current().one_time_of(id, stored.hash);
        token.ok_or(TellError::Gone)
    }

    /// Forgets up to `limit` tokens that expired more than a day ago; how many they were.
    ///
    /// # Errors
    /// What failed.
    pub async fn prune_one_time_tokens(&self, limit: u32) -> Result<u64, StoreError> {
        let now = self.accounts.clock.now();
        let before = now.saturating_sub(SignedDuration::from_hours(24));
        self.mailbox
            .tokens
            .prune(before.unwrap_or(now), limit)
            .await
    }
}
