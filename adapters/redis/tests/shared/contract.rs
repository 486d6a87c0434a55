//! The contract suites.

use core_auth::testing::throttle::Fixture as ThrottleFixture;
use core_kernel::testing::contract::Fixture as LimiterFixture;

use super::*;

/// Makes every time that is kept, and every key, older by ARGV[1] milliseconds. The probe's key is
/// left out: it may be written meanwhile.
const AGE: &str = "
    for _, key in ipairs(redis.call('KEYS', 'shopflow:*')) do
      if key ~= 'shopflow:limit:probe' then
        local left = redis.call('PTTL', key) - ARGV[1]
        local times = redis.call('LRANGE', key, 0, -1)
        redis.call('DEL', key)
        if left > 0 then
          for index, time in ipairs(times) do
            times[index] = time - ARGV[1]
          end
          redis.call('RPUSH', key, unpack(times))
          redis.call('PEXPIRE', key, left)
        end
      end
    end";

struct Shared {
    url: String,
    redis: Arc<Redis>,
}

async fn shared() -> Shared {
    let url = database().await;
    let redis = replica(&url).await;
    Shared { url, redis }
}

impl Shared {
    async fn age(&self, time: Duration) {
        let mut connection = shopflow_testkit::Redis::connection(&self.url).await;
        let script = redis::Script::new(AGE);
        let mut script = script.prepare_invoke();
        script.arg(u64::try_from(time.as_millis()).unwrap());
        let () = script.invoke_async(&mut connection).await.unwrap();
    }
}

#[async_trait]
impl LimiterFixture for Shared {
    fn limiter(&self, limit: Limit) -> Arc<dyn RateLimiter> {
        Arc::new(limiter(&self.redis, limit))
    }

    async fn pass(&self, time: Duration) {
        self.age(time).await;
    }
}

#[async_trait]
impl ThrottleFixture for Shared {
    fn throttle(&self) -> Arc<dyn LoginThrottle> {
        Arc::new(throttle(&self.redis))
    }

    async fn pass(&self, time: Duration) {
        self.age(time).await;
    }
}

core_kernel::rate_limiter_contract!(shared);
core_auth::login_throttle_contract!(shared);
