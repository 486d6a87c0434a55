//! What every limiter promises, one function a promise. Run all of them on an adapter with
//! [`rate_limiter_contract!`](crate::rate_limiter_contract).

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::join_all;

use crate::{Decision, Limit, LimitKey, RateLimiter, UserId};

/// What limiters count in, which nobody else uses.
#[async_trait]
pub trait Fixture: Send + Sync {
    /// A limiter on it.
    fn limiter(&self, limit: Limit) -> Arc<dyn RateLimiter>;

    /// Lets so much time go by, or makes all that is counted so much older.
    async fn pass(&self, time: Duration);
}

/// Makes one `#[tokio::test]` of each promise. `$fixture` is an `async fn() -> impl Fixture`.
#[macro_export]
macro_rules! rate_limiter_contract {
    ($fixture:path) => {
        $crate::rate_limiter_contract!(@tests $fixture,
            so_many_are_allowed_and_the_next_is_refused,
            a_request_counts_for_its_whole_window_and_no_longer,
            what_is_refused_does_not_count,
            callers_are_counted_apart,
            the_addresses_of_an_ipv6_network_are_counted_together,
            limits_are_counted_apart_by_their_names,
            of_many_at_once_no_more_are_allowed_than_the_limit_says,
        );
    };
    (@tests $fixture:path, $($promise:ident),+ $(,)?) => {$(
        #[tokio::test]
        async fn $promise() {
            $crate::testing::contract::$promise(&$fixture().await).await;
        }
    )+};
}

const MINUTE: Duration = Duration::from_secs(60);

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn somebody() -> LimitKey {
    LimitKey::User(UserId::generate())
}

/// The clock of a store goes on while it is asked; this much is left to it.
fn is_about(time: Duration, wanted: Duration) -> bool {
    time <= wanted && wanted <= time + seconds(20)
}

/// Each answer tells what is left, and a refused one how long to wait.
pub async fn so_many_are_allowed_and_the_next_is_refused(fixture: &dyn Fixture) {
    let limiter = fixture.limiter(Limit::per_minute("test", 5));
    assert_eq!(limiter.limit(), Limit::per_minute("test", 5));
    let who = somebody();
    for left in [4, 3, 2, 1, 0] {
        let decision = limiter.check(who).await;
        assert!(decision.allowed, "{decision:?}");
        assert_eq!(decision.remaining, left);
        assert!(is_about(decision.reset_after, MINUTE), "{decision:?}");
    }
    let Decision {
        allowed,
        remaining,
        reset_after,
    } = limiter.check(who).await;
    assert_eq!((allowed, remaining), (false, 0));
    assert!(is_about(reset_after, MINUTE), "{reset_after:?}");
}

/// The window slides: what is older than it is forgotten one by one, not all at once.
pub async fn a_request_counts_for_its_whole_window_and_no_longer(fixture: &dyn Fixture) {
    let limiter = fixture.limiter(Limit::per_minute("test", 2));
    let who = somebody();
    assert!(limiter.check(who).await.allowed);
    fixture.pass(seconds(30)).await;
    assert!(limiter.check(who).await.allowed);
    let refused = limiter.check(who).await;
    assert!(!refused.allowed);
    assert!(is_about(refused.reset_after, seconds(30)), "{refused:?}");
    fixture.pass(seconds(30)).await;
    assert!(limiter.check(who).await.allowed, "the first is forgotten");
    assert!(!limiter.check(who).await.allowed, "the second is not");
}

/// Who goes on asking while refused is not kept out any longer for it.
pub async fn what_is_refused_does_not_count(fixture: &dyn Fixture) {
    let limiter = fixture.limiter(Limit::per_minute("test", 1));
    let who = somebody();
    assert!(limiter.check(who).await.allowed);
    for _ in 0..4 {
        fixture.pass(seconds(8)).await;
        assert!(!limiter.check(who).await.allowed);
    }
    fixture.pass(seconds(28)).await;
    assert!(limiter.check(who).await.allowed);
}

/// Addresses of both families and users.
pub async fn callers_are_counted_apart(fixture: &dyn Fixture) {
    let limiter = fixture.limiter(Limit::per_minute("test", 1));
    let address = |text: &str| LimitKey::of_address(text.parse().expect("an address"));
    let addresses = ["192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8:0:1::1"].map(address);
    for who in addresses.into_iter().chain([somebody(), somebody()]) {
        assert!(limiter.check(who).await.allowed, "{who:?}");
        assert!(!limiter.check(who).await.allowed, "{who:?}");
    }
}

/// A customer of a provider has a /64 at least, and would be a new caller with each address of it.
pub async fn the_addresses_of_an_ipv6_network_are_counted_together(fixture: &dyn Fixture) {
    let limiter = fixture.limiter(Limit::per_minute("test", 1));
    let [one, other] = ["2001:db8:1:2::1", "2001:db8:1:2:ffff::9"].map(|text| {
        let address: IpAddr = text.parse().expect("an address");
        LimitKey::of_address(address)
    });
    assert!(limiter.check(one).await.allowed);
    assert!(!limiter.check(other).await.allowed);
}

/// Services that share a store do not count each other's requests.
pub async fn limits_are_counted_apart_by_their_names(fixture: &dyn Fixture) {
    let one = fixture.limiter(Limit::per_minute("one", 1));
    let other = fixture.limiter(Limit::per_minute("other", 1));
    let who = somebody();
    for limiter in [one, other] {
        assert!(limiter.check(who).await.allowed);
        assert!(!limiter.check(who).await.allowed);
    }
}

/// Exact also where requests race.
pub async fn of_many_at_once_no_more_are_allowed_than_the_limit_says(fixture: &dyn Fixture) {
    let limiter = fixture.limiter(Limit::per_minute("test", 20));
    let who = somebody();
    let decisions = join_all((0..60).map(|_| limiter.check(who))).await;
    let allowed = decisions.iter().filter(|decision| decision.allowed).count();
    assert_eq!(allowed, 20);
}
