//! Figures for `/metrics`.

use std::sync::{Arc, Mutex, PoisonError};

use core_kernel::{Clock, SystemClock};
use metrics::Gauge;
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

use super::{catalog, process};

/// Fine where answers are fast, coarse where they are slow (seconds). The limits of PRD §10.1 are
/// among them, so that what keeps to one can be counted.
const BUCKETS: [f64; 17] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
    60.0,
];

type Reading = Box<dyn Fn() + Send>;

/// All figures of this process.
#[derive(Clone)]
pub(crate) struct Figures {
    handle: PrometheusHandle,
    readings: Arc<Mutex<Vec<Reading>>>,
    started: i64,
}

impl Figures {
    /// Begins to count.
    ///
    /// # Errors
    /// When somebody counts already.
    pub(super) fn start() -> Result<Self, BuildError> {
        let handle = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &BUCKETS)?
            .install_recorder()?;
        catalog::describe();
        metrics::gauge!("shopflow_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
        Ok(Self {
            handle,
            readings: Arc::default(),
            started: SystemClock.now().as_second(),
        })
    }

    /// Has something read whenever somebody asks: what is known at once, and nothing else.
    pub(crate) fn at_scrape(&self, reading: impl Fn() + Send + 'static) {
        let mut readings = self.readings.lock().unwrap_or_else(PoisonError::into_inner);
        readings.push(Box::new(reading));
    }

    /// The Prometheus text.
    pub(crate) fn render(&self) -> String {
        let readings = self.readings.lock().unwrap_or_else(PoisonError::into_inner);
        readings.iter().for_each(|reading| reading());
        drop(readings);
        let mut text = self.handle.render();
        text.push_str(&process::render(self.started));
        text
    }

    /// Folds samples; to be done now and then.
    pub(crate) fn fold(&self) {
        self.handle.run_upkeep();
    }
}

/// What is told of a pool of database connections.
pub(crate) struct ConnectionGauges {
    used: Gauge,
    idle: Gauge,
    most: Gauge,
}

impl ConnectionGauges {
    /// Those of the pool of this name.
    pub(crate) fn new(pool: &'static str) -> Self {
        let count = |state: &'static str| {
            metrics::gauge!("db_client_connection_count",
                "db_client_connection_pool_name" => pool, "db_client_connection_state" => state)
        };
        Self {
            used: count("used"),
            idle: count("idle"),
            most: metrics::gauge!(
                "db_client_connection_max", "db_client_connection_pool_name" => pool),
        }
    }

    pub(crate) fn set(&self, used: u32, idle: u32, most: u32) {
        self.used.set(used);
        self.idle.set(idle);
        self.most.set(most);
    }
}
