//! What every brake on failed logins promises, one function a promise. Run all of them on an
//! adapter with [`login_throttle_contract!`](crate::login_throttle_contract).

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use core_kernel::UserId;
use futures_util::future::join_all;

use crate::throttle::{AccountKey, LoginThrottle, SlowDown, Told, TooManyFailures, Turn};
use crate::user::Email;

/// A throttle that has seen nobody yet.
#[async_trait]
pub trait Fixture: Send + Sync {
    /// The throttle.
    fn throttle(&self) -> Arc<dyn LoginThrottle>;

    /// Lets so much time go by, or makes all that is counted so much older.
    async fn pass(&self, time: Duration);
}

/// Makes one `#[tokio::test]` of each promise. `$fixture` is an `async fn() -> impl Fixture`.
#[macro_export]
macro_rules! login_throttle_contract {
    ($fixture:path) => {
        $crate::login_throttle_contract!(@tests $fixture,
            from_the_sixth_failure_on_there_is_one_try_after_1_2_4_up_to_60_seconds,
            the_failure_that_begins_the_waits_says_so_and_no_other,
            accounts_are_slowed_down_apart,
            a_success_forgets_the_failures,
            failures_count_for_15_minutes,
            of_tries_at_once_no_more_are_told_than_one_after_another,
            any_number_of_right_tries_may_be_at_once,
            of_tries_that_are_due_at_once_one_is_the_only_one,
            who_only_asks_is_not_slowed_down,
        );
    };
    (@tests $fixture:path, $($promise:ident),+ $(,)?) => {$(
        #[tokio::test]
        async fn $promise() {
            $crate::testing::throttle::$promise(&$fixture().await).await;
        }
    )+};
}

fn somebody() -> AccountKey {
    let id = UserId::generate();
    AccountKey::of(&Email::normalized(&format!("{id}@example.com")))
}

async fn fail(throttle: &dyn LoginThrottle, who: AccountKey) -> Told {
    let turn = throttle.begin(who).await.expect("a turn");
    let told = throttle.end(who, turn, false).await;
    told.expect("an end that may be told")
}

async fn fail_until_slowed(throttle: &dyn LoginThrottle, who: AccountKey) {
    for _ in 0..SlowDown::FROM {
        fail(throttle, who).await;
    }
}

/// The rule of contract §8.5. (The first waits are over too soon to be looked at on a busy machine.)
pub async fn from_the_sixth_failure_on_there_is_one_try_after_1_2_4_up_to_60_seconds(
    fixture: &dyn Fixture,
) {
    let (throttle, who) = (fixture.throttle(), somebody());
    fail_until_slowed(&*throttle, who).await;
    for wait in [1, 2, 4, 8, 16, 32, 60, 60, 60] {
        let wait = Duration::from_secs(wait);
        if wait >= Duration::from_secs(32) {
            let Err(TooManyFailures(left)) = throttle.begin(who).await else {
                panic!("it is not slowed down for {wait:?}");
            };
            assert!(wait / 2 < left && left <= wait, "{left:?} of {wait:?}");
        }
        fixture.pass(wait).await;
        assert_eq!(throttle.begin(who).await, Ok(Turn::Only), "{wait:?}");
        let told = throttle.end(who, Turn::Only, false).await;
        assert_eq!(told, Ok(Told::AsBefore));
    }
}

/// So that it is written down once.
pub async fn the_failure_that_begins_the_waits_says_so_and_no_other(fixture: &dyn Fixture) {
    let (throttle, who) = (fixture.throttle(), somebody());
    for _ in 1..SlowDown::FROM {
        assert_eq!(fail(&*throttle, who).await, Told::AsBefore);
    }
    assert_eq!(fail(&*throttle, who).await, Told::Slowed);
    fixture.pass(SlowDown::FIRST).await;
    assert_eq!(fail(&*throttle, who).await, Told::AsBefore);
    // It begins anew when the failures are forgotten.
    fixture.pass(SlowDown::WINDOW).await;
    for _ in 1..SlowDown::FROM {
        assert_eq!(fail(&*throttle, who).await, Told::AsBefore);
    }
    assert_eq!(fail(&*throttle, who).await, Told::Slowed);
}

