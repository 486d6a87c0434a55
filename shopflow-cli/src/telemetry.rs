//! What operators see from outside: logs on stdout, figures for `/metrics`, traces for a collector.
//!
//! All three are fed by what the adapters tell to `tracing` and `metrics`; see `adapters/telemetry`
//! for the rules of spans, and docs/telemetry.md for what comes out.

mod catalog;
mod collector;
mod figures;
mod json;
mod levels;
mod logs;
mod process;
mod sql;
mod traces;
mod work;

use anyhow::Context;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::{LogConfig, TraceConfig};
pub(crate) use figures::{ConnectionGauges, Figures};
use levels::Levels;
pub(crate) use levels::check_level;
pub(crate) use logs::{LogControl, LogTo};
pub(crate) use traces::Traces;
use work::Work;

/// Everything that operators see.
#[derive(Clone)]
pub(crate) struct Telemetry {
    pub(crate) figures: Figures,
    pub(crate) logs: LogControl,
    pub(crate) traces: Traces,
}

/// Begins to log, to count, and, if a collector is named, to trace.
///
/// # Errors
/// When somebody counts already, or the collector cannot be used.
pub(crate) fn start(
    log: &LogConfig,
    to: LogTo,
    traces: Option<&TraceConfig>,
) -> anyhow::Result<Telemetry> {
    let figures = Figures::start().context("no metrics")?;
    let traces = match traces {
        Some(config) => Traces::start(config).context("no traces")?,
        None => Traces::none(),
    };
    let levels = Levels::new(&log.level);
    let (logs, control) = logs::layer(log, &levels, to);
    // Whoever logged before, in a test, goes on.
    let _ = tracing_subscriber::registry()
        .with(logs)
        .with(traces.layer())
        .with(Work::new(levels, &traces))
        .try_init();
    Ok(Telemetry {
        figures,
        logs: control,
        traces,
    })
}
