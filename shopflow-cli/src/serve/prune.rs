//! Housekeeping in the background: what nobody asks for any more leaves the database. Any number of
//! instances may be at it, since each takes the rows that no other has in hand.

use std::sync::Arc;
use std::time::Duration;

use core_auth::Auth;
use core_kernel::{BoxError, Clock, KEEP_PUBLISHED, Outbox, chain};
use core_orders::Orders;
use shopflow_amqp::Backoff;
use tokio::sync::watch;

use crate::lifecycle::Lifecycle;

/// Rows that leave in one transaction: few, so that nobody waits for their locks.
const BATCH: u32 = 500;

/// From one look to the next; half of that at least, so that instances spread out.
const EVERY: Duration = Duration::from_secs(300);

/// Between two batches, for those who have better things to do.
const BREATH: Duration = Duration::from_millis(50);

/// Forgets idempotency keys whose time is over.
pub(crate) fn keys(lifecycle: &mut Lifecycle, orders: Orders) {
    let batch = move || {
        let orders = orders.clone();
        async move { Ok(orders.forget_keys(BATCH).await?) }
    };
    lifecycle.spawn("pruning of keys", prune(batch, lifecycle.stopping()));
}

/// Forgets one-time tokens that expired long ago.
pub(crate) fn tokens(lifecycle: &mut Lifecycle, auth: Auth) {
    let batch = move || {
        let auth = auth.clone();
        async move { Ok(auth.prune_one_time_tokens(BATCH).await?) }
    };
    lifecycle.spawn("pruning of tokens", prune(batch, lifecycle.stopping()));
}

/// Removes events that were published long ago.
pub(crate) fn events(lifecycle: &mut Lifecycle, outbox: Arc<dyn Outbox>, clock: Arc<dyn Clock>) {
    let batch = move || {
        let (outbox, until) = (outbox.clone(), clock.now() - KEEP_PUBLISHED);
        async move { Ok(outbox.prune(until, BATCH).await?) }
    };
    lifecycle.spawn("pruning of events", prune(batch, lifecycle.stopping()));
}

/// Prunes batch after batch at once, and again every few minutes, until `stop` is true.
async fn prune<F>(batch: impl Fn() -> F, mut stop: watch::Receiver<bool>)
where
    F: Future<Output = Result<u64, BoxError>>,
{
    let mut backoff = Backoff::default();
    loop {
        let step = async {
            match batch().await {
                Ok(pruned) => {
                    backoff.reset();
                    let full = pruned == u64::from(BATCH);
                    let wait = EVERY.mul_f64(0.5 + fastrand::f64() / 2.0);
                    tokio::time::sleep(if full { BREATH } else { wait }).await;
                }
                Err(error) => {
                    tracing::warn!(error = chain(&*error), "nothing pruned; trying again");
                    backoff.pause().await;
                }
            }
        };
        // A batch is a transaction: one that is dropped is undone.
        tokio::select! {
            () = step => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
    }
}
