//! An exact sliding window.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use core_kernel::{Decision, Limit, LimitKey, RateLimiter};

use crate::generations::{Generations, HeapSize};
use crate::ticks::{Ticks, Uptime, millis};

/// Holds callers to a limit, exactly: it knows when each of their requests was that still counts.
///
/// A check takes one short lock, well below a microsecond, and allocates only while a caller has
/// more requests in the window than ever before.
pub struct MemoryLimiter {
    limit: Limit,
    window: u64,
    ticks: Arc<dyn Ticks>,
    callers: Mutex<Generations<LimitKey, Ring>>,
}

/// When the requests were that count: milliseconds on the clock, without what 32 bits cannot hold.
/// That is 49 days, and nothing is kept for longer than two windows, so differences are right.
#[derive(Debug, Default)]
struct Ring(VecDeque<u32>);

impl HeapSize for Ring {
    fn heap_size(&self) -> usize {
        self.0.capacity() * size_of::<u32>()
    }
}

impl Ring {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the lower bits are what is wanted"
    )]
    fn check(&mut self, now: u64, window: u64, requests: u32) -> (bool, u32, u64) {
        let now = now as u32;
        let age = |at: &u32| u64::from(now.wrapping_sub(*at));
        while self.0.front().is_some_and(|at| age(at) >= window) {
            self.0.pop_front();
        }
        // No more than `requests`, so it fits.
        let count = self.0.len() as u32;
        let allowed = count < requests;
        if allowed {
            self.0.push_back(now);
        }
        let remaining = requests - count - u32::from(allowed);
        let reset = self.0.front().map_or(window, |oldest| window - age(oldest));
        (allowed, remaining, reset)
    }
}

impl MemoryLimiter {
    /// What all callers together take at most, in bytes: 16 MiB. That holds at least 27,000 callers
    /// with one request each in the last minute, or 10,000 with a hundred, and twice as many usually.
    pub const MEMORY: usize = 16 * 1024 * 1024;

    /// A limiter that has seen nobody yet.
    #[must_use]
    pub fn new(limit: Limit) -> Self {
        Self::with_ticks(limit, Arc::new(Uptime::default()))
    }

    /// The same by another clock.
    #[must_use]
    pub fn with_ticks(limit: Limit, ticks: Arc<dyn Ticks>) -> Self {
        let window = millis(limit.window);
        Self {
            limit,
            window,
            ticks,
            callers: Mutex::new(Generations::new(window, Self::MEMORY)),
        }
    }

    fn decide(&self, key: LimitKey) -> Decision {
        let ((allowed, remaining, reset), forgotten) = {
            // A panic while it was held left at worst one request uncounted.
            let mut callers = self.callers.lock().unwrap_or_else(PoisonError::into_inner);
            // Read under the lock, so that the times in a ring never go back.
            let now = millis(self.ticks.elapsed());
            callers.with(now, key, |ring| {
                ring.check(now, self.window, self.limit.requests)
            })
        };
        drop(forgotten);
        Decision {
            allowed,
            remaining,
            reset_after: Duration::from_millis(reset),
        }
    }
}

#[async_trait]
impl RateLimiter for MemoryLimiter {
    fn limit(&self) -> Limit {
        self.limit
    }

    async fn check(&self, key: LimitKey) -> Decision {
        self.decide(key)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ticks::testing::Manual;

    fn limiter(requests: u32) -> (MemoryLimiter, Manual) {
        let ticks = Manual::default();
        let limit = Limit::per_minute("test", requests);
        let limiter = MemoryLimiter::with_ticks(limit, Arc::new(ticks.clone()));
        (limiter, ticks)
    }

    fn address(last: u8) -> LimitKey {
        LimitKey::of_address([192, 0, 2, last].into())
    }

    #[test]
    fn the_101st_request_in_any_60_seconds_is_refused_however_they_are_spread() {
        for gap in [0, 1, 10, 599] {
            let (limiter, ticks) = limiter(100);
            for index in 0..100 {
                let decision = limiter.decide(address(1));
                assert!(decision.allowed, "{gap}: {index}");
                assert_eq!(decision.remaining, 99 - index);
                ticks.advance(gap);
            }
            let wait = 60_000 - 100 * gap;
            let refused = Decision {
                allowed: false,
                remaining: 0,
                reset_after: Duration::from_millis(wait),
            };
            assert_eq!(limiter.decide(address(1)), refused, "{gap}");
            assert!(limiter.decide(address(2)).allowed, "another one");
            ticks.advance(wait - 1);
            assert!(!limiter.decide(address(1)).allowed, "{gap}");
            ticks.advance(1);
            assert!(limiter.decide(address(1)).allowed, "{gap}");
        }
    }

    #[test]
    fn the_wrap_of_32_bits_changes_nothing() {
        let (limiter, ticks) = limiter(2);
        ticks.advance(u64::from(u32::MAX) - 1000);
        assert!(limiter.decide(address(1)).allowed);
        ticks.advance(2000);
        assert!(limiter.decide(address(1)).allowed);
        assert_eq!(
            limiter.decide(address(1)).reset_after,
            Duration::from_secs(58)
        );
        ticks.advance(58_000);
        assert!(limiter.decide(address(1)).allowed);
        // Exactly one turn of the clock later nothing is left of before.
        ticks.advance(u64::from(u32::MAX) + 1);
        assert_eq!(limiter.decide(address(1)).remaining, 1);
    }

    #[test]
    fn of_many_at_once_no_more_are_allowed_than_the_limit_says() {
        let (limiter, _) = limiter(100);
        let allowed: usize = std::thread::scope(|scope| {
            let tries = || {
                (0..100)
                    .filter(|_| limiter.decide(address(1)).allowed)
                    .count()
            };
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(tries)).collect();
            threads.into_iter().map(|one| one.join().unwrap()).sum()
        });
        assert_eq!(allowed, 100);
    }

    proptest! {
        #[test]
        fn it_decides_as_a_list_of_all_requests_would(
            requests in 1_u32..6,
            steps in prop::collection::vec((0_u64..40_000, 1_u8..4), 1..200),
        ) {
            let (limiter, ticks) = limiter(requests);
            let (mut now, mut allowed) = (0, Vec::new());
            for (gap, who) in steps {
                ticks.advance(gap);
                now += gap;
                let counted: Vec<u64> = allowed
                    .iter()
                    .filter(|(one, at)| *one == who && now - at < 60_000)
                    .map(|(_, at)| *at)
                    .collect();
                let may = counted.len() < requests as usize;
                let oldest = counted.first().copied().unwrap_or(now);
                let decision = limiter.decide(address(who));
                prop_assert_eq!(decision.allowed, may);
                let left = requests as usize - counted.len() - usize::from(may);
                prop_assert_eq!(decision.remaining as usize, left);
                let reset = Duration::from_millis(60_000 - (now - oldest));
                prop_assert_eq!(decision.reset_after, reset);
                if may {
                    allowed.push((who, now));
                }
            }
        }
    }
}
