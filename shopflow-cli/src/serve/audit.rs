//! Audit entries that no request waits for.

use std::sync::Arc;

use core_auth::{AuditEntry, AuditQueue, StoreError, UserStore};
use core_kernel::chain;
use shopflow_amqp::Backoff;
use tokio::sync::{mpsc, watch};

use crate::lifecycle::Lifecycle;

/// How many may wait while the store is away. One account makes one in 15 minutes at most, so more
/// are an attack on very many.
const WAITING: usize = 10_000;

struct Queue(mpsc::Sender<AuditEntry>);

impl AuditQueue for Queue {
    fn write_soon(&self, entry: AuditEntry) {
        if let Err(error) = self.0.try_send(entry) {
            lost(&error.into_inner(), "too many wait");
        }
    }
}

fn lost(entry: &AuditEntry, error: &str) {
    let AuditEntry {
        user_id, action, ..
    } = entry;
    tracing::error!(%user_id, action, error, "audit entry lost");
}

/// Writes entries into this store for as long as requests are served.
pub(crate) fn queue(lifecycle: &mut Lifecycle, users: Arc<dyn UserStore>) -> Arc<dyn AuditQueue> {
    let (sender, receiver) = mpsc::channel(WAITING);
    lifecycle.spawn("audit", run(users, receiver, lifecycle.served()));
    Arc::new(Queue(sender))
}

async fn run(
    users: Arc<dyn UserStore>,
    mut entries: mpsc::Receiver<AuditEntry>,
    mut served: watch::Receiver<bool>,
) {
    loop {
        let entry = tokio::select! {
            biased;
            Some(entry) = entries.recv() => entry,
            _ = served.wait_for(|served| *served) => return,
        };
        if let Err(error) = write(&*users, &entry, &mut served).await {
            lost(&entry, &chain(&error));
        }
    }
}

/// A store that is away is waited for, but not by a service that stops.
async fn write(
    users: &dyn UserStore,
    entry: &AuditEntry,
    served: &mut watch::Receiver<bool>,
) -> Result<(), StoreError> {
    let mut backoff = Backoff::default();
    loop {
        match users.log(entry).await {
            Err(StoreError::Unavailable(_)) if !*served.borrow() => {}
            done => return done,
        }
        tokio::select! {
            () = backoff.pause() => {}
            _ = served.wait_for(|served| *served) => {}
        }
    }
}
