//! Totals of long lists. A list that no state filters grows at its end alone, since orders stay for
//! years: what was counted up to a minute ago is not counted again, only what came since.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff_sqlx::Timestamp;
use uuid::Uuid;

/// A list of fewer is counted each time, which is quick.
const MANY: i64 = 100;

/// A count is good for so long; then it is taken anew, for what retention or a hand has deleted.
const GOOD_FOR: Duration = Duration::from_secs(60);

/// Lists that are remembered.
const MOST: usize = 1000;

/// The orders that a list has from before a time. That time is a minute before the count: requests
/// are given up sooner, so none of those orders was still on its way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Settled {
    /// How many.
    pub(super) count: i64,
    /// That time.
    pub(super) before: Timestamp,
}

/// What is known of whose lists; `None` is the list of everybody's.
#[derive(Debug, Default)]
pub(crate) struct Totals(Mutex<HashMap<Option<Uuid>, (Settled, Instant)>>);

impl Totals {
    fn known(&self) -> MutexGuard<'_, HashMap<Option<Uuid>, (Settled, Instant)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is known of a list, if that is not too old.
    pub(super) fn of(&self, whose: Option<Uuid>) -> Option<Settled> {
        let known = self.known();
        let (settled, at) = known.get(&whose)?;
        (at.elapsed() < GOOD_FOR).then_some(*settled)
    }

    /// Remembers a count that was worth it.
    pub(super) fn keep(&self, whose: Option<Uuid>, settled: Settled) {
        if settled.count < MANY {
            return;
        }
        let mut known = self.known();
        if known.len() >= MOST {
            known.clear();
        }
        known.insert(whose, (settled, Instant::now()));
    }
}
