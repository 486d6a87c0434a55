//! The use cases. HTTP and the command line both call these, so each exists once.

mod account;
mod error;
mod mailbox;
mod operate;
mod tokens;

use std::sync::Arc;

use core_kernel::{Caller, Clock, RequestContext, SessionId, TokenId, UserId};
use jiff::SignedDuration;

use crate::change::{AuditEntry, Doing};
use crate::keys::Keys;
use crate::one_time::{OneTimeRequest, Purpose};
use crate::password::{Password, PasswordHash, Verdict};
use crate::ports::{PasswordHasher, SessionStore, StoreError, UserStore};
use crate::revocation::Revocations;
use crate::session::NewSession;
use crate::throttle::{AuditQueue, LoginThrottle, Throttle};
use crate::token::{Keyring, TokenPair};
use crate::user::{Account, Email, Registration, User, UserRole};
use tokens::Issue;

pub use account::{ChangeError, PasswordChangeError};
pub use error::{LoginError, ProfileError, RefreshError, RegisterError, ValidateError};
pub use mailbox::{Mailbox, OneTimeError, TellError};
pub use operate::{Changed, OperateError, SessionSummary, Sessions};

/// What becomes of the address of who registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EmailVerification {
    /// A mail goes out to verify it by.
    Mailed,
    /// It is not verified, and no mail goes out: nothing carries mails.
    Unmailed,
    /// It counts as verified.
    Off,
}

/// What an operator can set.
#[derive(Clone, Copy, Debug)]
pub struct AuthSettings {
    /// How long after its first use a refresh token still gets a pair (`REFRESH_REUSE_GRACE_SECONDS`).
    pub refresh_grace: SignedDuration,
    /// What becomes of the address of who registers (`EMAIL_VERIFICATION`).
    pub email_verification: EmailVerification,
    /// Whether only verified addresses may log in (`REQUIRE_VERIFIED_EMAIL`).
    pub require_verified_email: bool,
}

impl Default for AuthSettings {
    fn default() -> Self {
        Self {
            refresh_grace: SignedDuration::ZERO,
            email_verification: EmailVerification::Mailed,
            require_verified_email: false,
        }
    }
}

/// The address of an account that is made.
enum Address<'a> {
    /// Somebody vouches for it.
    Verified,
    /// Nobody knows whose it is.
    Unverified,
    /// The same, and a token by these keys is mailed there.
    Mailed(&'a Keyring),
}

/// Making accounts: what needs no keys and no sessions.
#[derive(Clone)]
pub struct Accounts {
    users: Arc<dyn UserStore>,
    hasher: Arc<dyn PasswordHasher>,
    clock: Arc<dyn Clock>,
}

impl Accounts {
    /// The use cases on this store.
    #[must_use]
    pub fn new(
        users: Arc<dyn UserStore>,
        hasher: Arc<dyn PasswordHasher>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            users,
            hasher,
            clock,
        }
    }

    /// Makes an account for somebody whose address the maker vouches for: an operator's use case.
    ///
    /// # Errors
    /// `EmailTaken`, or what failed.
    pub async fn register(
        &self,
        new: Registration,
        role: UserRole,
        by: &Doing<'_>,
    ) -> Result<User, RegisterError> {
        self.make(new, role, by, &Address::Verified).await
    }

    /// Makes an account, and what belongs to its address.
    async fn make(
        &self,
        new: Registration,
        role: UserRole,
        by: &Doing<'_>,
        address: &Address<'_>,
    ) -> Result<User, RegisterError> {
        // The hash comes first, so that a taken address costs as much as a free one.
        let password_hash = self.hasher.hash(new.password).await?;
        let now = self.clock.now();
        let user = User {
            id: UserId::generate(),
            email: new.email,
            first_name: new.first_name,
            last_name: new.last_name,
            phone: new.phone,
            role,
            is_active: true,
            created_at: now,
            updated_at: now,
            tokens_from: None,
            email_verified_at: matches!(address, Address::Verified).then_some(now),
        };
        let account = Account {
            user,
            password_hash,
        };
        let entry = AuditEntry {
            to: Some(role.role().as_str().to_owned()),
            ..by.entry(account.user.id, "created")
        };
        let purpose = Purpose::EmailVerification;
        let verification = match address {
            Address::Mailed(keys) => {
                OneTimeRequest::new(keys, purpose, Some(account.user.id), by).map(Some)
            }
            Address::Unverified | Address::Verified => Ok(None),
        };
        let verification =
            verification.map_err(|error| RegisterError::Store(StoreError::Broken(error.into())))?;
        let made = self
            .users
            .insert(&account, &[entry], verification.as_ref())
            .await;
        match made {
            Ok(()) => {
                tracing::info!(user_id = %account.user.id, role = role.role().as_str(), "account made");
                Ok(account.user)
            }
            Err(StoreError::EmailTaken) => Err(RegisterError::EmailTaken),
            Err(error) => Err(RegisterError::Store(error)),
        }
    }
}

