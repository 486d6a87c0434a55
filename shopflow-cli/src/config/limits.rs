//! The settings of limits, proxies and pages of other origins, checked.

use shopflow_http::Edge;

use super::args::{EdgeArgs, OrderLimitArgs};
use super::problems::Problems;
use super::read::or_default;

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
