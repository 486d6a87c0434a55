//! Errors as clients see them: RFC 9457 problem documents.
//!
//! What goes out is fixed text and the faults of the client's own input; what went wrong inside is
//! kept apart as `source` and logged once, by the pipeline.

use std::borrow::Cow;
use std::time::Duration;

use bytes::Bytes;
use core_kernel::{At, BoxError, Faults, Violation};
use http::header::{ALLOW, CONNECTION, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderName, HeaderValue, StatusCode};
use serde::Serialize;

use crate::limit::seconds;
use crate::reply::{self, Reply};

/// A refusal or a failure. Boxed, since it rides in the result of every handler and is rare.
#[derive(Debug)]
pub struct ApiError(Box<Refusal>);

#[derive(Debug)]
struct Refusal {
    status: StatusCode,
    code: &'static str,
    detail: Cow<'static, str>,
    faults: Faults,
    allowed: Option<Vec<&'static str>>,
    header: Option<(HeaderName, HeaderValue)>,
    source: Option<BoxError>,
}

#[derive(Serialize)]
struct Problem<'a> {
    r#type: String,
    title: &'static str,
    status: u16,
    detail: &'a str,
    code: &'static str,
    request_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    errors: Option<Vec<FaultDto<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    allowed: Option<&'a [&'static str]>,
}

#[derive(Serialize)]
struct FaultDto<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pointer: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parameter: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    header: Option<&'a str>,
    code: &'static str,
    message: &'a str,
}

