//! The promises of limiters and brakes on a real Redis, and what only this adapter promises.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on says where it stopped"
)]

mod contract;
mod outages;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use core_auth::{AccountKey, Email, LoginThrottle, Told, TooManyFailures, Turn};
use core_kernel::{Decision, Limit, LimitKey, RateLimiter, UserId};
use shopflow_limits::{MemoryLimiter, MemoryThrottle};
use shopflow_redis::{Redis, RedisLimiter, RedisThrottle};
use shopflow_testkit::wait_until;

/// No decision is to be made without Redis because this machine is busy.
const PATIENT: Duration = Duration::from_secs(30);

/// By then one of many tries to connect is quick enough.
const CONNECTS: Duration = Duration::from_secs(60);

/// What decides while Redis is away, in tests in which it never is.
struct Nobody(Limit);

#[async_trait]
impl RateLimiter for Nobody {
    fn limit(&self) -> Limit {
        self.0
    }

    async fn check(&self, _: LimitKey) -> Decision {
        panic!("decided without Redis");
    }
}

#[async_trait]
impl LoginThrottle for Nobody {
    async fn begin(&self, _: AccountKey) -> Result<Turn, TooManyFailures> {
        panic!("decided without Redis");
    }

    async fn end(&self, _: AccountKey, _: Turn, _: bool) -> Result<Told, TooManyFailures> {
        panic!("decided without Redis");
    }
}

/// One replica's connection.
async fn replica(url: &str) -> Arc<Redis> {
    let redis = Redis::new(url, PATIENT).unwrap();
    connected(&redis).await;
    Arc::new(redis)
}

/// Connects as the services do: again, where it took too long.
async fn connected(redis: &Redis) {
    wait_until("limits are shared", CONNECTS, async || {
        redis.connect().await
    })
    .await;
}

fn limiter(redis: &Arc<Redis>, limit: Limit) -> RedisLimiter {
    RedisLimiter::new(redis.clone(), Arc::new(Nobody(limit)))
}

fn throttle(redis: &Arc<Redis>) -> RedisThrottle {
    let local = Nobody(Limit::per_minute("unused", 1));
    RedisThrottle::new(redis.clone(), Arc::new(local))
}

async fn database() -> String {
    shopflow_testkit::redis().await.database().await
}

#[tokio::test]
async fn replicas_count_together() {
    let url = database().await;
    let replicas = [replica(&url).await, replica(&url).await];
    let limit = Limit::per_minute("test", 10);
    let limiters = replicas.each_ref().map(|redis| limiter(redis, limit));
    let who = LimitKey::User(UserId::generate());
    for left in (0..10).rev() {
        let decision = limiters[left % 2].check(who).await;
        assert_eq!((decision.allowed, decision.remaining), (true, left as u32));
    }
    for limiter in &limiters {
        assert!(!limiter.check(who).await.allowed);
    }

    let throttles = replicas.each_ref().map(throttle);
    let jane = AccountKey::of(&Email::normalized("jane@example.com"));
    for index in 0..6 {
        let throttle = &throttles[index % 2];
        assert_eq!(throttle.begin(jane).await, Ok(Turn::Free));
        throttle.end(jane, Turn::Free, false).await.unwrap();
    }
    for throttle in &throttles {
        assert_ne!(throttle.begin(jane).await, Ok(Turn::Free));
    }
}

#[tokio::test]
async fn every_key_expires_and_none_has_an_email_in_it() {
    let url = database().await;
    let redis = replica(&url).await;
    let limit = Limit::per_minute("auth", 10);
    let address = LimitKey::of_address("192.0.2.1".parse().unwrap());
    limiter(&redis, limit).check(address).await;
    let (throttle, email) = (throttle(&redis), Email::normalized("jane@example.com"));
    let jane = AccountKey::of(&email);
    throttle.end(jane, Turn::Free, false).await.unwrap();
    let mut keys = shopflow_testkit::Redis::keys(&url).await;
    keys.retain(|key| key != "shopflow:limit:probe");
    let hashed = format!("shopflow:logins:{jane}");
    assert_eq!(keys, ["shopflow:limit:auth:192.0.2.1", &hashed]);
    let mut connection = shopflow_testkit::Redis::connection(&url).await;
    for (key, most) in keys.iter().zip([60_000, 900_000]) {
        let mut left = redis::cmd("PTTL");
        let left: i64 = left.arg(key).query_async(&mut connection).await.unwrap();
        assert!((1..=most).contains(&left), "{key}: {left}");
    }
}

#[tokio::test]
async fn what_only_asks_or_succeeds_leaves_nothing() {
    let url = database().await;
    let redis = replica(&url).await;
    let throttle = throttle(&redis);
    let jane = AccountKey::of(&Email::normalized("jane@example.com"));
    for right in [false, true] {
        let turn = throttle.begin(jane).await.unwrap();
        throttle.end(jane, turn, right).await.unwrap();
    }
    let keys = shopflow_testkit::Redis::keys(&url).await;
    assert!(
        keys.iter().all(|key| key == "shopflow:limit:probe"),
        "{keys:?}"
    );
}

#[test]
fn only_urls_of_redis_are_taken_and_none_is_shown() {
    for good in [
        "redis://localhost",
        "redis://user:secret@cache.internal:6380/2",
        "rediss://:secret@cache.internal",
    ] {
        shopflow_redis::check_url(good).unwrap();
    }
    for bad in [
        "",
        "localhost:6379",
        "http://user:secret@localhost",
        "redis://:secret@/0/x",
    ] {
        let error = shopflow_redis::check_url(bad).expect_err(bad);
        let told = core_kernel::chain(&error);
        assert!(told.contains("must be a Redis URL"), "{told}");
        assert!(!told.contains("secret"), "{told}");
    }
}
