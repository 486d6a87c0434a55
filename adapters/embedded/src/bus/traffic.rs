//! What this process knows of the bus beside what is stored.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use sqlx::SqlitePool;
use tokio::sync::watch;

const LAST: &str = "SELECT coalesce(max(id), 0) FROM bus_messages";

/// Who is to be woken, and which messages may have been worked on before.
#[derive(Debug)]
pub(crate) struct Traffic {
    /// Changes when something was published.
    pub(super) published: watch::Sender<()>,
    /// The last message of the processes before this one.
    inherited: i64,
    /// What this process has delivered and not yet settled.
    delivered: Mutex<HashSet<i64>>,
}

impl Traffic {
    pub(crate) async fn begin(pool: &SqlitePool) -> sqlx::Result<Self> {
        Ok(Self {
            published: watch::Sender::new(()),
            inherited: sqlx::query_scalar(LAST).fetch_one(pool).await?,
            delivered: Mutex::default(),
        })
    }

    fn delivered(&self) -> MutexGuard<'_, HashSet<i64>> {
        // Every change below is whole, so what a panic elsewhere left is as good as ever.
        self.delivered
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a delivery; true when there may have been one before.
    pub(super) fn deliver(&self, id: i64) -> bool {
        let first = self.delivered().insert(id);
        !first || id <= self.inherited
    }

    /// Forgets a message that has left its queue or waits in it anew.
    pub(super) fn settle(&self, id: i64) {
        self.delivered().remove(&id);
    }
}
