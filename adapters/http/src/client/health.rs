//! Asking a service how it is, for who looks at it from outside.

use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, DATE};
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use jiff::Timestamp;
use jiff::fmt::rfc2822;
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use super::{CallError, HttpClient, bearer};

/// How a service says it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// Whether it has all that it needs.
    pub ready: bool,
    /// What it lacks, as `database`; also empty when it does not tell.
    pub lacks: Vec<String>,
    /// What its clock says, in whole seconds (RFC 9110 §6.6.1), if it tells.
    pub clock: Option<Timestamp>,
}

/// How the service at `base_url` is: `GET /health/ready`.
///
/// # Errors
/// When it does not answer.
pub async fn health(
    client: &HttpClient,
    base_url: &str,
    timeout: Duration,
) -> Result<Health, CallError> {
    let url = format!("{}/health/ready", base_url.trim_end_matches('/'));
    let request = Request::get(url).body(Full::default());
    let request = request.map_err(|error| CallError::Broken(error.into()))?;
    let answer = client.exchange(request, timeout).await?;
    Ok(Health {
        ready: answer.status() == StatusCode::OK,
        lacks: lacks(&answer),
        clock: clock(&answer),
    })
}

/// Whether the auth service at `base_url` takes a token: `POST /auth/validate`.
///
/// # Errors
/// When it does not answer, or has no answer to that.
pub async fn accepts(
    client: &HttpClient,
    base_url: &str,
    token: &SecretString,
    timeout: Duration,
) -> Result<bool, CallError> {
    let url = format!("{}/auth/validate", base_url.trim_end_matches('/'));
    let own = bearer(token.expose_secret())?;
    let request = Request::post(url)
        .header(AUTHORIZATION, own.clone())
        .header("x-service-authorization", own)
        .body(Full::default());
    let request = request.map_err(|error| CallError::Broken(error.into()))?;
    match client.call(request, timeout).await?.0 {
        StatusCode::OK => Ok(true),
        StatusCode::UNAUTHORIZED => Ok(false),
        status => Err(CallError::Broken(format!("it answered {status}").into())),
    }
}

fn lacks(answer: &Response<Bytes>) -> Vec<String> {
    let told: Value = serde_json::from_slice(answer.body()).unwrap_or_default();
    let checks = told["checks"].as_object().into_iter().flatten();
    let missing = checks.filter(|(_, told)| *told != "ok");
    missing.map(|(name, _)| name.clone()).collect()
}

fn clock(answer: &Response<Bytes>) -> Option<Timestamp> {
    let date = answer.headers().get(DATE)?.to_str().ok()?;
    rfc2822::parse(date).ok().map(|zoned| zoned.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_tells_its_clock_and_what_is_missing() {
        let body = r#"{"status":"unavailable","checks":{"database":"ok","broker":"unavailable"}}"#;
        let answer = Response::builder()
            .header(DATE, "Sun, 06 Nov 1994 08:49:37 GMT")
            .body(Bytes::from(body))
            .unwrap();
        assert_eq!(lacks(&answer), ["broker"]);
        let told = clock(&answer).unwrap();
        assert_eq!(told.to_string(), "1994-11-06T08:49:37Z");
    }
}
