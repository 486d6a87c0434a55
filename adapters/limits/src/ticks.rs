//! Time that only goes forward, whatever becomes of the wall clock.

use std::time::{Duration, Instant};

/// Tells how long something has been running.
pub trait Ticks: Send + Sync {
    /// Since an arbitrary moment; never less than at the call before.
    fn elapsed(&self) -> Duration;
}

/// Since it was made.
#[derive(Clone, Copy, Debug)]
pub struct Uptime(Instant);

impl Default for Uptime {
    fn default() -> Self {
        Self(Instant::now())
    }
}

impl Ticks for Uptime {
    fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}

/// Whole milliseconds.
#[expect(
    clippy::cast_possible_truncation,
    reason = "64 bits are enough for half a billion years"
)]
pub(crate) const fn millis(time: Duration) -> u64 {
    time.as_millis() as u64
}

#[cfg(test)]
pub(crate) mod testing {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    /// Time that a test sets.
    #[derive(Clone, Debug, Default)]
    pub(crate) struct Manual(Arc<AtomicU64>);

    impl Manual {
        pub(crate) fn advance(&self, ms: u64) {
            self.0.fetch_add(ms, Ordering::Relaxed);
        }
    }

    impl Ticks for Manual {
        fn elapsed(&self) -> Duration {
            Duration::from_millis(self.0.load(Ordering::Relaxed))
        }
    }
}
