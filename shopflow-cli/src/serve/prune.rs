//! Housekeeping of the order service: what nobody asks for any more leaves the database.

use std::sync::Arc;
use std::time::Duration;

use core_kernel::{BoxError, Clock, KEEP_PUBLISHED, Outbox, chain};
use core_orders::Orders;
use shopflow_amqp::Backoff;
use tokio::sync::watch;

/// Rows that leave in one transaction: few, so that nobody waits for their locks.
const BATCH: u32 = 500;

/// From one look to the next; half of that at least, so that instances spread out.
const EVERY: Duration = Duration::from_secs(300);

/// Between two batches, for those who have better things to do.
const BREATH: Duration = Duration::from_millis(50);

/// Prunes in the background. Any number may run: each takes the rows that no other has in hand.
pub(crate) struct Pruner {
    pub(crate) orders: Orders,
    pub(crate) outbox: Arc<dyn Outbox>,
    pub(crate) clock: Arc<dyn Clock>,
}

impl Pruner {
    /// Prunes at once and then every few minutes, until `stop` is true.
    pub(crate) async fn run(self, mut stop: watch::Receiver<bool>) {
        let mut backoff = Backoff::default();
        loop {
            let pause = async {
                match self.look().await {
                    Ok(()) => {
                        backoff.reset();
                        tokio::time::sleep(EVERY.mul_f64(0.5 + fastrand::f64() / 2.0)).await;
                    }
                    Err(error) => {
                        tracing::warn!(error = chain(&*error), "nothing pruned; trying again");
                        backoff.pause().await;
                    }
                }
            };
            // A batch is a transaction: one that is dropped is undone.
            tokio::select! {
                () = pause => {}
                _ = stop.wait_for(|stop| *stop) => return,
            }
        }
    }

    async fn look(&self) -> Result<(), BoxError> {
        while self.orders.forget_keys(BATCH).await? == u64::from(BATCH) {
            tokio::time::sleep(BREATH).await;
        }
        let until = self.clock.now() - KEEP_PUBLISHED;
        while self.outbox.prune(until, BATCH).await? == u64::from(BATCH) {
            tokio::time::sleep(BREATH).await;
        }
        Ok(())
    }
}