/// Everything that can be done with accounts and tokens.
#[derive(Clone)]
pub struct Auth {
    accounts: Accounts,
    sessions: Arc<dyn SessionStore>,
    mailbox: Mailbox,
    keys: Keys,
    revocations: Arc<Revocations>,
    settings: AuthSettings,
    throttle: Throttle,
}

impl Auth {
    /// The use cases on these stores. `mailbox` leads to the mails, `revocations` spares the store from being asked for every
    /// token, for as long as somebody feeds it.
    #[must_use]
    pub fn new(
        accounts: Accounts,
        sessions: Arc<dyn SessionStore>,
        mailbox: Mailbox,
        keys: Keys,
        revocations: Arc<Revocations>,
        settings: AuthSettings,
    ) -> Self {
        Self {
            accounts,
            sessions,
            mailbox,
            keys,
            revocations,
            settings,
            throttle: Throttle::default(),
        }
    }

    /// The same, slowing down who guesses passwords; `audit` learns whose account it is, if it is
    /// there.
    #[must_use]
    pub fn with_throttle(
        mut self,
        throttle: Arc<dyn LoginThrottle>,
        audit: Arc<dyn AuditQueue>,
    ) -> Self {
        self.throttle = Throttle::new(throttle, audit);
        self
    }

    /// Makes a customer's account, and asks for the mail by which its address is verified.
    ///
    /// # Errors
    /// Those of [`Accounts::register`].
    pub async fn register(
        &self,
        new: Registration,
        context: &RequestContext,
    ) -> Result<User, RegisterError> {
        let by = Doing::anonymous(self.accounts.clock.now(), context);
        let role = UserRole::Customer;
        let keys = self.keys.current();
        let address = match self.settings.email_verification {
            EmailVerification::Mailed => Address::Mailed(&keys),
            EmailVerification::Unmailed => Address::Unverified,
            EmailVerification::Off => Address::Verified,
        };
        let made = self.accounts.make(new, role, &by, &address).await?;
        if let Address::Mailed(_) = address {
            self.mailbox.relay.wake();
        }
        Ok(made)
    }

    /// Begins a session for the owner of these credentials.
    ///
    /// # Errors
    /// `InvalidCredentials`, `Deactivated` and `Unverified` (only to the right password),
    /// `TooManyFailures`, or what failed.
    pub async fn login(
        &self,
        email: &Email,
        password: Password,
        context: &RequestContext,
    ) -> Result<TokenPair, LoginError> {
        let attempt = self.throttle.begin(email).await?;
        // Before the account is read: what changes it from here on ends this token too.
        let access = TokenId::generate();
        let account = self.accounts.users.find_by_email(email).await?;
        let stored = account
            .as_ref()
            .map(|account| account.password_hash.clone());
        let verdict = self
            .accounts
            .hasher
            .verify(password.clone(), stored)
            .await?;
        let known = account.as_ref().map(|account| account.user.id);
        let (Some(account), Verdict::Right { outdated }) = (account, verdict) else {
            let doing = Doing::anonymous(self.accounts.clock.now(), context);
            attempt.fail(known, &doing).await?;
            return Err(LoginError::InvalidCredentials);
        };
        attempt.succeed().await?;
        if !account.user.is_active {
            return Err(LoginError::Deactivated);
        }
        if self.settings.require_verified_email && account.user.email_verified_at.is_none() {
            return Err(LoginError::Unverified);
        }
        if outdated {
            self.renew_hash(account.user.id, &account.password_hash, password)
                .await;
        }
        let now = self.accounts.clock.now();
        let issue = Issue::new(account.user.id, SessionId::generate(), access, now);
        self.sessions
            .start(&NewSession {
                id: issue.claims.sid,
                user_id: account.user.id,
                seen: account.user.updated_at,
                at: now,
                refresh: issue.stored(),
            })
            .await?;
        tracing::info!(user_id = %account.user.id, session_id = %issue.claims.sid, "session begun");
        Ok(issue.sign(&self.keys.current(), &account.user)?)
    }

    /// A weak hash is replaced while the password is known. The login stands even if that fails.
    async fn renew_hash(&self, id: UserId, old: &PasswordHash, password: Password) {
        let renewed = match self.accounts.hasher.hash(password).await {
            Ok(new) => self
                .accounts
                .users
                .replace_hash(id, old, &new)
                .await
                .map_err(|e| e.to_string()),
            Err(error) => Err(error.to_string()),
        };
        match renewed {
            Ok(()) => tracing::info!(user_id = %id, "password hash renewed"),
            Err(error) => tracing::warn!(user_id = %id, error, "password hash not renewed"),
        }
    }

    /// A profile: one's own, or anyone's for admins and services (PRD §4.1).
    ///
    /// # Errors
    /// `Forbidden` for another's, `NotFound`, or what failed.
    pub async fn profile(&self, caller: &Caller, id: UserId) -> Result<User, ProfileError> {
        if !caller.may_read(id) {
            return Err(ProfileError::Forbidden);
        }
        self.accounts
            .users
            .find(id)
            .await?
            .ok_or(ProfileError::NotFound)
    }
}
