//! Logs on stdout and figures for `/metrics`.

use std::io::Write;

use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use crate::config::{LogConfig, LogFormat};

/// Fine where answers are fast, coarse where they are slow (seconds).
const LATENCY_BUCKETS: [f64; 14] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0, 30.0,
];

/// Libraries whose finest logs would show credentials and whole messages. A filter of their own
/// overrides this.
const QUIET: &str = "lapin=info,aws_smithy_runtime=info,aws_smithy_runtime_api=info,\
    aws_sdk_sesv2=info,aws_config=info,hyper=info,hyper_util=info,sqlx=info";

/// Whether a text is a log level or a list of filters.
///
/// # Errors
/// What it should be.
pub(crate) fn check_level(text: &str) -> Result<(), &'static str> {
    const WANTED: &str =
        "must be error, warn, info, debug, trace, off, or filters such as info,sqlx=debug";
    // A bare word that is no level would be taken for a module, and silence all others.
    let known = |part: &str| part.contains('=') || part.trim().parse::<LevelFilter>().is_ok();
    if text.split(',').all(known) && EnvFilter::try_new(text).is_ok() {
        Ok(())
    } else {
        Err(WANTED)
    }
}

/// Where logs go.
#[derive(Clone, Copy, Debug)]
pub(crate) enum LogTo {
    /// Of services: standard output is the log.
    Stdout,
    /// Of commands that tell people something on standard output.
    Stderr,
}

/// Begins to log. Whoever logged before, in a test, goes on.
pub(crate) fn start_logs(config: &LogConfig, to: LogTo) {
    // Checked when the configuration was.
    let filter = EnvFilter::new(format!("{QUIET},{}", config.level));
    let writer = move || -> Box<dyn Write> {
        match to {
            LogTo::Stdout => Box::new(std::io::stdout()),
            LogTo::Stderr => Box::new(std::io::stderr()),
        }
    };
    let logs = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(writer);
    let _ = match config.format {
        LogFormat::Json => logs
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .try_init(),
        LogFormat::Text => logs.try_init(),
    };
}

/// Begins to count; the handle renders the Prometheus text.
///
/// # Errors
/// When somebody counts already.
pub(crate) fn start_metrics() -> Result<PrometheusHandle, BuildError> {
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &LATENCY_BUCKETS)?
        .install_recorder()?;
    metrics::gauge!("shopflow_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    Ok(handle)
}
