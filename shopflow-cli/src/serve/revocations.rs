//! Feeding what the auth service keeps in memory of revoked sessions and tokens.

use std::sync::Arc;
use std::time::{Duration, Instant};

use core_auth::{Revocations, SessionStore};
use core_kernel::{Clock, SystemClock, chain};
use tokio::sync::watch;

use crate::lifecycle::Lifecycle;

/// How often the store is asked. With the time that a poll is trusted it makes less than the second
/// within which every instance is to know.
const POLL: Duration = Duration::from_millis(250);

/// A store that takes longer is away.
const TIMEOUT: Duration = Duration::from_secs(2);

/// How often what no longer matters is forgotten.
const PRUNE: Duration = Duration::from_secs(60);

/// Feeds `revocations` for as long as anybody may show a token.
pub(crate) fn feed(
    lifecycle: &mut Lifecycle,
    store: Arc<dyn SessionStore>,
    revocations: Arc<Revocations>,
) {
    let served = lifecycle.served();
    lifecycle.spawn("revocations", run(store, revocations, served));
}

async fn run(
    store: Arc<dyn SessionStore>,
    revocations: Arc<Revocations>,
    mut served: watch::Receiver<bool>,
) {
    let (mut pruned, mut well) = (Instant::now(), true);
    loop {
        let (begun, now) = (Instant::now(), SystemClock.now());
        let poll = store.revoked_since(revocations.since(now));
        let problem = match tokio::time::timeout(TIMEOUT, poll).await {
            Ok(Ok(found)) => {
                revocations.polled(&found, begun, now);
                None
            }
            Ok(Err(error)) => Some(chain(&error)),
            Err(late) => Some(late.to_string()),
        };
        if let (true, Some(error)) = (well, &problem) {
            tracing::warn!(
                error,
                "revocations unknown; asking the store for every token"
            );
        }
        well = problem.is_none();
        if pruned.elapsed() > PRUNE {
            revocations.prune(now);
            pruned = Instant::now();
        }
        #[expect(clippy::cast_precision_loss, reason = "a gauge is a float")]
        metrics::gauge!("shopflow_revocations").set(revocations.len() as f64);
        if tokio::time::timeout(POLL, served.wait_for(|served| *served))
            .await
            .is_ok()
        {
            return;
        }
    }
}
