//! Reading bodies.

use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;

use crate::error::ApiError;

/// No order of a hundred lines comes near this.
const MAX_BYTES: usize = 256 * 1024;

/// From the first byte to the last, so that a slow sender does not hold on for ever.
const DEADLINE: Duration = Duration::from_secs(10);

/// The body, which must be declared as JSON.
pub(crate) async fn read(headers: &HeaderMap, body: Option<Incoming>) -> Result<Bytes, ApiError> {
    if declared_length(headers).is_some_and(|length| length > MAX_BYTES as u64) {
        return Err(ApiError::too_large());
    }
    if !is_json(headers) {
        return Err(ApiError::not_json());
    }
    let Some(body) = body else {
        return Ok(Bytes::new());
    };
    match tokio::time::timeout(DEADLINE, Limited::new(body, MAX_BYTES).collect()).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(ApiError::too_large()),
        // The sender broke off; whatever is answered, hardly anyone reads it.
        Ok(Err(_)) => Err(ApiError::slow_body()),
        Err(_) => Err(ApiError::slow_body()),
    }
}

fn declared_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn is_json(headers: &HeaderMap) -> bool {
    let declared = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    declared
        .and_then(|value| value.split(';').next())
        .is_some_and(|essence| essence.trim().eq_ignore_ascii_case("application/json"))
}
