//! Errors as clients see them: RFC 9457 problem documents.
//!
//! What goes out is fixed text and the faults of the client's own input; what went wrong inside is
//! kept apart as `source` and logged once, by the pipeline.

pub(crate) mod codes;

use std::borrow::Cow;
use std::time::Duration;

use bytes::Bytes;
use core_kernel::{At, BoxError, Faults, Violation};
use core_orders::OrderStatus;
use http::header::{ALLOW, CONNECTION, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderName, HeaderValue, StatusCode};
use serde::Serialize;
use utoipa::ToSchema;

use crate::limit::seconds;
use crate::reply::{self, Reply};
use codes::Code;

/// A refusal or a failure. Boxed, since it rides in the result of every handler and is rare.
#[derive(Debug)]
pub struct ApiError(Box<Refusal>);

#[derive(Debug)]
struct Refusal {
    code: &'static Code,
    detail: Cow<'static, str>,
    faults: Faults,
    allowed: Option<Vec<&'static str>>,
    header: Option<(HeaderName, HeaderValue)>,
    source: Option<BoxError>,
}

/// A refusal or a failure (RFC 9457).
#[derive(Serialize, ToSchema)]
pub(crate) struct Problem<'a> {
    /// `urn:shopflow:problem:` and the code.
    r#type: String,
    /// The status in words.
    title: &'static str,
    /// The status of the answer.
    status: u16,
    /// What happened, for people. May change.
    detail: &'a str,
    /// What happened, for programs. Stays.
    code: &'static str,
    /// What the request is known by in the logs; the header `X-Request-Id` has it too.
    request_id: &'a str,
    /// All faults of the request, where the code is `validation_failed`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    errors: Option<Vec<FaultDto<'a>>>,
    /// The states that may follow, where a step of an order was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Vec<OrderStatus>, nullable = false, required = false)]
    allowed: Option<&'a [&'static str]>,
}

/// One fault of a request. Exactly one of `pointer`, `parameter` and `header` tells where it is.
#[derive(Serialize, ToSchema)]
#[schema(as = Fault)]
struct FaultDto<'a> {
    /// In the body, as a JSON Pointer (RFC 6901): `/items/0/quantity`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pointer: Option<&'a str>,
    /// In the query, by its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    parameter: Option<&'a str>,
    /// In the head, by its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    header: Option<&'a str>,
    /// The rule that is broken, such as `required`, `min` or `format`.
    code: &'static str,
    /// What must be so, for people.
    message: &'a str,
}

impl ApiError {
    fn new(code: &'static Code, detail: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Refusal {
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
        let mut error = Self::new(&codes::VALIDATION_FAILED, detail);
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
        Self::new(&codes::MALFORMED_JSON, detail)
    }

    /// 400: no `Host`, or more than one.
    pub(crate) fn bad_host() -> Self {
        Self::new(&codes::BAD_REQUEST, "A request must have one Host header.")
    }

    /// 400: the inbox is asked for by a name that anybody may have pointed here.
    pub(crate) fn foreign_host() -> Self {
        Self::new(
            &codes::BAD_REQUEST,
            "The inbox answers to localhost and to IP addresses only.",
        )
    }

    /// 400: a step that the state machine forbids.
    pub(crate) fn invalid_transition(detail: String, allowed: Vec<&'static str>) -> Self {
        Self::new(&codes::INVALID_TRANSITION, detail).allowing(allowed)
    }

    /// 409: the order is in that state already.
    pub(crate) fn already_in_state(detail: String, allowed: Vec<&'static str>) -> Self {
        Self::new(&codes::ALREADY_IN_STATE, detail).allowing(allowed)
    }

    /// 409: the first request with this key is still being worked on.
    pub(crate) fn request_in_progress() -> Self {
        Self::new(
            &codes::REQUEST_IN_PROGRESS,
            "A request with this Idempotency-Key is being worked on.",
        )
        .with_header(RETRY_AFTER, "1")
    }

    /// 422: the key belongs to a request for something else.
    pub(crate) fn idempotency_key_reused() -> Self {
        Self::new(
            &codes::IDEMPOTENCY_KEY_REUSED,
            "The Idempotency-Key was used for a request with another body.",
        )
    }

    /// 409: the address has an account.
    pub(crate) fn email_taken() -> Self {
        Self::new(
            &codes::EMAIL_TAKEN,
            "An account with this email address exists already.",
        )
    }

    fn unauthorized(code: &'static Code, detail: &'static str) -> Self {
        Self::new(code, detail).with_header(WWW_AUTHENTICATE, "Bearer")
    }

