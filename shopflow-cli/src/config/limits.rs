//! The settings of limits, proxies and pages of other origins, checked.

use std::time::Duration;

use shopflow_http::Edge;

use super::args::{EdgeArgs, OrderLimitArgs, RedisArgs};
use super::problems::Problems;
use super::read::{Secret, check, or_default, secret};

/// More is no limit worth its memory.
const MOST: u32 = 100_000;

/// Requests in any 60 seconds; `None` when they are not limited.
pub(super) fn per_minute(
    problems: &mut Problems,
    name: &'static str,
    value: Option<&String>,
    default: u32,
) -> Option<u32> {
    const WANTED: &str = "a whole number from 0 (no limit) to 100000";
    let requests = or_default(problems, name, value, default, WANTED);
    if requests > MOST {
        problems.add(name, format!("must be {WANTED}"));
    }
    (requests > 0).then_some(requests)
}

/// The Redis in which replicas count together.
#[derive(Clone, Debug)]
pub(crate) struct RedisConfig {
    pub(crate) url: Secret,
    /// How long a request waits for it.
    pub(crate) patience: Duration,
}

impl RedisArgs {
    /// Nothing where each is to count alone.
    pub(super) fn check(&self, problems: &mut Problems) -> Option<RedisConfig> {
        const TIMEOUT: &str = "REDIS_TIMEOUT_MS";
        const WANTED: &str = "a whole number of milliseconds from 1 to 10000";
        let value = self.redis_timeout_ms.as_ref();
        let timeout: u64 = or_default(problems, TIMEOUT, value, 50, WANTED);
        if !(1..=10_000).contains(&timeout) {
            problems.add(TIMEOUT, format!("must be {WANTED}"));
        }
        let (value, file) = (self.redis_url.as_ref(), self.redis_url_file.as_ref());
        let url = secret(problems, "REDIS_URL", value, file);
        let url = check(problems, "REDIS_URL", url, |url| {
            shopflow_redis::check_url(url.expose())
        });
        Some(RedisConfig {
            url: url?,
            patience: Duration::from_millis(timeout),
        })
    }
}

impl OrderLimitArgs {
    /// Requests of one user in any 60 seconds, if they are limited.
    pub(super) fn check(&self, problems: &mut Problems) -> Option<u32> {
        const NAME: &str = "RATE_LIMIT_ORDERS_PER_MINUTE";
        let value = self.rate_limit_orders_per_minute.as_ref();
        per_minute(problems, NAME, value, 1000)
    }
}

impl EdgeArgs {
    pub(super) fn check(&self, problems: &mut Problems) -> Edge {
        let proxies = self.trusted_proxies.as_deref().unwrap_or_default();
        let origins = self.cors_allowed_origins.as_deref().unwrap_or_default();
        let proxies = problems.take("TRUSTED_PROXIES", proxies.parse());
        let origins = problems.take("CORS_ALLOWED_ORIGINS", origins.parse());
        Edge {
            proxies: proxies.unwrap_or_default(),
            origins: origins.unwrap_or_default(),
        }
    }
}
