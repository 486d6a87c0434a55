//! Password hashing off the async threads, and never more of it at once than there are cores: a
//! hash takes a tenth of a second and 16 MiB on purpose, so a storm of logins must wait in line
//! and not in memory.

use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use core_auth::{HashError, Password, PasswordCrypto, PasswordHash, PasswordHasher, Verdict};
use metrics::{Gauge, Histogram};
use tokio::sync::Semaphore;

/// The line of those who wait for their turn, and the hashes that are being made.
struct Figures {
    waiting: Gauge,
    running: Gauge,
    wait: Histogram,
    hash: Histogram,
}

static FIGURES: LazyLock<Figures> = LazyLock::new(|| Figures {
    waiting: metrics::gauge!("shopflow_hash_queue_waiting"),
    running: metrics::gauge!("shopflow_hash_queue_running"),
    wait: metrics::histogram!("shopflow_hash_queue_wait_seconds"),
    hash: metrics::histogram!("shopflow_hash_duration_seconds"),
});

/// One more in a gauge, until it is dropped.
struct Counted(&'static Gauge);

impl Counted {
    fn begin(gauge: &'static Gauge) -> Self {
        gauge.increment(1.0);
        Self(gauge)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}

/// Runs [`PasswordCrypto`] on tokio's blocking threads, bounded in number and in waiting time.
#[derive(Clone, Debug)]
pub struct BlockingHasher {
    crypto: Arc<PasswordCrypto>,
    free: Arc<Semaphore>,
    max_wait: Duration,
}

impl BlockingHasher {
    /// At most `parallel` hashes at once; who has waited `max_wait` for a turn is told `Busy`.
    #[must_use]
    pub fn new(crypto: PasswordCrypto, parallel: usize, max_wait: Duration) -> Self {
        LazyLock::force(&FIGURES);
        Self {
            crypto: Arc::new(crypto),
            free: Arc::new(Semaphore::new(parallel.max(1))),
            max_wait,
        }
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&PasswordCrypto) -> Result<T, core_auth::UnusableHash> + Send + 'static,
    ) -> Result<T, HashError> {
        let waiting = Counted::begin(&FIGURES.waiting);
        let begun = Instant::now();
        let turn = tokio::time::timeout(self.max_wait, self.free.clone().acquire_owned());
        let turn = turn.await;
        FIGURES.wait.record(begun.elapsed().as_secs_f64());
        drop(waiting);
        let turn = turn.map_err(|_| HashError::Busy)?;
        let crypto = self.crypto.clone();
        let done = tokio::task::spawn_blocking(move || {
            // Held until the work is done, also when nobody waits for it any more.
            let _turn = turn;
            let _running = Counted::begin(&FIGURES.running);
            let begun = Instant::now();
            let done = work(&crypto);
            FIGURES.hash.record(begun.elapsed().as_secs_f64());
            done
        });
        match done.await {
            Ok(result) => result.map_err(|error| HashError::Broken(error.into())),
            Err(panic) => Err(HashError::Broken(panic.into())),
        }
    }
}

#[async_trait]
impl PasswordHasher for BlockingHasher {
    async fn hash(&self, password: Password) -> Result<PasswordHash, HashError> {
        self.run(move |crypto| crypto.hash(&password)).await
    }

    async fn verify(
        &self,
        password: Password,
        stored: Option<PasswordHash>,
    ) -> Result<Verdict, HashError> {
        self.run(move |crypto| crypto.verify(&password, stored.as_ref()))
            .await
    }
}

#[cfg(test)]
mod tests {
    use core_auth::ScryptParams;

    use super::*;

    fn hasher(max_wait: Duration) -> BlockingHasher {
        let crypto = PasswordCrypto::new(ScryptParams::default());
        BlockingHasher::new(crypto, 1, max_wait)
    }

    #[tokio::test]
    async fn a_password_is_hashed_and_known_again() {
        let hasher = hasher(Duration::from_secs(60));
        let password = Password::attempt("S3cur3P@ssw0rd!");
        let hash = hasher.hash(password.clone()).await.unwrap();
        let verdict = hasher.verify(password, Some(hash)).await.unwrap();
        assert_eq!(verdict, Verdict::Right { outdated: false });
    }

    #[tokio::test]
    async fn who_waits_too_long_is_told_so() {
        let hasher = hasher(Duration::ZERO);
        let turn = hasher.free.clone().acquire_owned().await.unwrap();
        let busy = hasher.hash(Password::attempt("x")).await;
        assert!(matches!(busy, Err(HashError::Busy)));
        drop(turn);
        assert!(hasher.hash(Password::attempt("x")).await.is_ok());
    }

    #[tokio::test]
    async fn a_caller_that_gave_up_still_holds_its_turn_until_its_hash_is_done() {
        let hasher = hasher(Duration::from_secs(60));
        let (gate, closed) = std::sync::mpsc::channel::<()>();
        let (begins, begun) = tokio::sync::oneshot::channel();
        let abandoned = tokio::spawn({
            let hasher = hasher.clone();
            let until_open = move |_: &PasswordCrypto| {
                begins.send(()).unwrap();
                // Open once the other end is gone.
                let _ = closed.recv();
                Ok(())
            };
            async move { hasher.run(until_open).await }
        });
        begun.await.unwrap();
        abandoned.abort();
        assert!(abandoned.await.unwrap_err().is_cancelled());
        assert_eq!(hasher.free.available_permits(), 0);
        drop(gate);
        hasher.hash(Password::attempt("y")).await.unwrap();
    }
}
