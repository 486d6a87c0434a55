//! Retention on a schedule, by whichever instance comes first.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use core_kernel::{Retained, RetentionRun, RetentionRuns, RunBy, SystemClock, chain};
use core_notify::Archive;
use jiff::SignedDuration;
use shopflow_amqp::Backoff;
use shopflow_archive::{ArchiveUrl, ObjectArchive};
use shopflow_postgres::{PgRetentionLog, Schema};
use tokio::sync::watch;

use super::database::Database;
use crate::config::HttpConfig;
use crate::lifecycle::Lifecycle;

/// How often it is looked at whether a run is due.
const LOOK: Duration = Duration::from_secs(60);

/// How long a database is left alone that is away, or not up to date yet.
const NOT_READY: Duration = Duration::from_secs(1);

/// Runs retention over a service's data as often as is configured, if it is. When a run is due
/// follows from the runs there were, so neither restarts nor the number of instances change it.
pub(crate) fn schedule(
    lifecycle: &mut Lifecycle,
    database: &Database,
    schema: Schema,
    data: Arc<dyn Retained>,
    config: &HttpConfig,
) {
    let Some(every) = config.retention else {
        return;
    };
    let log = Arc::new(PgRetentionLog::new(database.pool.clone(), schema));
    let runs = RetentionRuns::new(log, data, Arc::new(SystemClock));
    let (database, mut stopping) = (database.clone(), lifecycle.stopping());
    lifecycle.spawn("retention", async move {
        tokio::select! {
            () = run(&database, &runs, every) => {}
            // A run that is left in the middle is gone on with by the next one.
            () = is_true(&mut stopping) => {}
        }
    });
}

async fn run(database: &Database, runs: &RetentionRuns, every: SignedDuration) {
    let by = RunBy {
        id: "retention".to_owned(),
        role: "service",
    };
    let mut backoff = Backoff::default();
    loop {
        if !database.is_ready().await {
            tokio::time::sleep(NOT_READY).await;
            continue;
        }
        let problem = match runs.run_every(every, &by).await {
            Ok(None) => None,
            Ok(Some(run)) => tell(run),
            Err(error) => Some(chain(&error)),
        };
        if let Some(error) = problem {
            tracing::error!(error, "retention failed; trying again");
            backoff.pause().await;
        } else {
            backoff.reset();
            tokio::time::sleep(LOOK).await;
        }
    }
}

/// Logs and counts a run; why it failed, if it did.
fn tell(run: RetentionRun) -> Option<String> {
    metrics::counter!("shopflow_retention_runs_total", "outcome" => run.outcome.as_str())
        .increment(1);
    if run.error.is_none() {
        let tally = run.tally;
        tracing::info!(
            purged = tally.purged,
            masked = tally.masked,
            archived = tally.archived,
            past_term = tally.past_term,
            "retention done"
        );
    }
    run.error
}

/// The cold storage, if there is one.
pub(crate) fn archive(url: Option<&ArchiveUrl>) -> anyhow::Result<Option<Arc<dyn Archive>>> {
    let Some(url) = url else {
        return Ok(None);
    };
    let archive = ObjectArchive::open(url).context("RETENTION_ARCHIVE_URL")?;
    Ok(Some(Arc::new(archive)))
}

async fn is_true(receiver: &mut watch::Receiver<bool>) {
    // The sender lives as long as the lifecycle, so this only waits.
    let _ = receiver.wait_for(|value| *value).await;
}
