//! Failed logins by account.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use async_trait::async_trait;
use core_auth::{AccountKey, LoginThrottle, SlowDown, Told, TooManyFailures, Turn};
use redis::Script;

use crate::connection::Redis;
use crate::limiter::millis;

static SCRIPT: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("throttle.lua")));

/// Slows guessing down by the rule of [`LoginThrottle`], counting failures for all replicas.
///
/// An account with failures is one key, `shopflow:logins:<hash of the address>`, of about 150 bytes;
/// it expires 15 minutes after the last failure.
#[derive(Clone)]
pub struct RedisThrottle {
    redis: Arc<Redis>,
    local: Arc<dyn LoginThrottle>,
}

impl RedisThrottle {
    /// `local` decides while Redis is away.
    #[must_use]
    pub fn new(redis: Arc<Redis>, local: Arc<dyn LoginThrottle>) -> Self {
        Self { redis, local }
    }

    /// What the script says of a try, with how long to wait.
    async fn ask(&self, account: AccountKey, what: &str, turn: Turn) -> Option<(String, Duration)> {
        let mut script = SCRIPT.key(format!("shopflow:logins:{account}"));
        script.arg(what).arg(match turn {
            Turn::Free => "free",
            Turn::Only => "only",
        });
        script
            .arg(millis(SlowDown::WINDOW))
            .arg(SlowDown::FROM)
            .arg(millis(SlowDown::FIRST))
            .arg(millis(SlowDown::LONGEST))
            .arg(SlowDown::KEPT);
        let (word, wait): (String, u64) = self.redis.decide(&script).await?;
        // At least a millisecond, for a try that was not told although the next is due.
        Some((word, Duration::from_millis(wait.max(1))))
    }
}

#[async_trait]
impl LoginThrottle for RedisThrottle {
    async fn begin(&self, account: AccountKey) -> Result<Turn, TooManyFailures> {
        match self.ask(account, "begin", Turn::Free).await {
            Some((word, wait)) => match word.as_str() {
                "wait" => Err(TooManyFailures(wait)),
                "only" => Ok(Turn::Only),
                _ => Ok(Turn::Free),
            },
            None => self.local.begin(account).await,
        }
    }

    async fn end(
        &self,
        account: AccountKey,
        turn: Turn,
        right: bool,
    ) -> Result<Told, TooManyFailures> {
        let what = if right { "succeeded" } else { "failed" };
        match self.ask(account, what, turn).await {
            Some((word, wait)) => match word.as_str() {
                "wait" => Err(TooManyFailures(wait)),
                "slowed" => Ok(Told::Slowed),
                _ => Ok(Told::AsBefore),
            },
            None => self.local.end(account, turn, right).await,
        }
    }
}
