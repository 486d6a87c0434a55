//! Limits as clients see them: the `RateLimit` headers (draft-ietf-httpapi-ratelimit-headers) and
//! 429.

use std::sync::Arc;
use std::time::Duration;

use core_kernel::{Decision, Limit, LimitKey, RateLimiter};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::error::ApiError;
use crate::request::Inbound;

const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const STATE: HeaderName = HeaderName::from_static("ratelimit");

/// The limiter of a service, if it has one.
pub(crate) type Limiter = Option<Arc<dyn RateLimiter>>;

/// Where a caller stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Standing {
    limit: Limit,
    decision: Decision,
}

/// Counts a request of `key`. The answer tells of it, whatever it will be.
///
/// # Errors
/// 429 when there were too many.
pub(crate) async fn check(
    limiter: &Limiter,
    key: LimitKey,
    request: &Inbound,
) -> Result<(), ApiError> {
    let Some(limiter) = limiter else {
        return Ok(());
    };
    let (limit, decision) = (limiter.limit(), limiter.check(key).await);
    request.note(Standing { limit, decision });
    if decision.allowed {
        return Ok(());
    }
    tracing::info!(limit = limit.name, "over the limit");
    Err(ApiError::rate_limited(decision.reset_after))
}

/// Whole seconds, rounded up, since too early is refused again; at least one.
pub(crate) fn seconds(time: Duration) -> u64 {
    (time.as_secs() + u64::from(time.subsec_nanos() > 0)).max(1)
}

impl Standing {
    /// Tells the client.
    pub(crate) fn tell(&self, headers: &mut HeaderMap) {
        let Self { limit, decision } = self;
        let (name, quota, window) = (limit.name, limit.requests, limit.window.as_secs());
        let (left, reset) = (decision.remaining, seconds(decision.reset_after));
        for (header, text) in [
            (POLICY, format!("\"{name}\";q={quota};w={window}")),
            (STATE, format!("\"{name}\";r={left};t={reset}")),
        ] {
            // A word and numbers: they can always be written.
            if let Ok(value) = HeaderValue::try_from(text) {
                headers.insert(header, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_told_in_whole_seconds_that_are_enough() {
        for (ms, told) in [
            (0, 1),
            (1, 1),
            (1000, 1),
            (1001, 2),
            (59_999, 60),
            (60_000, 60),
        ] {
            assert_eq!(seconds(Duration::from_millis(ms)), told, "{ms}");
        }
    }

    #[test]
    fn the_headers_are_those_of_the_draft() {
        let standing = Standing {
            limit: Limit::per_minute("auth", 100),
            decision: Decision {
                allowed: true,
                remaining: 42,
                reset_after: Duration::from_millis(16_100),
            },
        };
        let mut headers = HeaderMap::new();
        standing.tell(&mut headers);
        assert_eq!(headers["ratelimit-policy"], "\"auth\";q=100;w=60");
        assert_eq!(headers["ratelimit"], "\"auth\";r=42;t=17");
    }
}