impl ApiError {
    fn new(status: StatusCode, code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Refusal {
            status,
            code,
            detail: detail.into(),
            faults: Faults::new(),
            allowed: None,
            header: None,
            source: None,
        }))
    }

    fn with_header(mut self, name: HeaderName, value: &'static str) -> Self {
        self.0.header = Some((name, HeaderValue::from_static(value)));
        self
    }

    fn caused_by(mut self, source: BoxError) -> Self {
        self.0.source = Some(source);
        self
    }

    /// Names the states that may follow.
    fn allowing(mut self, allowed: Vec<&'static str>) -> Self {
        self.0.allowed = Some(allowed);
        self
    }

    /// 400 with all faults of the request.
    pub(crate) fn validation(faults: Faults) -> Self {
        let detail: Cow<'static, str> = match faults.as_slice().len() {
            1 => "The request has a fault.".into(),
            count => format!("The request has {count} faults.").into(),
        };
        let mut error = Self::new(StatusCode::BAD_REQUEST, "validation_failed", detail);
        error.0.faults = faults;
        error
    }

    /// 400: the `cursor` of a list is none, or another list's.
    pub(crate) fn bad_cursor(violation: Violation) -> Self {
        let mut faults = Faults::new();
        faults.add_parameter("cursor", violation);
        Self::validation(faults)
    }

    /// 400: the body is no JSON.
    pub(crate) fn malformed(error: &serde_json::Error) -> Self {
        let (line, column) = (error.line(), error.column());
        let detail = format!("The body is not valid JSON (line {line}, column {column}).");
        Self::new(StatusCode::BAD_REQUEST, "malformed_json", detail)
    }

    /// 400: no `Host`, or more than one.
    pub(crate) fn bad_host() -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "bad_request",
            "A request must have one Host header.",
        )
    }

    /// 400: the inbox is asked for by a name that anybody may have pointed here.
    pub(crate) fn foreign_host() -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "bad_request",
            "The inbox answers to localhost and to IP addresses only.",
        )
    }

    /// 400: a step that the state machine forbids.
    pub(crate) fn invalid_transition(detail: String, allowed: Vec<&'static str>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_transition", detail).allowing(allowed)
    }

    /// 409: the order is in that state already.
    pub(crate) fn already_in_state(detail: String, allowed: Vec<&'static str>) -> Self {
        Self::new(StatusCode::CONFLICT, "already_in_state", detail).allowing(allowed)
    }

    /// 409: the first request with this key is still being worked on.
    pub(crate) fn request_in_progress() -> Self {
        Self::new(
            StatusCode::CONFLICT,
            "request_in_progress",
            "A request with this Idempotency-Key is being worked on.",
        )
        .with_header(RETRY_AFTER, "1")
    }

    /// 422: the key belongs to a request for something else.
    pub(crate) fn idempotency_key_reused() -> Self {
        Self::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "idempotency_key_reused",
            "The Idempotency-Key was used for a request with another body.",
        )
    }

    /// 409: the address has an account.
    pub(crate) fn email_taken() -> Self {
        Self::new(
            StatusCode::CONFLICT,
            "email_taken",
            "An account with this email address exists already.",
        )
    }

    fn unauthorized(code: &'static str, detail: &'static str) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, code, detail).with_header(WWW_AUTHENTICATE, "Bearer")
    }

    /// 401: no token, or one that does not count.
    pub(crate) fn invalid_token() -> Self {
        Self::unauthorized("invalid_token", "A valid bearer token is required.")
    }

    /// 401: unknown address or wrong password.
    pub(crate) fn invalid_credentials() -> Self {
        Self::unauthorized("invalid_credentials", "The email or the password is wrong.")
    }

    /// 403: the current password that came with a new one is wrong.
    pub(crate) fn wrong_password() -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "invalid_credentials",
            "The current password is wrong.",
        )
    }

    /// 401: a one-time token that does not work.
    pub(crate) fn invalid_one_time_token() -> Self {
        Self::unauthorized(
            "invalid_token",
            "The token is not known, was used or has expired.",
        )
    }

    /// 403: the right password of an account whose address has yet to be verified.
    pub(crate) fn email_not_verified() -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "email_not_verified",
            "The email address has yet to be verified.",
        )
    }

    /// 410: it was there, and is good for nothing any more.
    pub(crate) fn gone(detail: &'static str) -> Self {
        Self::new(StatusCode::GONE, "gone", detail)
    }

    /// 403: the right password of a deactivated account.
    pub(crate) fn account_deactivated() -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "account_deactivated",
            "The account is deactivated.",
        )
    }

    /// 403.
    pub(crate) fn forbidden(detail: &'static str) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", detail)
    }

    /// 404.
    pub(crate) fn not_found(detail: &'static str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", detail)
    }

    /// 404: no such path.
    pub(crate) fn unknown_path() -> Self {
        Self::not_found("There is nothing at this path.")
    }

    /// 405 with the methods that the path has.
    pub(crate) fn method_not_allowed(allow: &'static str) -> Self {
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "method_not_allowed",
            "The path does not have this method; see the Allow header.",
        )
        .with_header(ALLOW, allow)
    }

    /// 408: the body came too slowly. The connection is of no more use.
    pub(crate) fn slow_body() -> Self {
        Self::new(
            StatusCode::REQUEST_TIMEOUT,
            "request_timeout",
            "The body did not arrive in time.",
        )
        .with_header(CONNECTION, "close")
    }

    /// 413. The rest of the body is not read, so the connection is of no more use.
    pub(crate) fn too_large() -> Self {
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "payload_too_large",
            "The body must not be larger than 256 KiB.",
        )
        .with_header(CONNECTION, "close")
    }

    /// 415.
    pub(crate) fn not_json() -> Self {
        Self::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported_media_type",
            "The Content-Type must be application/json.",
        )
    }

    /// 429: too often; `wait` tells when it may be tried again.
    pub(crate) fn rate_limited(wait: Duration) -> Self {
        let mut error = Self::new(
            StatusCode::TOO_MANY_REQUESTS,
            "rate_limited",
            "Too many requests. The Retry-After header tells when to try again.",
        );
        error.0.header = Some((RETRY_AFTER, HeaderValue::from(seconds(wait))));
        error
    }

    /// 503: something that this service needs is away.
    pub(crate) fn unavailable(source: BoxError) -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "unavailable",
            "The service is not available at the moment. Please try again.",
        )
        .with_header(RETRY_AFTER, "1")
        .caused_by(source)
    }

    /// 500.
    pub(crate) fn internal(source: BoxError) -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "Something went wrong on our side.",
        )
        .caused_by(source)
    }

    /// The status that it is answered with.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.0.status
    }

    /// What is behind a failure, for the log.
    pub(crate) fn source(&self) -> Option<&BoxError> {
        self.0.source.as_ref()
    }

    /// The problem document.
    pub(crate) fn into_reply(self, request_id: &str) -> Reply {
        let Self(refusal) = self;
        let errors: Vec<FaultDto<'_>> = refusal
            .faults
            .as_slice()
            .iter()
            .map(|fault| {
                let (pointer, parameter, header) = match &fault.at {
                    At::Pointer(pointer) => (Some(pointer.as_str()), None, None),
                    At::Parameter(name) => (None, Some(*name), None),
                    At::Header(name) => (None, None, Some(*name)),
                };
                let code = fault.violation.code;
                FaultDto {
                    pointer,
                    parameter,
                    header,
                    code,
                    message: &fault.violation.message,
                }
            })
            .collect();
        let problem = Problem {
            r#type: format!("urn:shopflow:problem:{}", refusal.code),
            title: refusal.status.canonical_reason().unwrap_or_default(),
            status: refusal.status.as_u16(),
            detail: &refusal.detail,
            code: refusal.code,
            request_id,
            errors: (!errors.is_empty()).then_some(errors),
            allowed: refusal.allowed.as_deref(),
        };
        // Texts and numbers only: they can always be written.
        let body: Bytes = serde_json::to_vec(&problem).unwrap_or_default().into();
        let mut reply = reply::with_type(refusal.status, "application/problem+json", body);
        if let Some((name, value)) = refusal.header {
            reply.headers_mut().insert(name, value);
        }
        reply
    }
}
