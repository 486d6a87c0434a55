//! The use cases. HTTP and the command line both call these, so each exists once.

mod account;
mod mailbox;
mod operate;

use std::sync::Arc;

use core_kernel::{Caller, Clock, RequestContext, Role, SessionId, TokenId, UserId};
use jiff::{SignedDuration, Timestamp};

use crate::change::{AuditEntry, Doing};
use crate::keys::Keys;
use crate::one_time::{OneTimeRequest, Purpose};
use crate::password::{Password, PasswordHash, Verdict};
use crate::ports::{HashError, PasswordHasher, SessionStore, StoreError, UserStore};
use crate::revocation::{Revocations, Standing};
use crate::session::{NewSession, Refusal, Rotation, RotationOutcome, StoredRefresh, TokenHash};
use crate::throttle::{AuditQueue, LoginThrottle, Throttle, TooManyFailures};
use crate::token::{
    AccessClaims, Bearer, Keyring, RefreshClaims, SignError, TokenError, TokenPair,
};
use crate::user::{Account, Email, Identity, Registration, User, UserRole};

pub use account::{ChangeError, PasswordChangeError};
pub use mailbox::{Mailbox, OneTimeError, TellError};
pub use operate::{Changed, OperateError, SessionSummary, Sessions};

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

/// What an operator can set.
#[derive(Clone, Copy, Debug)]
pub struct AuthSettings {
    /// How long after its first use a refresh token still gets a pair (`REFRESH_REUSE_GRACE_SECONDS`).
    pub refresh_grace: SignedDuration,
    /// Whether who registers is sent a mail to verify the address by (`EMAIL_VERIFICATION`). Without
    /// it, who registers counts as verified.
    pub email_verification: bool,
    /// Whether only verified addresses may log in (`REQUIRE_VERIFIED_EMAIL`).
    pub require_verified_email: bool,
}

