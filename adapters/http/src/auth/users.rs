//! Sessions that end, accounts that change, and what admins see of them.

use core_auth::{
    Auth, ChangeError, Email, PasswordChangeError, TooManyFailures, UserFilter, UserRole,
};
use core_kernel::{Faults, UserId};
use http::StatusCode;

use super::{AuthApi, dto, unknown_user};
use crate::error::ApiError;
use crate::fields;
use crate::query::one_of;
use crate::reply::{self, Reply};
use crate::request::Inbound;

impl AuthApi {
    pub(super) async fn logout(&self, request: &Inbound) -> Result<Reply, ApiError> {
        let who = self.authenticate(request).await?;
        self.auth.logout(&who).await?;
        Ok(reply::empty(StatusCode::NO_CONTENT))
    }

    pub(super) async fn logout_all(&self, request: &Inbound) -> Result<Reply, ApiError> {
        let who = self.authenticate(request).await?;
        self.auth.logout_all(&who, &request.context).await?;
        Ok(reply::empty(StatusCode::NO_CONTENT))
    }

    pub(super) async fn update(&self, request: &mut Inbound, id: &str) -> Result<Reply, ApiError> {
        let caller = self.authenticate(request).await?.caller;
        let body = request.json_body().await?;
        let body = fields::object(&body)?;
        // Told before what else is wrong: the parts are not this caller's to write.
        if body.has("role") || body.has("is_active") {
            Auth::may_administer(&caller)?;
        }
        let patch = dto::patch(&body)?;
        let id: UserId = id.parse().map_err(|_| unknown_user())?;
        let context = request.context.clone();
        let user = self.auth.update(&caller, id, &patch, &context).await?;
        reply::json(StatusCode::OK, &dto::Profile::from(&user))
    }

    pub(super) async fn deactivate(&self, request: &Inbound, id: &str) -> Result<Reply, ApiError> {
        let caller = self.authenticate(request).await?.caller;
        let id: UserId = id.parse().map_err(|_| unknown_user())?;
        self.auth.deactivate(&caller, id, &request.context).await?;
        Ok(reply::empty(StatusCode::NO_CONTENT))
    }

    pub(super) async fn change_password(
        &self,
        request: &mut Inbound,
        id: &str,
    ) -> Result<Reply, ApiError> {
        let who = self.authenticate(request).await?;
        let body = request.json_body().await?;
        let (current, new) = dto::passwords(&fields::object(&body)?)?;
        let id: UserId = id.parse().map_err(|_| unknown_user())?;
        let context = request.context.clone();
        self.auth
            .change_password(&who, id, current, new, &context)
            .await?;
        Ok(reply::empty(StatusCode::NO_CONTENT))
    }

    pub(super) async fn users(&self, request: &Inbound) -> Result<Reply, ApiError> {
        let caller = self.authenticate(request).await?.caller;
        Auth::may_administer(&caller)?;
        let query = request.query();
        let mut faults = Faults::new();
        let filter = UserFilter {
            email: query.optional(&mut faults, "email", |text| Ok(Email::normalized(text))),
            role: query.optional(&mut faults, "role", |word| {
                UserRole::from_word(word).ok_or_else(|| one_of(&["customer", "admin"]))
            }),
            is_active: query.optional(&mut faults, "is_active", |word| match word {
                "true" => Ok(true),
                "false" => Ok(false),
                _ => Err(one_of(&["true", "false"])),
            }),
        };
        let page = query.page(&mut faults);
        if !faults.is_empty() {
            return Err(ApiError::validation(faults));
        }
        let found = self.auth.users(&caller, &filter, page).await?;
        reply::json(StatusCode::OK, &dto::Users::new(&found, page))
    }

    pub(super) async fn audit(&self, request: &Inbound, id: &str) -> Result<Reply, ApiError> {
        let caller = self.authenticate(request).await?.caller;
        Auth::may_administer(&caller)?;
        let mut faults = Faults::new();
        let page = request.query().page(&mut faults);
        if !faults.is_empty() {
            return Err(ApiError::validation(faults));
        }
        let id: UserId = id.parse().map_err(|_| unknown_user())?;
        let found = self.auth.audit(&caller, id, page).await?;
        reply::json(StatusCode::OK, &dto::Audit::new(&found, page))
    }
}

impl From<ChangeError> for ApiError {
    fn from(error: ChangeError) -> Self {
        match error {
            ChangeError::Forbidden => Self::forbidden("You may not do this."),
            ChangeError::NotFound => unknown_user(),
            ChangeError::Store(error) => error.into(),
        }
    }
}

impl From<PasswordChangeError> for ApiError {
    fn from(error: PasswordChangeError) -> Self {
        match error {
            PasswordChangeError::Forbidden => {
                Self::forbidden("You may only change your own password.")
            }
            PasswordChangeError::WrongPassword => Self::wrong_password(),
            PasswordChangeError::TooManyFailures(TooManyFailures(wait)) => Self::rate_limited(wait),
            PasswordChangeError::Hash(error) => error.into(),
            PasswordChangeError::Store(error) => error.into(),
        }
    }
}
