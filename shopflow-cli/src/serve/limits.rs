//! Who counts: this instance for itself, or all replicas together in Redis.

use std::sync::Arc;

use anyhow::Context;
use core_auth::LoginThrottle;
use core_kernel::{Limit, RateLimiter};
use shopflow_amqp::Backoff;
use shopflow_limits::{MemoryLimiter, MemoryThrottle};
use shopflow_redis::{Redis, RedisLimiter, RedisThrottle};

use crate::config::RedisConfig;
use crate::lifecycle::Lifecycle;

/// Makes limiters and brakes.
#[derive(Default)]
pub(crate) struct Limits(Option<Arc<Redis>>);

impl Limits {
    /// Those of a Redis, if one is given. It is connected, and connected again, in the background;
    /// nothing waits for it.
    ///
    /// # Errors
    /// When its URL is none.
    pub(crate) fn new(
        lifecycle: &mut Lifecycle,
        redis: Option<RedisConfig>,
    ) -> anyhow::Result<Self> {
        let Some(config) = redis else {
            return Ok(Self::default());
        };
        let redis = Redis::new(config.url.expose(), config.patience).context("REDIS_URL")?;
        let redis = Arc::new(redis);
        let (kept, mut served) = (redis.clone(), lifecycle.served());
        lifecycle.spawn("shared limits", async move {
            tokio::select! {
                () = keep_connected(&kept) => {}
                _ = served.wait_for(|served| *served) => {}
            }
        });
        Ok(Self(Some(redis)))
    }

    pub(crate) fn limiter(&self, limit: Limit) -> Arc<dyn RateLimiter> {
        let local = Arc::new(MemoryLimiter::new(limit));
        match &self.0 {
            Some(redis) => Arc::new(RedisLimiter::new(redis.clone(), local)),
            None => local,
        }
    }

    pub(crate) fn throttle(&self) -> Arc<dyn LoginThrottle> {
        let local = Arc::new(MemoryThrottle::default());
        match &self.0 {
            Some(redis) => Arc::new(RedisThrottle::new(redis.clone(), local)),
            None => local,
        }
    }
}

async fn keep_connected(redis: &Redis) {
    let mut backoff = Backoff::default();
    loop {
        if redis.connect().await {
            backoff.reset();
            redis.until_lost().await;
        }
        backoff.pause().await;
    }
}
