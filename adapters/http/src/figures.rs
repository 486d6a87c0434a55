//! Figures of requests. Their labels are few, whatever callers send: routes, not paths, and known
//! methods. A figure is found without a lock and without allocating; then it is an atomic.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use http::Method;
use metrics::{Gauge, Histogram};

/// The route of a path that the service does not have.
pub(crate) const UNKNOWN: &str = "unknown";

/// Method, route, status.
type Labels = (&'static str, &'static str, u16);

/// As many as there are routes, methods and statuses that were answered.
static ANSWERS: LazyLock<ArcSwap<HashMap<Labels, Histogram>>> = LazyLock::new(ArcSwap::default);

static ACTIVE: LazyLock<Gauge> = LazyLock::new(|| metrics::gauge!("http_server_active_requests"));

/// Begins to keep the figure of requests in hand, so that it is told before the first.
pub(crate) fn expect() {
    LazyLock::force(&ACTIVE);
}

/// A method as a label. One outside the usual ones would be of the caller's choosing.
pub(crate) fn method(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "POST" => "POST",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "PUT" => "PUT",
        "OPTIONS" => "OPTIONS",
        _ => "_OTHER",
    }
}

/// Counts an answer, and how long it took.
pub(crate) fn answered(method: &'static str, route: &'static str, status: u16, took: Duration) {
    let labels = (method, route, status);
    match ANSWERS.load().get(&labels) {
        Some(known) => known.record(took.as_secs_f64()),
        None => first(labels).record(took.as_secs_f64()),
    }
}

/// Begins to keep the figure of these labels.
fn first(labels: Labels) -> Histogram {
    let (method, route, status) = labels;
    let histogram = metrics::histogram!(
        "http_server_request_duration_seconds",
        "http_request_method" => method,
        "http_route" => route,
        "http_response_status_code" => status.to_string(),
    );
    ANSWERS.rcu(|known| {
        let mut known = HashMap::clone(known);
        known.insert(labels, histogram.clone());
        Arc::new(known)
    });
    histogram
}

/// A request that is being worked on; counted until it is dropped.
pub(crate) struct Active;

impl Active {
    pub(crate) fn begin() -> Self {
        ACTIVE.increment(1.0);
        Self
    }
}

impl Drop for Active {
    fn drop(&mut self) {
        ACTIVE.decrement(1.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_strange_method_is_one_label() {
        let strange = Method::from_bytes(b"BREW").unwrap();
        assert_eq!(method(&strange), "_OTHER");
        assert_eq!(method(&Method::TRACE), "_OTHER");
        assert_eq!(method(&Method::PATCH), "PATCH");
    }
}
