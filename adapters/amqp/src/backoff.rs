//! Waiting between attempts to reach something that is away.

use std::time::Duration;

/// Waits that double from 100 ms to 5 s, each between half and all of that, so that many who lost
/// the same thing do not come back at once. There is no last attempt.
#[derive(Clone, Debug)]
pub struct Backoff {
    next: Duration,
}

impl Backoff {
    /// The longest wait.
    pub const MAX: Duration = Duration::from_secs(5);
    const MIN: Duration = Duration::from_millis(100);

    /// Begins anew, after success.
    pub fn reset(&mut self) {
        self.next = Self::MIN;
    }

    /// Waits, longer each time.
    pub async fn pause(&mut self) {
        let jitter = 0.5 + fastrand::f64() / 2.0;
        let wait = self.next.mul_f64(jitter);
        self.next = (self.next * 2).min(Self::MAX);
        tokio::time::sleep(wait).await;
    }
}

impl Default for Backoff {
    fn default() -> Self {
        Self { next: Self::MIN }
    }
}
