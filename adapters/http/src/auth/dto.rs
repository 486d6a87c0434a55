//! Bodies of the auth service.

use core_auth::{
    AuditEntry, Email, Identity, OneTimeToken, Password, Patch, PersonName, Phone, Registration,
    TokenPair, User, UserRole,
};
use core_kernel::{Faults, Page, PageRequest, UserId, wire_time};
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::error::ApiError;
use crate::fields::{Object, Value};
use crate::openapi::words;
use crate::orders::Pagination;
use crate::query::one_of;

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

/// Reads `PATCH /auth/users/{id}`. What is absent stays as it is; `null` clears the phone.
///
/// # Errors
/// 400 with all faults.
pub(super) fn patch(body: &Object<'_>) -> Result<Patch, ApiError> {
    let mut faults = Faults::new();
    let name = |v: &Value<'_>| PersonName::parse(&v.string()?);
    let patch = Patch {
        first_name: body.given(&mut faults, "first_name", name),
        last_name: body.given(&mut faults, "last_name", name),
        phone: body.given(&mut faults, "phone", |v| match v.is_null() {
            true => Ok(None),
            false => Phone::parse(&v.string()?).map(Some),
        }),
        role: body.given(&mut faults, "role", |v| {
            UserRole::from_word(&v.string()?).ok_or_else(|| one_of(&["customer", "admin"]))
        }),
        is_active: body.given(&mut faults, "is_active", Value::boolean),
    };
    match faults.is_empty() {
        true => Ok(patch),
        false => Err(ApiError::validation(faults)),
    }
}

/// Reads `POST /auth/users/{id}/password`: the current and the new one.
///
/// # Errors
/// 400 with all faults.
pub(super) fn passwords(body: &Object<'_>) -> Result<(Password, Password), ApiError> {
    let mut faults = Faults::new();
    let current = body.required(&mut faults, "current_password", Value::string);
    let new = body.required(&mut faults, "new_password", |v| {
        Password::parse(&v.string()?)
    });
    match (current, new) {
        (Some(current), Some(new)) => Ok((Password::attempt(&current), new)),
        _ => Err(ApiError::validation(faults)),
    }
}

/// Reads `POST /auth/login`: the address, which may be none, and the password as it was typed.
///
/// # Errors
/// 400 with all faults.
pub(super) fn credentials(body: &Object<'_>) -> Result<(Email, Password), ApiError> {
    let mut faults = Faults::new();
    let email = body.required(&mut faults, "email", Value::string);
    let password = body.required(&mut faults, "password", Value::string);
    match (email, password) {
        (Some(email), Some(password)) => {
            Ok((Email::normalized(&email), Password::attempt(&password)))
        }
        _ => Err(ApiError::validation(faults)),
    }
}

/// Reads `POST /auth/refresh`.
///
/// # Errors
/// 400 when there is no token.
pub(super) fn refresh_token(body: &Object<'_>) -> Result<String, ApiError> {
    let mut faults = Faults::new();
    let token = body.required(&mut faults, "refresh_token", Value::string);
    token.ok_or_else(|| ApiError::validation(faults))
}

/// Reads the address that a mail is asked for. What is no address has no account.
///
/// # Errors
/// 400 when there is none.
pub(super) fn address(body: &Object<'_>) -> Result<Email, ApiError> {
    let mut faults = Faults::new();
    let email = body.required(&mut faults, "email", Value::string);
    match email {
        Some(email) => Ok(Email::normalized(&email)),
        None => Err(ApiError::validation(faults)),
    }
}

/// Reads a one-time token.
///
/// # Errors
/// 400 when there is none.
pub(super) fn one_time_token(body: &Object<'_>) -> Result<OneTimeToken, ApiError> {
    let mut faults = Faults::new();
    let token = body.required(&mut faults, "token", Value::string);
    token
        .map(OneTimeToken::new)
        .ok_or_else(|| ApiError::validation(faults))
}

/// Reads `POST /auth/password/reset`: the token and the new password.
///
/// # Errors
/// 400 with all faults.
pub(super) fn reset(body: &Object<'_>) -> Result<(OneTimeToken, Password), ApiError> {
    let mut faults = Faults::new();
    let token = body.required(&mut faults, "token", Value::string);
    let new = body.required(&mut faults, "new_password", |v| {
        Password::parse(&v.string()?)
    });
    match (token, new) {
        (Some(token), Some(new)) => Ok((OneTimeToken::new(token), new)),
        _ => Err(ApiError::validation(faults)),
    }
}

