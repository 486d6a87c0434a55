//! Bodies of the auth service.

use core_auth::{Email, Identity, Password, PersonName, Phone, Registration, TokenPair, User};
use core_kernel::{Faults, UserId, wire_time};
use jiff::Timestamp;
use serde::Serialize;

use crate::error::ApiError;
use crate::fields::Object;

/// Reads `POST /auth/register`.
///
/// # Errors
/// 400 with all faults.
pub(super) fn registration(body: &Object<'_>) -> Result<Registration, ApiError> {
    let mut faults = Faults::new();
    let email = body.required(&mut faults, "email", |v| Email::parse(&v.string()?));
    let password = body.required(&mut faults, "password", |v| Password::parse(&v.string()?));
    let first_name = body.required(&mut faults, "first_name", |v| {
        PersonName::parse(&v.string()?)
    });
    let last_name = body.required(&mut faults, "last_name", |v| {
        PersonName::parse(&v.string()?)
    });
    let phone = body.optional(&mut faults, "phone", |v| Phone::parse(&v.string()?));
    match (email, password, first_name, last_name) {
        (Some(email), Some(password), Some(first_name), Some(last_name)) if faults.is_empty() => {
            Ok(Registration {
                email,
                password,
                first_name,
                last_name,
                phone,
            })
        }
        _ => Err(ApiError::validation(faults)),
    }
}

/// Answer to `POST /auth/register`.
#[derive(Serialize)]
pub(super) struct Registered<'a> {
    id: UserId,
    email: &'a str,
    first_name: &'a str,
    last_name: &'a str,
    phone: Option<&'a str>,
    role: &'static str,
    #[serde(with = "wire_time")]
    created_at: Timestamp,
}

impl<'a> From<&'a User> for Registered<'a> {
    fn from(user: &'a User) -> Self {
        Self {
            id: user.id,
            email: user.email.as_str(),
            first_name: user.first_name.as_str(),
            last_name: user.last_name.as_str(),
            phone: user.phone.as_ref().map(Phone::as_str),
            role: user.role.role().as_str(),
            created_at: user.created_at,
        }
    }
}

/// Answer to `GET /auth/users/{id}`.
#[derive(Serialize)]
pub(super) struct Profile<'a> {
    id: UserId,
    email: &'a str,
    first_name: &'a str,
    last_name: &'a str,
    phone: Option<&'a str>,
    role: &'static str,
    is_active: bool,
    #[serde(with = "wire_time")]
    created_at: Timestamp,
    #[serde(with = "wire_time")]
    updated_at: Timestamp,
}

impl<'a> From<&'a User> for Profile<'a> {
    fn from(user: &'a User) -> Self {
        Self {
            id: user.id,
            email: user.email.as_str(),
            first_name: user.first_name.as_str(),
            last_name: user.last_name.as_str(),
            phone: user.phone.as_ref().map(Phone::as_str),
            role: user.role.role().as_str(),
            is_active: user.is_active,
            created_at: user.created_at,
            updated_at: user.updated_at,
        }
    }
}

/// Answer to `POST /auth/login` and `POST /auth/refresh` (RFC 6749 §5.1).
#[derive(Serialize)]
pub(super) struct Tokens {
    access_token: String,
    refresh_token: String,
    token_type: &'static str,
    expires_in: i64,
}

impl From<TokenPair> for Tokens {
    fn from(pair: TokenPair) -> Self {
        Self {
            access_token: pair.access_token,
            refresh_token: pair.refresh_token,
            token_type: "Bearer",
            expires_in: pair.expires_in,
        }
    }
}

/// Answer to `POST /auth/validate` (PRD §7.1).
#[derive(Serialize)]
pub(super) struct Validated<'a> {
    valid: bool,
    user: ValidatedUser<'a>,
}

#[derive(Serialize)]
struct ValidatedUser<'a> {
    id: String,
    email: Option<&'a str>,
    role: &'static str,
}

impl<'a> From<&'a Identity> for Validated<'a> {
    fn from(identity: &'a Identity) -> Self {
        Self {
            valid: true,
            user: ValidatedUser {
                id: identity.caller.id_text(),
                email: identity.email.as_ref().map(Email::as_str),
                role: identity.caller.role().as_str(),
            },
        }
    }
}
