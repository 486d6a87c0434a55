//! Calling the auth service.

use std::time::Duration;

use async_trait::async_trait;
use core_kernel::{
    BoxError, Caller, RequestContext, Role, TokenId, TokenVerifier, UserId, VerifyError,
};
use core_notify::{Contact, ContactReader, PurgedPage, PurgedUsers, ReadError, TokenReader};
use http::{Method, StatusCode};
use secrecy::SecretString;
use serde::Deserialize;

use super::{HttpClient, Peer, ServiceToken, UrlError, bearer};

const VALIDATE: (&str, &str) = ("/auth/validate", "/auth/validate");

/// The auth service, as the others see it.
#[derive(Clone, Debug)]
pub struct AuthClient(Peer);

#[derive(Deserialize)]
struct Validated {
    valid: bool,
    user: ValidatedUser,
}

#[derive(Deserialize)]
struct ValidatedUser {
    id: String,
    role: Role,
}

impl Validated {
    fn caller(self) -> Result<Caller, BoxError> {
        if !self.valid {
            return Err("a 200 that says the token is not valid".into());
        }
        Ok(match self.user.role {
            Role::Customer => Caller::Customer(self.user.id.parse()?),
            Role::Admin => Caller::Admin(self.user.id.parse()?),
            Role::Service => Caller::Service(self.user.id),
        })
    }
}

impl AuthClient {
    /// How long an answer may take (contract §3).
    pub const TIMEOUT: Duration = Duration::from_secs(2);

    /// The service at `base_url`, to which we show `token`.
    ///
    /// # Errors
    /// When the URL is none.
    pub fn new(client: HttpClient, base_url: &str, token: ServiceToken) -> Result<Self, UrlError> {
        Ok(Self(Peer::new(client, base_url, Self::TIMEOUT, token)?))
    }
}

#[async_trait]
impl TokenVerifier for AuthClient {
    /// `POST /auth/validate` with the caller's token, and ours beside it (PRD §7.1).
    async fn verify(&self, token: &str, context: &RequestContext) -> Result<Caller, VerifyError> {
        // A token that no header can carry is no token.
        let theirs = bearer(token).map_err(|_| VerifyError::Invalid)?;
        let unavailable = |error: BoxError| VerifyError::Unavailable(error);
        let own = self.0.own().map_err(|error| unavailable(error.into()))?;
        let (status, body) = self
            .0
            .call(Method::POST, VALIDATE, theirs, Some(own), context)
            .await
            .map_err(|error| unavailable(error.into()))?;
        if status != StatusCode::OK {
            return Err(VerifyError::Invalid);
        }
        serde_json::from_slice::<Validated>(&body)
            .map_err(|error| unavailable(error.into()))?
            .caller()
            .map_err(unavailable)
    }
}

#[async_trait]
impl ContactReader for AuthClient {
    /// `GET /auth/users/{id}` with our own token (PRD §7.3).
    async fn contact(&self, id: UserId, context: &RequestContext) -> Result<Contact, ReadError> {
        let path = format!("/auth/users/{id}");
        let place = ("/auth/users/{id}", path.as_str());
        self.0.read("the user", place, context).await
    }
}

#[derive(Deserialize)]
struct Told {
    token: String,
}

#[async_trait]
impl TokenReader for AuthClient {
    /// `GET /auth/one-time-tokens/{id}` with our own token.
    async fn token(
        &self,
        id: TokenId,
        context: &RequestContext,
    ) -> Result<SecretString, ReadError> {
        let path = format!("/auth/one-time-tokens/{id}");
        let place = ("/auth/one-time-tokens/{id}", path.as_str());
        let told: Told = self.0.read("the one-time token", place, context).await?;
        Ok(told.token.into())
    }
}

#[derive(Deserialize)]
struct PurgedAnswer {
    data: Vec<PurgedUser>,
    next_after: Option<i64>,
}

#[derive(Deserialize)]
struct PurgedUser {
    user_id: UserId,
}

#[async_trait]
impl PurgedUsers for AuthClient {
    /// `GET /auth/purged-users` with our own token.
    async fn purged(&self, after: i64, limit: u32) -> Result<PurgedPage, ReadError> {
        let path = format!("/auth/purged-users?after={after}&limit={limit}");
        let context = RequestContext::generate();
        let place = ("/auth/purged-users", path.as_str());
        let answer: PurgedAnswer = self.0.read("the auth service", place, &context).await?;
        Ok(PurgedPage {
            users: answer.data.into_iter().map(|one| one.user_id).collect(),
            next: answer.next_after,
        })
    }
}
