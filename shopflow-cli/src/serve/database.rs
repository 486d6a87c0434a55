//! The service's database: brought up to date when it can be reached, however late that is.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context;
use shopflow_amqp::Backoff;
use shopflow_postgres::{Schema, migrate, ping, pool};
use sqlx::PgPool;

use crate::config::HttpConfig;

/// Readiness is asked often; it waits no longer than this for the database.
const PING_TIMEOUT: Duration = Duration::from_secs(1);

/// The database of one service.
#[derive(Clone)]
pub(crate) struct Database {
    pub(crate) pool: PgPool,
    current: Arc<AtomicBool>,
}

impl Database {
    /// Opens the pool and, unless told otherwise, migrates in the background: a service starts
    /// while its database is away.
    ///
    /// # Errors
    /// When the URL is none.
    pub(crate) fn open(config: &HttpConfig, schema: Schema, name: &str) -> anyhow::Result<Self> {
        let database = &config.database;
        let pool = pool(database.url.expose(), database.max_connections, name)
            .context("DATABASE_URL")?;
        let opened = Self { pool, current: Arc::new(AtomicBool::new(!config.migrate)) };
        if config.migrate {
            tokio::spawn(opened.clone().bring_up_to_date(schema));
        }
        Ok(opened)
    }

    async fn bring_up_to_date(self, schema: Schema) {
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
