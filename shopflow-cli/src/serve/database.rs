//! The service's database: brought up to date when it can be reached, however late that is.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context;
use shopflow_amqp::Backoff;
use shopflow_postgres::{Schema, migrate, ping, pool};
use sqlx::PgPool;
use tokio::sync::watch;

use crate::config::HttpConfig;
use crate::lifecycle::Lifecycle;
use crate::telemetry::{ConnectionGauges, Figures};

/// Readiness is asked often; it waits no longer than this for the database.
const PING_TIMEOUT: Duration = Duration::from_secs(1);

/// The database of one service.
#[derive(Clone)]
pub(crate) struct Database {
    pub(crate) pool: PgPool,
    current: Arc<AtomicBool>,
}

impl Database {
    /// Opens the pool, which connects when it is first used: a service starts while its database
    /// is away.
    ///
    /// # Errors
    /// When the URL is none.
    pub(crate) fn open(config: &HttpConfig, name: &str) -> anyhow::Result<Self> {
        let database = &config.database;
        let pool =
            pool(database.url.expose(), database.max_connections, name).context("DATABASE_URL")?;
        let current = Arc::new(AtomicBool::new(!config.migrate));
        Ok(Self { pool, current })
    }

    /// Has its connections told whenever figures are asked for. Those that a store keeps for its next
    /// statements (`kept`) are idle, whatever the pool takes them for.
    pub(crate) fn tell_connections(
        &self,
        figures: &Figures,
        kept: impl Fn() -> usize + Send + 'static,
    ) {
        let gauges = ConnectionGauges::new("postgresql");
        let pool = self.pool.clone();
        figures.at_scrape(move || {
            let idle = u32::try_from(pool.num_idle() + kept()).unwrap_or(u32::MAX);
            let idle = idle.min(pool.size());
            let used = pool.size() - idle;
            gauges.set(used, idle, pool.options().get_max_connections());
        });
    }

    /// Migrates in the background, unless told otherwise.
    pub(crate) fn keep_up_to_date(&self, lifecycle: &mut Lifecycle, schema: Schema) {
        let (database, mut stopping) = (self.clone(), lifecycle.stopping());
        lifecycle.spawn("migration", async move {
            let mut stop = stopping.clone();
            tokio::select! {
                () = database.bring_up_to_date(schema) => {}
                () = is_true(&mut stop) => {}
            }
            // Done early, but a part of a service goes on until it is told to stop.
            is_true(&mut stopping).await;
        });
    }

    async fn bring_up_to_date(&self, schema: Schema) {
        if self.current.load(Ordering::Relaxed) {
            return;
        }
        let mut backoff = Backoff::default();
        while let Err(error) = migrate(&self.pool, schema).await {
            let error = core_kernel::chain(&error);
            tracing::error!(error, "database not up to date; trying again");
            backoff.pause().await;
        }
        tracing::info!("database up to date");
        self.current.store(true, Ordering::Relaxed);
    }

    /// Whether it answers and is up to date.
    pub(crate) async fn is_ready(&self) -> bool {
        self.current.load(Ordering::Relaxed)
            && matches!(
                tokio::time::timeout(PING_TIMEOUT, ping(&self.pool)).await,
                Ok(Ok(()))
            )
    }
}

/// Waits; a sender that is gone is as good as a yes.
async fn is_true(receiver: &mut watch::Receiver<bool>) {
    let _ = receiver.wait_for(|value| *value).await;
}
