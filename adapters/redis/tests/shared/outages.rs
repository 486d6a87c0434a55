//! A Redis that is away, hangs, or comes back.

use std::time::Instant;

use shopflow_testkit::Proxy;

use super::*;

/// A limiter of one request a minute behind a proxy, with such a limiter in memory beside it.
struct Trial {
    proxy: Proxy,
    redis: Arc<Redis>,
    limiter: RedisLimiter,
    throttle: RedisThrottle,
}

async fn trial(patience: Duration) -> Trial {
    let url = database().await;
    let proxy = Proxy::for_url(&url);
    let redis = Arc::new(Redis::new(&proxy.proxied_url(&url), patience).unwrap());
    connected(&redis).await;
    let local = Arc::new(MemoryLimiter::new(Limit::per_minute("test", 1)));
    let brake = Arc::new(MemoryThrottle::default());
    Trial {
        proxy,
        limiter: RedisLimiter::new(redis.clone(), local),
        throttle: RedisThrottle::new(redis.clone(), brake),
        redis,
    }
}

#[tokio::test]
async fn without_redis_each_counts_alone_and_with_it_together_again() {
    let trial = trial(PATIENT).await;
    let who = LimitKey::User(UserId::generate());
    assert!(trial.limiter.check(who).await.allowed);
    assert!(!trial.limiter.check(who).await.allowed);
    trial.proxy.cut();
    assert!(trial.limiter.check(who).await.allowed, "counted alone");
    assert!(!trial.limiter.check(who).await.allowed);
    trial.redis.until_lost().await;
    assert!(!trial.redis.connect().await);
    trial.proxy.heal();
    connected(&trial.redis).await;
    let decision = trial.limiter.check(who).await;
    assert!(!decision.allowed, "what was counted together still counts");
}

#[tokio::test]
async fn the_brake_holds_without_redis_too() {
    let trial = trial(PATIENT).await;
    trial.proxy.cut();
    let jane = AccountKey::of(&Email::normalized("jane@example.com"));
    for told in [[Told::AsBefore; 5].as_slice(), &[Told::Slowed]].concat() {
        assert_eq!(trial.throttle.begin(jane).await, Ok(Turn::Free));
        let end = trial.throttle.end(jane, Turn::Free, false).await;
        assert_eq!(end, Ok(told));
    }
    assert_ne!(trial.throttle.begin(jane).await, Ok(Turn::Free));
}

#[tokio::test]
async fn a_connection_that_breaks_while_nobody_asks_is_missed() {
    let trial = trial(PATIENT).await;
    trial.proxy.cut();
    trial.redis.until_lost().await;
}

#[tokio::test]
async fn a_redis_that_hangs_is_waited_for_once() {
    let patience = Duration::from_millis(500);
    let trial = trial(patience).await;
    trial.proxy.black_hole();
    let begun = Instant::now();
    for _ in 0..40 {
        trial
            .limiter
            .check(LimitKey::User(UserId::generate()))
            .await;
    }
    let took = begun.elapsed();
    assert!(patience <= took && took < patience * 20, "{took:?}");
    trial.redis.until_lost().await;
    trial.proxy.heal();
    connected(&trial.redis).await;
}

#[tokio::test]
async fn an_answer_that_comes_late_but_within_the_patience_counts() {
    let server = shopflow_testkit::Redis::private().await;
    let redis = replica(&server.url()).await;
    let mut connection = shopflow_testkit::Redis::connection(&server.url()).await;
    // It answers nobody for so long, and then all who asked.
    let mut pause = redis::cmd("CLIENT");
    pause.arg("PAUSE").arg(2000).arg("ALL");
    let () = pause.query_async(&mut connection).await.unwrap();
    let limiter = limiter(&redis, Limit::per_minute("test", 1));
    let who = LimitKey::User(UserId::generate());
    assert!(limiter.check(who).await.allowed);
    assert!(!limiter.check(who).await.allowed);
}

#[tokio::test]
async fn a_redis_that_cannot_write_is_as_good_as_away() {
    let server = shopflow_testkit::Redis::private().await;
    let mut connection = shopflow_testkit::Redis::connection(&server.url()).await;
    let mut set = redis::cmd("CONFIG");
    set.arg("SET").arg("maxmemory").arg("1");
    let () = set.query_async(&mut connection).await.unwrap();
    let redis = Redis::new(&server.url(), PATIENT).unwrap();
    assert!(!redis.connect().await);
}