    /// 401: no token, or one that does not count.
    pub(crate) fn invalid_token() -> Self {
        Self::unauthorized(&codes::INVALID_TOKEN, "A valid bearer token is required.")
    }

    /// 401: unknown address or wrong password.
    pub(crate) fn invalid_credentials() -> Self {
        Self::unauthorized(
            &codes::INVALID_CREDENTIALS,
            "The email or the password is wrong.",
        )
    }

    /// 403: the current password that came with a new one is wrong.
    pub(crate) fn wrong_password() -> Self {
        Self::new(&codes::WRONG_PASSWORD, "The current password is wrong.")
    }

    /// 401: a one-time token that does not work.
    pub(crate) fn invalid_one_time_token() -> Self {
        Self::unauthorized(
            &codes::INVALID_TOKEN,
            "The token is not known, was used or has expired.",
        )
    }

    /// 403: the right password of an account whose address has yet to be verified.
    pub(crate) fn email_not_verified() -> Self {
        Self::new(
            &codes::EMAIL_NOT_VERIFIED,
            "The email address has yet to be verified.",
        )
    }

    /// 410: it was there, and is good for nothing any more.
    pub(crate) fn gone(detail: &'static str) -> Self {
        Self::new(&codes::GONE, detail)
    }

    /// 403: the right password of a deactivated account.
    pub(crate) fn account_deactivated() -> Self {
        Self::new(&codes::ACCOUNT_DEACTIVATED, "The account is deactivated.")
    }

    /// 403.
    pub(crate) fn forbidden(detail: &'static str) -> Self {
        Self::new(&codes::FORBIDDEN, detail)
    }

    /// 404.
    pub(crate) fn not_found(detail: &'static str) -> Self {
        Self::new(&codes::NOT_FOUND, detail)
    }

    /// 404: no such path.
    pub(crate) fn unknown_path() -> Self {
        Self::not_found("There is nothing at this path.")
    }

    /// 405 with the methods that the path has.
    pub(crate) fn method_not_allowed(allow: &'static str) -> Self {
        Self::new(
            &codes::METHOD_NOT_ALLOWED,
            "The path does not have this method; see the Allow header.",
        )
        .with_header(ALLOW, allow)
    }

    /// 408: the body came too slowly. The connection is of no more use.
    pub(crate) fn slow_body() -> Self {
        Self::new(&codes::REQUEST_TIMEOUT, "The body did not arrive in time.")
            .with_header(CONNECTION, "close")
    }

    /// 413. The rest of the body is not read, so the connection is of no more use.
    pub(crate) fn too_large() -> Self {
        Self::new(
            &codes::PAYLOAD_TOO_LARGE,
            "The body must not be larger than 256 KiB.",
        )
        .with_header(CONNECTION, "close")
    }

    /// 415.
    pub(crate) fn not_json() -> Self {
        Self::new(
            &codes::UNSUPPORTED_MEDIA_TYPE,
            "The Content-Type must be application/json.",
        )
    }

    /// 429: too often; `wait` tells when it may be tried again.
    pub(crate) fn rate_limited(wait: Duration) -> Self {
        let mut error = Self::new(
            &codes::RATE_LIMITED,
            "Too many requests. The Retry-After header tells when to try again.",
        );
        error.0.header = Some((RETRY_AFTER, HeaderValue::from(seconds(wait))));
        error
    }

    /// 503: something that this service needs is away.
    pub(crate) fn unavailable(source: BoxError) -> Self {
        Self::new(
            &codes::UNAVAILABLE,
            "The service is not available at the moment. Please try again.",
        )
        .with_header(RETRY_AFTER, "1")
        .caused_by(source)
    }

    /// 500.
    pub(crate) fn internal(source: BoxError) -> Self {
        Self::new(&codes::INTERNAL, "Something went wrong on our side.").caused_by(source)
    }

    /// The status that it is answered with.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.0.code.status
    }

    /// The faults of the request.
    #[cfg(test)]
    pub(crate) fn faults(&self) -> &Faults {
        &self.0.faults
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
        let Code { status, word, .. } = refusal.code;
        let problem = Problem {
            r#type: format!("urn:shopflow:problem:{word}"),
            title: status.canonical_reason().unwrap_or_default(),
            status: status.as_u16(),
            detail: &refusal.detail,
            code: word,
            request_id,
            errors: (!errors.is_empty()).then_some(errors),
            allowed: refusal.allowed.as_deref(),
        };
        // Texts and numbers only: they can always be written.
        let body: Bytes = serde_json::to_vec(&problem).unwrap_or_default().into();
        let mut reply = reply::with_type(*status, "application/problem+json", body);
        if let Some((name, value)) = refusal.header {
            reply.headers_mut().insert(name, value);
        }
        reply
    }
}
