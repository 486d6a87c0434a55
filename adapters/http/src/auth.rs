//! The auth service (PRD §4.1).

pub(crate) mod dto;
mod limit;
mod mailbox;
pub(crate) mod openapi;
mod purged;
mod shape;
mod users;

use std::sync::Arc;

use async_trait::async_trait;
use core_auth::{
    Auth, Identity, LoginError, ProfileError, RefreshError, RegisterError, StoreError,
    TooManyFailures, ValidateError,
};
use core_auth::{HashError, PurgedUsers};
use core_kernel::{RateLimiter, UserId};
use http::{Method, StatusCode};

use crate::docs;
use crate::error::ApiError;
use crate::fields;
use crate::limit::Limiter;
use crate::pipeline::Api;
use crate::reply::{self, Reply};
use crate::request::Inbound;
use crate::route::Route;
use dto::{Profile, Registered, Tokens, Validated};

/// Its paths. Those for our own services are no business of other origins.
pub(crate) const ROUTES: [Route; 16] = [
    Route::public("/auth/register", "POST"),
    Route::public("/auth/login", "POST"),
    Route::public("/auth/refresh", "POST"),
    Route::internal("/auth/validate", "POST"),
    Route::public("/auth/logout", "POST"),
    Route::public("/auth/logout-all", "POST"),
    Route::public("/auth/password/forgot", "POST"),
    Route::public("/auth/password/reset", "POST"),
    Route::public("/auth/email/verify", "POST"),
    Route::public("/auth/email/resend", "POST"),
    Route::internal("/auth/one-time-tokens/{id}", "GET, HEAD"),
    Route::internal("/auth/purged-users", "GET, HEAD"),
    Route::public("/auth/users", "GET, HEAD"),
    Route::public("/auth/users/{id}", "GET, HEAD, PATCH, DELETE"),
    Route::public("/auth/users/{id}/password", "POST"),
    Route::public("/auth/users/{id}/audit", "GET, HEAD"),
];

/// The REST side of [`Auth`].
#[derive(Clone)]
pub struct AuthApi {
    auth: Auth,
    limiter: Limiter,
    purged: Option<PurgedUsers>,
}

#[async_trait]
impl Api for AuthApi {
    async fn respond(&self, request: &mut Inbound) -> Result<Reply, ApiError> {
        if let Some(reply) = docs::respond(&openapi::DOCUMENT, request) {
            return Ok(reply);
        }
        limit::of_client(&self.limiter, &self.auth, request).await?;
        let path = request.path().to_owned();
        let segments: Vec<&str> = path.split('/').skip(1).collect();
        match (request.method(), segments.as_slice()) {
            (&Method::POST, ["auth", "register"]) => self.register(request).await,
            (&Method::POST, ["auth", "login"]) => self.login(request).await,
            (&Method::POST, ["auth", "refresh"]) => self.refresh(request).await,
            (&Method::POST, ["auth", "validate"]) => self.validate(request).await,
            (&Method::POST, ["auth", "logout"]) => self.logout(request).await,
            (&Method::POST, ["auth", "logout-all"]) => self.logout_all(request).await,
            (&Method::POST, ["auth", "password", "forgot"]) => self.forgot_password(request).await,
            (&Method::POST, ["auth", "password", "reset"]) => self.reset_password(request).await,
            (&Method::POST, ["auth", "email", "verify"]) => self.verify_email(request).await,
            (&Method::POST, ["auth", "email", "resend"]) => self.resend_verification(request).await,
            (&Method::GET, ["auth", "one-time-tokens", id]) => {
                self.one_time_token(request, id).await
            }
            (&Method::GET, ["auth", "purged-users"]) => self.purged(request).await,
            (&Method::GET, ["auth", "users"]) => self.users(request).await,
            (&Method::GET, ["auth", "users", id]) => self.profile(request, id).await,
            (&Method::PATCH, ["auth", "users", id]) => self.update(request, id).await,
            (&Method::DELETE, ["auth", "users", id]) => self.deactivate(request, id).await,
            (&Method::POST, ["auth", "users", id, "password"]) => {
                self.change_password(request, id).await
            }
            (&Method::GET, ["auth", "users", id, "audit"]) => self.audit(request, id).await,
            _ => Err(ApiError::unknown_path()),
        }
    }

    fn route(&self, path: &str) -> Option<Route> {
        Route::find(&ROUTES, path).or_else(|| docs::route(path))
    }
}

