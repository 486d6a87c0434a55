//! Failed logins by account.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use core_auth::{AccountKey, LoginThrottle, SlowDown, Told, TooManyFailures, Turn};

use crate::generations::{Forgotten, Generations, HeapSize};
use crate::ticks::{Ticks, Uptime, millis};

const WINDOW: u64 = millis(SlowDown::WINDOW);

type Accounts = Generations<AccountKey, Failures>;
type Gone = Forgotten<AccountKey, Failures>;

/// Slows guessing down by the rule of [`LoginThrottle`].
pub struct MemoryThrottle {
    ticks: Arc<dyn Ticks>,
    accounts: Mutex<Accounts>,
}

/// The failures of one account.
#[derive(Debug, Default)]
struct Failures {
    /// When the last ones were, oldest first: as many as matter.
    at: [u64; SlowDown::KEPT],
    count: usize,
    /// When the next try is due.
    due: u64,
}

impl HeapSize for Failures {
    fn heap_size(&self) -> usize {
        0
    }
}

impl Failures {
    fn forget_old(&mut self, now: u64) {
        let old = self.at[..self.count]
            .iter()
            .filter(|at| now.saturating_sub(**at) >= WINDOW)
            .count();
        self.at.copy_within(old..self.count, 0);
        self.count -= old;
    }

    fn add(&mut self, now: u64) {
        if self.count == SlowDown::KEPT {
            self.at.copy_within(1.., 0);
            self.count -= 1;
        }
        self.at[self.count] = now;
        self.count += 1;
        self.due = now + self.wait().unwrap_or(0);
    }

    /// How long to wait between two tries; `None` while they are free.
    fn wait(&self) -> Option<u64> {
        let beyond = self.count.checked_sub(SlowDown::FROM)?;
        Some((millis(SlowDown::FIRST) << beyond).min(millis(SlowDown::LONGEST)))
    }

    fn begin(&mut self, now: u64) -> Result<Turn, u64> {
        self.forget_old(now);
        if self.wait().is_none() {
            return Ok(Turn::Free);
        }
        if now < self.due {
            return Err(self.due - now);
        }
        // It counts from now on, so that no other try gets it too, however long this one takes.
        self.add(now);
        Ok(Turn::Only)
    }

    /// Whether the end of a try may be told.
    fn tell(&mut self, now: u64, turn: Turn) -> Result<(), u64> {
        self.forget_old(now);
        match (turn, self.wait()) {
            (Turn::Free, Some(_)) => Err(self.due.saturating_sub(now)),
            _ => Ok(()),
        }
    }

    fn fail(&mut self, now: u64, turn: Turn) -> Result<Told, u64> {
        self.tell(now, turn)?;
        match turn {
            Turn::Free => self.add(now),
            // Counted when it began; the wait begins anew.
            Turn::Only => self.due = now + self.wait().unwrap_or(0),
        }
        // A free try that may be told found no waits.
        Ok(match (turn, self.wait()) {
            (Turn::Free, Some(_)) => Told::Slowed,
            _ => Told::AsBefore,
        })
    }
}

impl Default for MemoryThrottle {
    fn default() -> Self {
        Self::with_ticks(Arc::new(Uptime::default()))
    }
}

impl MemoryThrottle {
    /// What all accounts together take at most, in bytes: 16 MiB, which holds at least 14,000
    /// accounts with failures in the last 15 minutes.
    pub const MEMORY: usize = 16 * 1024 * 1024;

    /// A throttle by this clock that knows of no failures yet.
    #[must_use]
    pub fn with_ticks(ticks: Arc<dyn Ticks>) -> Self {
        Self {
            ticks,
            accounts: Mutex::new(Generations::new(WINDOW, Self::MEMORY)),
        }
    }
}

impl MemoryThrottle {
    /// Works on the accounts as of now; what is forgotten is dropped after the lock.
    fn locked<T>(&self, work: impl FnOnce(&mut Accounts, u64) -> (T, Gone)) -> T {
        let (done, gone) = {
            // A panic while it was held left at worst one failure uncounted.
            let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
            // Read under the lock, so that times never go back.
            let now = millis(self.ticks.elapsed());
            work(&mut accounts, now)
        };
        drop(gone);
        done
    }

