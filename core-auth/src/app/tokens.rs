//! What is done with tokens: a pair is exchanged for the next, a bearer is told, a session ends.

use core_kernel::{Caller, RequestContext, Role, SessionId, TokenId, UserId};
use jiff::Timestamp;

use super::account::MAX_RACES;
use super::{Auth, RefreshError, ValidateError};
use crate::change::Doing;
use crate::ports::StoreError;
use crate::revocation::Standing;
use crate::session::{Refusal, Rotation, RotationOutcome, StoredRefresh, TokenHash};
use crate::token::{
    AccessClaims, Bearer, Keyring, RefreshClaims, SignError, TokenError, TokenPair,
};
use crate::user::{Email, Identity, User};

impl Auth {
    /// Exchanges a refresh token for a new pair of the same session.
    ///
    /// # Errors
    /// `Token` or `Refused` (both 401), or what failed.
    pub async fn refresh(&self, token: &str) -> Result<TokenPair, RefreshError> {
        let keys = self.keys.current();
        let mut shown = keys.read_refresh(token, self.accounts.clock.now())?;
        let mut races = 0;
        loop {
            let (issue, user) = self.rotate(&shown).await?;
            if user.counts_token_of(issue.access.issued_ms()) || races == MAX_RACES {
                return Ok(issue.sign(&keys, &user)?);
            }
            // The account changed while this waited: the access token was ended before anybody had it.
            // Nobody has the refresh token either, so it is exchanged in its turn.
            shown = issue.claims;
            races += 1;
        }
    }

    /// Exchanges a refresh token for the next of its session; with the user, as they now are.
    async fn rotate(&self, shown: &RefreshClaims) -> Result<(Issue, User), RefreshError> {
        // Not younger than `now`, by which a change of the account knows the pair.
        let access = TokenId::generate();
        let now = self.accounts.clock.now();
        let issue = Issue::new(shown.sub, shown.sid, access, now);
        let rotation = Rotation {
            session_id: shown.sid,
            presented: TokenHash::of(shown.jti),
            next: issue.stored(),
            at: now,
            grace: self.settings.refresh_grace,
        };
        match self.sessions.rotate(&rotation).await? {
            RotationOutcome::Rotated(user) => Ok((issue, *user)),
            RotationOutcome::Refused(refusal) => {
                if refusal == Refusal::Reused {
                    self.revocations.session_ended(shown.sid, now);
                    tracing::warn!(
                        user_id = %shown.sub, session_id = %shown.sid,
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
}

/// A pair of tokens about to be issued.
pub(super) struct Issue {
    pub(super) claims: RefreshClaims,
    /// The access token's id. Its time is that of the pair's making: it has to be older than what
    /// was read of the account, so that no change of the account can be missed.
    access: TokenId,
    at: Timestamp,
}

impl Issue {
    pub(super) fn new(user: UserId, session: SessionId, access: TokenId, at: Timestamp) -> Self {
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

    pub(super) fn stored(&self) -> StoredRefresh {
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

    pub(super) fn sign(self, keys: &Keyring, user: &User) -> Result<TokenPair, SignError> {
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
