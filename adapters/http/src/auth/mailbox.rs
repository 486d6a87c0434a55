//! Mails that are asked for, and what is done by the one-time tokens in them.

use core_auth::{OneTimeError, TellError};
use core_kernel::TokenId;
use http::StatusCode;

use super::{AuthApi, dto};
use crate::error::ApiError;
use crate::fields;
use crate::reply::{self, Reply};
use crate::request::Inbound;

impl AuthApi {
    pub(super) async fn forgot_password(&self, request: &mut Inbound) -> Result<Reply, ApiError> {
        let body = request.json_body().await?;
        let email = dto::address(&fields::object(&body)?)?;
        self.auth.forgot_password(&email, &request.context).await?;
        Ok(reply::empty(StatusCode::ACCEPTED))
    }

    pub(super) async fn reset_password(&self, request: &mut Inbound) -> Result<Reply, ApiError> {
        let body = request.json_body().await?;
        let (token, new) = dto::reset(&fields::object(&body)?)?;
        let context = &request.context;
        self.auth.reset_password(&token, new, context).await?;
        Ok(reply::empty(StatusCode::NO_CONTENT))
    }

    pub(super) async fn verify_email(&self, request: &mut Inbound) -> Result<Reply, ApiError> {
        let body = request.json_body().await?;
        let token = dto::one_time_token(&fields::object(&body)?)?;
        self.auth.verify_email(&token, &request.context).await?;
        Ok(reply::empty(StatusCode::NO_CONTENT))
    }

    pub(super) async fn resend_verification(
        &self,
        request: &mut Inbound,
    ) -> Result<Reply, ApiError> {
        let body = request.json_body().await?;
        let email = dto::address(&fields::object(&body)?)?;
        let context = &request.context;
        self.auth.resend_verification(&email, context).await?;
        Ok(reply::empty(StatusCode::ACCEPTED))
    }

    pub(super) async fn one_time_token(
        &self,
        request: &Inbound,
        id: &str,
    ) -> Result<Reply, ApiError> {
        let caller = self.authenticate(request).await?.caller;
        // A path that is no id is nobody's token; who may ask is told before.
        let id = id.parse().unwrap_or(TokenId(uuid::Uuid::nil()));
        let token = self.auth.one_time_token(&caller, id).await?;
        let token = token.expose();
        reply::json(StatusCode::OK, &dto::Told { token })
    }
}

impl From<OneTimeError> for ApiError {
    fn from(error: OneTimeError) -> Self {
        match error {
            OneTimeError::Invalid => Self::invalid_one_time_token(),
            OneTimeError::Hash(error) => error.into(),
            OneTimeError::Store(error) => error.into(),
        }
    }
}

impl From<TellError> for ApiError {
    fn from(error: TellError) -> Self {
        match error {
            TellError::Forbidden => Self::forbidden("Only services are told."),
            TellError::NotFound => Self::not_found("There is no token with this id."),
            TellError::Gone => Self::gone("The token was used or has expired."),
            TellError::Store(error) => error.into(),
        }
    }
}