impl Default for AuthSettings {
    fn default() -> Self {
        Self {
            refresh_grace: SignedDuration::ZERO,
            email_verification: true,
            require_verified_email: false,
        }
    }
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
        self.make(new, role, by, None).await
    }

    /// Makes an account; with `keys` its address has yet to be verified, by a token of theirs.
    async fn make(
        &self,
        new: Registration,
        role: UserRole,
        by: &Doing<'_>,
        keys: Option<&Keyring>,
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
            email_verified_at: keys.is_none().then_some(now),
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
        let verification = keys
            .map(|keys| OneTimeRequest::new(keys, purpose, Some(account.user.id), by))
            .transpose()
            .map_err(|error| RegisterError::Store(StoreError::Broken(error.into())))?;
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
        let keys = self.settings.email_verification;
        let keys = keys.then(|| self.keys.current());
        let made = self
            .accounts
            .make(new, UserRole::Customer, &by, keys.as_deref())
            .await?;
        if keys.is_some() {
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

    /// Exchanges a refresh token for a new pair of the same session.
    ///
    /// # Errors
    /// `Token` or `Refused` (both 401), or what failed.
    pub async fn refresh(&self, token: &str) -> Result<TokenPair, RefreshError> {
        // Not younger than `now`, by which a change of the account knows the pair.
        let access = TokenId::generate();
        let now = self.accounts.clock.now();
        let keys = self.keys.current();
        let presented = keys.read_refresh(token, now)?;
        let issue = Issue::new(presented.sub, presented.sid, access, now);
        let rotation = Rotation {
            session_id: presented.sid,
            presented: TokenHash::of(presented.jti),
            next: issue.stored(),
            at: now,
            grace: self.settings.refresh_grace,
        };
        match self.sessions.rotate(&rotation).await? {
            RotationOutcome::Rotated(user) => Ok(issue.sign(&keys, &user)?),
            RotationOutcome::Refused(refusal) => {
                if refusal == Refusal::Reused {
                    self.revocations.session_ended(presented.sid, now);
                    tracing::warn!(
                        user_id = %presented.sub, session_id = %presented.sid,
                        "refresh token used again, session ended"
                    );
                }
                Err(refusal.into())
            }
        }
    }

    /// Who a bearer token belongs to, if it still counts.
    ///
    /// # Errors
    /// `Token` (401), or what failed.
    pub async fn validate(&self, token: &str) -> Result<Identity, ValidateError> {
        let claims = match self
            .keys
            .current()
            .read_bearer(token, self.accounts.clock.now())?
        {
            Bearer::Service(claims) => {
                let caller = Caller::Service(claims.sub);
                return Ok(Identity {
                    caller,
                    email: None,
                    session: None,
                });
            }
            Bearer::User(claims) => claims,
        };
        let issued = claims.jti.issued_ms();
        match self.revocations.standing(claims.sid, claims.sub, issued) {
            Standing::Counts => {}
            Standing::Revoked(reason) => return Err(TokenError(reason).into()),
            Standing::Unknown => self.ask_store(&claims).await?,
        }
        let caller = match claims.role {
            Role::Admin => Caller::Admin(claims.sub),
            Role::Customer => Caller::Customer(claims.sub),
            Role::Service => return Err(TokenError("a service with a session").into()),
        };
        Ok(Identity {
            caller,
            // The address of an account never changes.
            email: Some(Email::normalized(&claims.email)),
            session: Some(claims.sid),
        })
    }

    /// Whether this is a valid service token. That needs no store.
    #[must_use]
    pub fn is_service(&self, token: &str) -> bool {
        let bearer = self
            .keys
            .current()
            .read_bearer(token, self.accounts.clock.now());
        matches!(bearer, Ok(Bearer::Service(_)))
    }

    /// What the state in memory would say, from the store itself.
    async fn ask_store(&self, claims: &AccessClaims) -> Result<(), ValidateError> {
        let state = self.sessions.access(claims.sid).await?;
        let state = state.ok_or(TokenError("unknown session"))?;
        let user = state.user;
        let revoked = if state.ended || user.id != claims.sub {
            "session ended"
        } else if !user.is_active {
            "account deactivated"
        } else if user.role.role() != claims.role {
            // Whoever changed it should have ended the tokens; by hand nobody did.
            "role changed"
        } else if !user.counts_token_of(claims.jti.issued_ms()) {
            "issued before a change of the account"
        } else {
            return Ok(());
        };
        Err(TokenError(revoked).into())
    }

    /// Ends the session that a token belongs to; nothing for a service.
    ///
    /// # Errors
    /// What failed.
    pub async fn logout(&self, who: &Identity) -> Result<(), StoreError> {
        let Some(session) = who.session else {
            return Ok(());
        };
        let at = self.accounts.clock.now();
        let ended = self.sessions.end(session, "logged out", at, &[]);
        ended.await?;
        self.revocations.session_ended(session, at);
        tracing::info!(session_id = %session, "session ended");
        Ok(())
    }

    /// Ends all sessions of the caller; nothing for a service.
    ///
    /// # Errors
    /// What failed.
    pub async fn logout_all(
        &self,
        who: &Identity,
        context: &RequestContext,
    ) -> Result<(), StoreError> {
        let Some(user) = who.caller.user_id() else {
            return Ok(());
        };
        let doing = Doing::by(&who.caller, self.accounts.clock.now(), context);
        let entry = doing.entry(user, "sessions_ended");
        self.sessions
            .end_all(user, "logged out everywhere", doing.at, &[entry])
            .await?;
        self.revocations.tokens_ended(user, doing.at);
        tracing::info!(user_id = %user, "all sessions ended");
        Ok(())
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

/// A pair of tokens about to be issued.
struct Issue {
    claims: RefreshClaims,
    /// The access token's id. Its time is that of the pair's making: it has to be older than what
    /// was read of the account, so that no change of the account can be missed.
    access: TokenId,
    at: Timestamp,
}

impl Issue {
    fn new(user: UserId, session: SessionId, access: TokenId, at: Timestamp) -> Self {
        let iat = at.as_second();
        let claims = RefreshClaims {
            sub: user,
            iat,
            exp: iat + Keyring::REFRESH_TTL.as_secs(),
            jti: TokenId::generate(),
            sid: session,
        };
        Self { claims, access, at }
    }

    fn stored(&self) -> StoredRefresh {
        StoredRefresh {
            hash: TokenHash::of(self.claims.jti),
            issued_at: self.at,
            // Thirty days from now are within what a timestamp can hold.
            expires_at: self
                .at
                .checked_add(Keyring::REFRESH_TTL)
                .unwrap_or(Timestamp::MAX),
        }
    }

    fn sign(self, keys: &Keyring, user: &User) -> Result<TokenPair, SignError> {
        let expires_in = Keyring::ACCESS_TTL.as_secs();
        let access = AccessClaims {
            sub: user.id,
            email: user.email.as_str().to_owned(),
            role: user.role.role(),
            iat: self.claims.iat,
            exp: self.claims.iat + expires_in,
            jti: self.access,
            sid: self.claims.sid,
        };
        Ok(TokenPair {
            access_token: keys.sign_access(&access)?,
            refresh_token: keys.sign_refresh(&self.claims)?,
            expires_in,
        })
    }
}
