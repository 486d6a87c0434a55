//! What operators ask: `/health`, `/health/live`, `/health/ready`, `/metrics`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use http::StatusCode;
use serde_json::{Map, Value, json};

use crate::error::ApiError;
use crate::pipeline::Api;
use crate::reply::{self, Reply};
use crate::request::Inbound;
use crate::route::Route;

/// A check that takes longer has failed; who asks wants an answer.
const CHECKS_TIMEOUT: Duration = Duration::from_secs(3);

/// Its paths.
pub(crate) const ROUTES: [Route; 4] = [
    Route::internal("/health", "GET, HEAD"),
    Route::internal("/health/live", "GET, HEAD"),
    Route::internal("/health/ready", "GET, HEAD"),
    Route::internal(METRICS, "GET, HEAD"),
];

/// Where the figures are.
const METRICS: &str = "/metrics";

/// Tells whether what a service needs is there.
#[async_trait]
pub trait Readiness: Send + Sync {
    /// Each need by name, and whether it is met: `database`, `broker`.
    async fn checks(&self) -> Vec<(&'static str, bool)>;
}

/// The operators' side of a service.
#[derive(Clone)]
pub struct Ops {
    readiness: Arc<dyn Readiness>,
    metrics: Option<Arc<dyn Fn() -> String + Send + Sync>>,
    stopping: Arc<AtomicBool>,
}

impl Ops {
    /// `metrics` renders the Prometheus text.
    pub fn new(
        readiness: Arc<dyn Readiness>,
        metrics: impl Fn() -> String + Send + Sync + 'static,
    ) -> Self {
        Self {
            readiness,
            metrics: Some(Arc::new(metrics)),
            stopping: Arc::default(),
        }
    }

    /// The same without `/metrics`, which is told elsewhere.
    #[must_use]
    pub fn without_metrics(&self) -> Self {
        Self {
            metrics: None,
            ..self.clone()
        }
    }

    /// Whether the path is one of these.
    pub(crate) fn has(path: &str) -> bool {
        Route::find(&ROUTES, path).is_some()
    }

    /// From now on the service is not ready, so that balancers send nothing more.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    /// Whether the path is one of these, here: figures may be told elsewhere.
    pub(crate) fn answers(&self, path: &str) -> bool {
        Self::has(path) && (path != METRICS || self.metrics.is_some())
    }

    /// The answer at one of these paths.
    pub(crate) async fn respond(&self, request: &Inbound) -> Result<Reply, ApiError> {
        let path = request.path();
        let route = Route::find(&ROUTES, path).ok_or_else(ApiError::unknown_path)?;
        if !route.has(request.method()) {
            return Err(ApiError::method_not_allowed(route.methods));
        }
        match (path, &self.metrics) {
            ("/health/ready", _) => self.ready().await,
            (METRICS, Some(metrics)) => Ok(reply::with_type(
                StatusCode::OK,
                "text/plain; version=0.0.4; charset=utf-8",
                metrics(),
            )),
            (METRICS, None) => Err(ApiError::unknown_path()),
            _ => reply::json(StatusCode::OK, &json!({ "status": "ok" })),
        }
    }

    async fn ready(&self) -> Result<Reply, ApiError> {
        let mut ready = !self.stopping.load(Ordering::Relaxed);
        let mut checks = Map::new();
        let checked = tokio::time::timeout(CHECKS_TIMEOUT, self.readiness.checks()).await;
        ready &= checked.is_ok();
        for (name, ok) in checked.unwrap_or_default() {
            ready &= ok;
            checks.insert(name.to_owned(), Value::from(word(ok)));
        }
        let status = if ready {
            StatusCode::OK
        } else {
            StatusCode::SERVICE_UNAVAILABLE
        };
        let mut reply = reply::json(status, &json!({ "status": word(ready), "checks": checks }))?;
        if !ready {
            reply.headers_mut().insert(
                http::header::RETRY_AFTER,
                http::HeaderValue::from_static("1"),
            );
        }
        Ok(reply)
    }
}

/// A service that has nothing but its operators' side, for a port of their own.
#[derive(Clone, Copy, Debug)]
pub struct OpsApi;

#[async_trait]
impl Api for OpsApi {
    async fn respond(&self, _: &mut Inbound) -> Result<Reply, ApiError> {
        Err(ApiError::unknown_path())
    }

    fn route(&self, _: &str) -> Option<Route> {
        None
    }
}

fn word(ok: bool) -> &'static str {
    if ok { "ok" } else { "unavailable" }
}