/// Nobody else waits.
pub async fn accounts_are_slowed_down_apart(fixture: &dyn Fixture) {
    let throttle = fixture.throttle();
    fail_until_slowed(&*throttle, somebody()).await;
    assert_eq!(throttle.begin(somebody()).await, Ok(Turn::Free));
}

/// The owner is as free as ever.
pub async fn a_success_forgets_the_failures(fixture: &dyn Fixture) {
    let (throttle, who) = (fixture.throttle(), somebody());
    fail_until_slowed(&*throttle, who).await;
    fixture.pass(SlowDown::FIRST).await;
    assert_eq!(throttle.begin(who).await, Ok(Turn::Only));
    let told = throttle.end(who, Turn::Only, true).await;
    assert_eq!(told, Ok(Told::AsBefore));
    assert_eq!(throttle.begin(who).await, Ok(Turn::Free));
}

/// One by one they are forgotten.
pub async fn failures_count_for_15_minutes(fixture: &dyn Fixture) {
    let (throttle, who) = (fixture.throttle(), somebody());
    for _ in 1..SlowDown::FROM {
        fail(&*throttle, who).await;
    }
    let rest = Duration::from_secs(60);
    fixture.pass(SlowDown::WINDOW - rest).await;
    assert_eq!(fail(&*throttle, who).await, Told::Slowed);
    assert_ne!(throttle.begin(who).await, Ok(Turn::Free));
    fixture.pass(rest).await;
    assert_eq!(
        throttle.begin(who).await,
        Ok(Turn::Free),
        "five are forgotten"
    );
}

/// Nobody gets more guesses by making them all at once, not even the right one.
pub async fn of_tries_at_once_no_more_are_told_than_one_after_another(fixture: &dyn Fixture) {
    let (throttle, who) = (fixture.throttle(), somebody());
    let turns = join_all((0..20).map(|_| throttle.begin(who))).await;
    assert_eq!(turns, [Ok(Turn::Free); 20]);
    let ends = join_all((0..20).map(|_| throttle.end(who, Turn::Free, false))).await;
    let told: Vec<Told> = ends.into_iter().flatten().collect();
    assert_eq!(told.len(), SlowDown::FROM);
    let slowed = told.iter().filter(|told| **told == Told::Slowed);
    assert_eq!(slowed.count(), 1);
    let right = throttle.end(who, Turn::Free, true).await;
    assert!(right.is_err(), "{right:?}");
}

/// An owner with many tabs waits for none of them.
pub async fn any_number_of_right_tries_may_be_at_once(fixture: &dyn Fixture) {
    let (throttle, who) = (fixture.throttle(), somebody());
    join_all((0..20).map(|_| throttle.begin(who))).await;
    let ends = join_all((0..20).map(|_| throttle.end(who, Turn::Free, true))).await;
    assert_eq!(ends, [Ok(Told::AsBefore); 20]);
}

/// However long the one takes: the next is due after its wait, counted from its end.
pub async fn of_tries_that_are_due_at_once_one_is_the_only_one(fixture: &dyn Fixture) {
    let (throttle, who) = (fixture.throttle(), somebody());
    fail_until_slowed(&*throttle, who).await;
    // With more failures, so that the wait between the tries is long.
    for wait in [1, 2, 4, 8, 16, 32] {
        fixture.pass(Duration::from_secs(wait)).await;
        fail(&*throttle, who).await;
    }
    fixture.pass(SlowDown::LONGEST).await;
    let turns = join_all((0..10).map(|_| throttle.begin(who))).await;
    let only: Vec<Turn> = turns.into_iter().flatten().collect();
    assert_eq!(only, [Turn::Only]);
    fixture.pass(Duration::from_secs(30)).await;
    let told = throttle.end(who, Turn::Only, false).await;
    assert_eq!(told, Ok(Told::AsBefore));
    fixture.pass(Duration::from_secs(40)).await;
    assert!(throttle.begin(who).await.is_err(), "counted from its end");
}

/// A try without an end is neither failure nor success.
pub async fn who_only_asks_is_not_slowed_down(fixture: &dyn Fixture) {
    let (throttle, who) = (fixture.throttle(), somebody());
    for _ in 0..20 {
        assert_eq!(throttle.begin(who).await, Ok(Turn::Free));
    }
}