    fn try_begin(&self, account: AccountKey) -> Result<Turn, u64> {
        self.locked(|accounts, now| {
            // Only failures make an entry, so that asking fills no memory.
            let (turn, gone) = accounts.with_known(now, account, |known| known.begin(now));
            (turn.unwrap_or(Ok(Turn::Free)), gone)
        })
    }

    fn try_end(&self, account: AccountKey, turn: Turn, right: bool) -> Result<Told, u64> {
        self.locked(|accounts, now| {
            if !right {
                return accounts.with(now, account, |known| known.fail(now, turn));
            }
            let (told, gone) = accounts.with_known(now, account, |known| known.tell(now, turn));
            let told = told.unwrap_or(Ok(()));
            if told.is_ok() {
                accounts.remove(&account);
            }
            (told.map(|()| Told::AsBefore), gone)
        })
    }
}

/// At least a millisecond, for a try that was not told although the next is due.
fn too_many(wait: u64) -> TooManyFailures {
    TooManyFailures(Duration::from_millis(wait.max(1)))
}

#[async_trait]
impl LoginThrottle for MemoryThrottle {
    async fn begin(&self, account: AccountKey) -> Result<Turn, TooManyFailures> {
        self.try_begin(account).map_err(too_many)
    }

    async fn end(
        &self,
        account: AccountKey,
        turn: Turn,
        right: bool,
    ) -> Result<Told, TooManyFailures> {
        self.try_end(account, turn, right).map_err(too_many)
    }
}

#[cfg(test)]
mod tests {
    use core_auth::Email;
    use futures_util::FutureExt;

    use super::*;
    use crate::ticks::testing::Manual;

    struct Trial {
        throttle: MemoryThrottle,
        ticks: Manual,
    }

    fn key(name: &str) -> AccountKey {
        AccountKey::of(&Email::normalized(name))
    }

    impl Trial {
        fn new() -> Self {
            let ticks = Manual::default();
            let throttle = MemoryThrottle::with_ticks(Arc::new(ticks.clone()));
            Self { throttle, ticks }
        }

        fn begin(&self, name: &str) -> Result<Turn, u64> {
            let turn = self.throttle.begin(key(name)).now_or_never().unwrap();
            turn.map_err(|wait| millis(wait.0))
        }

        fn end(&self, name: &str, turn: Turn, right: bool) -> Result<Told, u64> {
            let told = self.throttle.end(key(name), turn, right);
            told.now_or_never().unwrap().map_err(|wait| millis(wait.0))
        }

        fn fail(&self, name: &str) {
            let turn = self.begin(name).unwrap();
            self.end(name, turn, false).unwrap();
        }
    }

    #[test]
    fn from_the_sixth_failure_on_there_is_one_try_after_1_2_4_up_to_60_seconds() {
        let trial = Trial::new();
        for _ in 0..6 {
            trial.fail("jane");
        }
        for wait in [1, 2, 4, 8, 16, 32, 60, 60, 60, 60] {
            let wait = wait * 1000;
            assert_eq!(trial.begin("jane"), Err(wait));
            trial.ticks.advance(wait - 1);
            assert_eq!(trial.begin("jane"), Err(1));
            trial.ticks.advance(1);
            trial.fail("jane");
        }
        assert_eq!(trial.begin("joe"), Ok(Turn::Free), "another account");
    }

    #[test]
    fn of_two_tries_at_once_one_is_the_only_one_however_long_it_takes() {
        let trial = Trial::new();
        for _ in 0..6 {
            trial.fail("jane");
        }
        trial.ticks.advance(1000);
        assert_eq!(trial.begin("jane"), Ok(Turn::Only));
        assert_eq!(trial.begin("jane"), Err(2000));
        trial.ticks.advance(1500);
        assert_eq!(trial.begin("jane"), Err(500));
        trial.end("jane", Turn::Only, false).unwrap();
        assert_eq!(trial.begin("jane"), Err(2000), "counted from its end");
    }

    #[test]
    fn failures_count_for_15_minutes() {
        let trial = Trial::new();
        for _ in 0..5 {
            trial.fail("jane");
        }
        trial.ticks.advance(WINDOW - 1);
        trial.fail("jane");
        assert_eq!(trial.begin("jane"), Err(1000));
        trial.ticks.advance(1);
        assert_eq!(trial.begin("jane"), Ok(Turn::Free), "five are forgotten");
    }
}
