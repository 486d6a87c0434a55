//! Time as an argument.

use jiff::{Timestamp, TimestampRound, Unit};

/// Tells the time. Domain code takes its times from here, so that tests can set them.
pub trait Clock: Send + Sync {
    /// Now, in whole microseconds (PostgreSQL keeps no more).
    fn now(&self) -> Timestamp;
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place where the clock is read"
    )]
    fn now(&self) -> Timestamp {
        let now = Timestamp::now();
        let whole = TimestampRound::new()
            .smallest(Unit::Microsecond)
            .mode(jiff::RoundMode::Trunc);
        // Rounding towards zero stays in range, so the time itself is only the unreachable answer.
        now.round(whole).unwrap_or(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_keeps_whole_microseconds() {
        assert_eq!(SystemClock.now().subsec_nanosecond() % 1000, 0);
    }
}
