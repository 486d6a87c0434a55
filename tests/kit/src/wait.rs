//! Waiting for a state instead of sleeping.

use std::time::{Duration, Instant};

/// How long to pause between two looks.
pub(crate) const PAUSE: Duration = Duration::from_millis(20);

/// Looks every 20 ms until `check` says yes; panics with `what` once `timeout` is over.
///
/// `check` is an async closure, `async || …`.
pub async fn wait_until<F: Future<Output = bool>>(
    what: &str,
    timeout: Duration,
    mut check: impl FnMut() -> F,
) {
    wait_for(what, timeout, || {
        let looking = check();
        async { looking.await.then_some(()) }
    })
    .await;
}

/// Looks every 20 ms until `find` gives a value; panics with `what` once `timeout` is over.
///
/// A look that itself takes longer than `timeout` is abandoned.
pub async fn wait_for<T, F: Future<Output = Option<T>>>(
    what: &str,
    timeout: Duration,
    mut find: impl FnMut() -> F,
) -> T {
    let start = Instant::now();
    let looking = async {
        loop {
            if let Some(value) = find().await {
                return value;
            }
            tokio::time::sleep(PAUSE).await;
        }
    };
    match tokio::time::timeout(timeout, looking).await {
        Ok(value) => value,
        Err(_) => panic!("waited {:.1?} in vain: {what}", start.elapsed()),
    }
}
