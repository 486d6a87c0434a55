//! How often a notification is tried (PRD §5.1).

use std::time::Duration;

/// The waits after the first, second and third attempt that failed: 1, 4 and 16 seconds.
pub const DELAYS: [Duration; 3] = [
    Duration::from_secs(1),
    Duration::from_secs(4),
    Duration::from_secs(16),
];

/// How long to wait after attempt number `attempt` (from 1) has failed; `None` when it was the
/// last.
#[must_use]
pub fn delay_after(attempt: u32) -> Option<Duration> {
    let index = usize::try_from(attempt.checked_sub(1)?).ok()?;
    DELAYS.get(index).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_retries_follow_the_first_attempt() {
        let seconds = |attempt| delay_after(attempt).map(|delay| delay.as_secs());
        assert_eq!(
            [1, 2, 3, 4, 5].map(seconds),
            [Some(1), Some(4), Some(16), None, None]
        );
        assert_eq!(seconds(0), None);
    }
}
