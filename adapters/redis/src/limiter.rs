//! An exact sliding window.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use async_trait::async_trait;
use core_kernel::{Decision, Limit, LimitKey, RateLimiter};
use redis::{Script, ScriptInvocation};

use crate::connection::Redis;

static SCRIPT: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("limit.lua")));

/// Holds callers to a limit, counting them for all replicas.
///
/// A caller is one key, `shopflow:limit:<limit>:<address or user>`, of about 12 bytes a request that
/// counts; it expires a window after the last of them.
#[derive(Clone)]
pub struct RedisLimiter {
    redis: Arc<Redis>,
    local: Arc<dyn RateLimiter>,
}

impl RedisLimiter {
    /// The limit of `local`, which decides while Redis is away.
    #[must_use]
    pub fn new(redis: Arc<Redis>, local: Arc<dyn RateLimiter>) -> Self {
        Self { redis, local }
    }
}

/// A request of nobody. It shows whether Redis answers and can write.
pub(crate) fn probe() -> ScriptInvocation<'static> {
    let mut script = SCRIPT.key("shopflow:limit:probe");
    script.arg(1000).arg(1);
    script
}

#[async_trait]
impl RateLimiter for RedisLimiter {
    fn limit(&self) -> Limit {
        self.local.limit()
    }

    async fn check(&self, key: LimitKey) -> Decision {
        let Limit {
            name,
            requests,
            window,
        } = self.limit();
        let mut script = SCRIPT.key(match key {
            LimitKey::Address(address) => format!("shopflow:limit:{name}:{address}"),
            LimitKey::User(user) => format!("shopflow:limit:{name}:{user}"),
        });
        script.arg(millis(window)).arg(requests);
        match self.redis.decide(&script).await {
            Some((allowed, remaining, reset)) => Decision {
                allowed,
                remaining,
                reset_after: Duration::from_millis(reset),
            },
            None => self.local.check(key).await,
        }
    }
}

/// Whole milliseconds.
#[expect(
    clippy::cast_possible_truncation,
    reason = "64 bits are enough for half a billion years"
)]
pub(crate) const fn millis(time: Duration) -> u64 {
    time.as_millis() as u64
}