impl AuthApi {
    /// The service on these use cases.
    #[must_use]
    pub fn new(auth: Auth) -> Self {
        Self {
            auth,
            limiter: None,
            purged: None,
        }
    }

    /// The same, with a limit on the requests of one address.
    #[must_use]
    pub fn with_limiter(mut self, limiter: Arc<dyn RateLimiter>) -> Self {
        self.limiter = Some(limiter);
        self
    }

    async fn register(&self, request: &mut Inbound) -> Result<Reply, ApiError> {
        let body = request.json_body().await?;
        let registration = dto::registration(&fields::object(&body)?)?;
        let user = self.auth.register(registration, &request.context).await?;
        reply::json(StatusCode::CREATED, &Registered::from(&user))
    }

    async fn login(&self, request: &mut Inbound) -> Result<Reply, ApiError> {
        let body = request.json_body().await?;
        let (email, password) = dto::credentials(&fields::object(&body)?)?;
        let pair = self.auth.login(&email, password, &request.context).await?;
        reply::json(StatusCode::OK, &Tokens::from(pair))
    }

    async fn refresh(&self, request: &mut Inbound) -> Result<Reply, ApiError> {
        let body = request.json_body().await?;
        let token = dto::refresh_token(&fields::object(&body)?)?;
        let pair = self.auth.refresh(&token).await?;
        reply::json(StatusCode::OK, &Tokens::from(pair))
    }

    async fn validate(&self, request: &Inbound) -> Result<Reply, ApiError> {
        let identity = self.authenticate(request).await?;
        reply::json(StatusCode::OK, &Validated::from(&identity))
    }

    async fn profile(&self, request: &Inbound, id: &str) -> Result<Reply, ApiError> {
        let caller = self.authenticate(request).await?.caller;
        let id: UserId = id.parse().map_err(|_| unknown_user())?;
        let user = self.auth.profile(&caller, id).await?;
        reply::json(StatusCode::OK, &Profile::from(&user))
    }

    async fn authenticate(&self, request: &Inbound) -> Result<Identity, ApiError> {
        Ok(self.auth.validate(request.bearer()?).await?)
    }
}

fn unknown_user() -> ApiError {
    ApiError::not_found("There is no user with this id.")
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::EmailTaken => Self::email_taken(),
            // So many change one account at once that this one did not get its turn.
            StoreError::Conflict | StoreError::Unavailable(_) => Self::unavailable(error.into()),
            StoreError::Broken(_) => Self::internal(error.into()),
        }
    }
}

impl From<HashError> for ApiError {
    fn from(error: HashError) -> Self {
        match error {
            HashError::Busy => Self::unavailable(error.into()),
            HashError::Broken(_) => Self::internal(error.into()),
        }
    }
}

impl From<RegisterError> for ApiError {
    fn from(error: RegisterError) -> Self {
        match error {
            RegisterError::EmailTaken => Self::email_taken(),
            RegisterError::Hash(error) => error.into(),
            RegisterError::Store(error) => error.into(),
        }
    }
}

impl From<LoginError> for ApiError {
    fn from(error: LoginError) -> Self {
        match error {
            LoginError::InvalidCredentials => Self::invalid_credentials(),
            LoginError::Deactivated => Self::account_deactivated(),
            LoginError::Unverified => Self::email_not_verified(),
            LoginError::TooManyFailures(TooManyFailures(wait)) => Self::rate_limited(wait),
            LoginError::Hash(error) => error.into(),
            LoginError::Sign(error) => Self::internal(error.into()),
            LoginError::Store(error) => error.into(),
        }
    }
}

impl From<RefreshError> for ApiError {
    fn from(error: RefreshError) -> Self {
        match error {
            RefreshError::Token(_) | RefreshError::Refused(_) => {
                tracing::info!(reason = %error, "refresh refused");
                Self::invalid_token()
            }
            RefreshError::Sign(error) => Self::internal(error.into()),
            RefreshError::Store(error) => error.into(),
        }
    }
}

impl From<ValidateError> for ApiError {
    fn from(error: ValidateError) -> Self {
        match error {
            ValidateError::Token(reason) => {
                tracing::info!(%reason, "token refused");
                Self::invalid_token()
            }
            ValidateError::Store(error) => error.into(),
        }
    }
}

impl From<ProfileError> for ApiError {
    fn from(error: ProfileError) -> Self {
        match error {
            ProfileError::Forbidden => Self::forbidden("You may only see your own profile."),
            ProfileError::NotFound => unknown_user(),
            ProfileError::Store(error) => error.into(),
        }
    }
}
