//! Telling a provider that fails from a message that fails.
//!
//! A message that fails alone uses up its attempts, and so do all that go to one recipient. When
//! those to several recipients in a row fail, with no success between them, the provider is out of
//! order: then sending pauses, one message at a time probes, and no attempt is used up, so that an
//! outage of an hour dead-letters nothing.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};

/// So many in a row must fail.
const TRIPS_AT: usize = 5;

/// How long a pause lasts before the next probe. Short: what is back is to be used soon.
const PAUSE: SignedDuration = SignedDuration::from_secs(2);

/// A probe that takes longer was given up; longer than any attempt takes.
const PROBE: SignedDuration = SignedDuration::from_secs(15);

/// What the breaker knows of its provider.
#[derive(Debug)]
enum State {
    /// It works, but for these in a row, by their hashes: recipients are nobody's business.
    Closed { failed: Vec<u64> },
    /// It is out of order, until somebody probes at this time or later.
    Open { probe_at: Timestamp },
}

/// The breaker of one channel.
#[derive(Debug)]
pub struct Breaker(Mutex<State>);

impl Default for Breaker {
    fn default() -> Self {
        Self(Mutex::new(State::Closed { failed: Vec::new() }))
    }
}

impl Breaker {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        // Every change is one assignment, so a panic leaves nothing half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether sending is paused.
    #[must_use]
    pub fn is_open(&self) -> bool {
        matches!(*self.state(), State::Open { .. })
    }

    /// Whether a message may be sent now. While the provider is out of order that is one, which
    /// probes, every two seconds.
    #[must_use]
    pub fn admits(&self, now: Timestamp) -> bool {
        match &mut *self.state() {
            State::Closed { .. } => true,
            State::Open { probe_at } if now >= *probe_at => {
                *probe_at = now.saturating_add(PROBE).unwrap_or(now);
                true
            }
            State::Open { .. } => false,
        }
    }

    /// The provider has answered as it should, be it a refusal. True when that ends a pause.
    pub fn succeeded(&self) -> bool {
        let mut state = self.state();
        let was_open = matches!(*state, State::Open { .. });
        *state = State::Closed { failed: Vec::new() };
        was_open
    }

    /// The provider has failed for `whom`: a recipient, or whatever may be the cause if it is not the
    /// provider. True when sending is paused now.
    pub fn failed(&self, whom: impl Hash, now: Timestamp) -> bool {
        let mut hasher = DefaultHasher::new();
        whom.hash(&mut hasher);
        let whom = hasher.finish();
        let mut state = self.state();
        let tripped = match &mut *state {
            State::Closed { failed } => {
                if !failed.contains(&whom) {
                    failed.push(whom);
                }
                failed.len() >= TRIPS_AT
            }
            State::Open { .. } => true,
        };
        if tripped {
            let probe_at = now.saturating_add(PAUSE).unwrap_or(now);
            *state = State::Open { probe_at };
        }
        tripped
    }
}

#[cfg(test)]
mod tests {
    use core_kernel::{Clock, SystemClock};

    use super::*;

    fn after(now: Timestamp, seconds: i64) -> Timestamp {
        now.checked_add(SignedDuration::from_secs(seconds)).unwrap()
    }

    fn tripped(now: Timestamp) -> Breaker {
        let breaker = Breaker::default();
        for whom in 0..TRIPS_AT {
            breaker.failed(whom, now);
        }
        assert!(breaker.is_open());
        breaker
    }

    #[test]
    fn one_recipient_for_whom_everything_fails_trips_nothing() {
        let (breaker, now) = (Breaker::default(), SystemClock.now());
        for _ in 0..100 {
            assert!(!breaker.failed("jane@example.com", now));
            assert!(breaker.admits(now));
        }
    }

    #[test]
    fn the_fifth_recipient_in_a_row_pauses_sending() {
        let (breaker, now) = (Breaker::default(), SystemClock.now());
        let failures: Vec<bool> = (0..5).map(|whom| breaker.failed(whom, now)).collect();
        assert_eq!(failures, [false, false, false, false, true]);
        assert!(!breaker.admits(now));
    }

    #[test]
    fn a_success_between_them_begins_the_count_anew() {
        let (breaker, now) = (Breaker::default(), SystemClock.now());
        for whom in 0..20 {
            assert!(!breaker.failed(whom, now));
            assert!(!breaker.failed(whom + 100, now));
            assert!(!breaker.succeeded());
        }
    }

    #[test]
    fn after_a_pause_one_message_probes_at_a_time() {
        let now = SystemClock.now();
        let breaker = tripped(now);
        assert!(!breaker.admits(after(now, 1)));
        let later = after(now, 2);
        assert!(breaker.admits(later));
        assert!(!breaker.admits(later));
        // Its failure is the begin of the next pause.
        assert!(breaker.failed(0, later));
        assert!(!breaker.admits(after(later, 1)));
        assert!(breaker.admits(after(later, 2)));
    }

    #[test]
    fn a_probe_that_was_given_up_does_not_pause_for_ever() {
        let now = SystemClock.now();
        let breaker = tripped(now);
        assert!(breaker.admits(after(now, 2)));
        assert!(!breaker.admits(after(now, 16)));
        assert!(breaker.admits(after(now, 17)));
    }

    #[test]
    fn the_first_success_lets_everybody_through() {
        let now = SystemClock.now();
        let breaker = tripped(now);
        assert!(breaker.admits(after(now, 2)));
        assert!(breaker.succeeded());
        assert!(!breaker.is_open());
        assert!(breaker.admits(now) && breaker.admits(now));
    }
}