/// Answer to `GET /auth/one-time-tokens/{id}`.
#[derive(Serialize, ToSchema)]
#[schema(as = OneTimeToken)]
pub(super) struct Told<'a> {
    pub(super) token: &'a str,
}

/// Answer to `GET /auth/users`.
#[derive(Serialize, ToSchema)]
#[schema(as = UserList)]
pub(super) struct Users<'a> {
    data: Vec<Profile<'a>>,
    pagination: Pagination,
}

impl<'a> Users<'a> {
    pub(super) fn new(found: &'a Page<User>, page: PageRequest) -> Self {
        Self {
            data: found.items.iter().map(Profile::from).collect(),
            pagination: Pagination::new(page, found.total),
        }
    }
}

/// Answer to `GET /auth/users/{id}/audit`.
#[derive(Serialize, ToSchema)]
#[schema(as = AuditList)]
pub(super) struct Audit<'a> {
    data: Vec<AuditDto<'a>>,
    pagination: Pagination,
}

#[derive(Serialize, ToSchema)]
#[schema(as = AuditEntry)]
pub(crate) struct AuditDto<'a> {
    action: &'a str,
    #[schema(required)]
    from: Option<&'a str>,
    #[schema(required)]
    to: Option<&'a str>,
    actor: AuditActor<'a>,
    #[serde(with = "wire_time")]
    #[schema(schema_with = wire_time::schema)]
    at: Timestamp,
    request_id: &'a str,
    trace_id: &'a str,
}

#[derive(Serialize, ToSchema)]
#[schema(as = Actor)]
struct AuditActor<'a> {
    id: &'a str,
    role: &'a str,
}

impl<'a> From<&'a AuditEntry> for AuditDto<'a> {
    fn from(entry: &'a AuditEntry) -> Self {
        Self {
            action: &entry.action,
            from: entry.from.as_deref(),
            to: entry.to.as_deref(),
            actor: AuditActor {
                id: &entry.actor_id,
                role: &entry.actor_role,
            },
            at: entry.at,
            request_id: &entry.request_id,
            trace_id: &entry.trace_id,
        }
    }
}

impl<'a> Audit<'a> {
    pub(super) fn new(found: &'a Page<AuditEntry>, page: PageRequest) -> Self {
        Self {
            data: found.items.iter().map(AuditDto::from).collect(),
            pagination: Pagination::new(page, found.total),
        }
    }
}

/// Answer to `POST /auth/register`.
#[derive(Serialize, ToSchema)]
#[schema(as = RegisteredUser)]
pub(super) struct Registered<'a> {
    id: UserId,
    email: &'a str,
    first_name: &'a str,
    last_name: &'a str,
    #[schema(required)]
    phone: Option<&'a str>,
    #[schema(schema_with = words::user_role)]
    role: &'static str,
    #[serde(with = "wire_time")]
    #[schema(schema_with = wire_time::schema)]
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
#[derive(Serialize, ToSchema)]
#[schema(as = User)]
pub(crate) struct Profile<'a> {
    id: UserId,
    email: &'a str,
    first_name: &'a str,
    last_name: &'a str,
    #[schema(required)]
    phone: Option<&'a str>,
    #[schema(schema_with = words::user_role)]
    role: &'static str,
    is_active: bool,
    #[serde(with = "wire_time")]
    #[schema(schema_with = wire_time::schema)]
    created_at: Timestamp,
    #[serde(with = "wire_time")]
    #[schema(schema_with = wire_time::schema)]
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
#[derive(Serialize, ToSchema)]
#[schema(as = TokenPair)]
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
#[derive(Serialize, ToSchema)]
#[schema(as = Validation)]
pub(super) struct Validated<'a> {
    valid: bool,
    user: ValidatedUser<'a>,
}

#[derive(Serialize, ToSchema)]
struct ValidatedUser<'a> {
    id: String,
    #[schema(required)]
    email: Option<&'a str>,
    #[schema(schema_with = words::role)]
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
