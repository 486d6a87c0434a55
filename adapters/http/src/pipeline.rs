//! What every request goes through, whichever service it is for.

use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use core_kernel::chain;
use futures_util::FutureExt;
use http::header::{CACHE_CONTROL, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderMap, HeaderValue, Request};
use hyper::body::Incoming;
use tracing::Instrument;

use crate::edge::Edge;
use crate::error::ApiError;
use crate::ops::Ops;
use crate::reply::Reply;
use crate::request::Inbound;
use crate::route::Route;

/// A service's own part: one `match` from method and path to handler.
#[async_trait]
pub trait Api: Send + Sync + 'static {
    /// The answer to a request for one of its routes, by one of the route's methods.
    async fn respond(&self, request: &mut Inbound) -> Result<Reply, ApiError>;

    /// What stands at a path; `None` for a path that the service does not have.
    fn route(&self, path: &str) -> Option<Route>;
}

/// What [`Ops`] answers.
const OPS: Route = Route::internal("ops", "GET, HEAD");

/// Longer than any handler's own limits; a request that is still running is given up as a 503.
const DEADLINE: Duration = Duration::from_secs(25);

/// The answer to a request, with its id, its log line and its figures.
pub(crate) async fn handle<A: Api + ?Sized>(
    api: &A,
    ops: &Ops,
    edge: &Edge,
    request: Request<Incoming>,
    peer: IpAddr,
) -> Reply {
    let started = Instant::now();
    let mut request = Inbound::new(request, |headers| edge.proxies.client(peer, headers));
    let id = request.context.request_id.clone();
    // At this level it is there whatever is filtered out: its ids belong to every line.
    let span = tracing::error_span!(
        "request",
        request_id = %id,
        trace_id = %request.context.trace.trace_id(),
    );
    async {
        let method = request.method().clone();
        let (route, result) = find(api, ops, edge, &mut request).await;
        let mut reply = result.unwrap_or_else(|error| {
            log_failure(&error);
            error.into_reply(&id)
        });
        label(&request, route, edge, reply.headers_mut());
        let name = route.map_or("unknown", |route| route.name);
        record(&method, name, &reply, started.elapsed());
        reply
    }
    .instrument(span)
    .await
}

/// What stands at the path, and the answer.
async fn find<A: Api + ?Sized>(
    api: &A,
    ops: &Ops,
    edge: &Edge,
    request: &mut Inbound,
) -> (Option<Route>, Result<Reply, ApiError>) {
    let ours = match request.has_one_host() {
        true => ops.respond(request).await,
        false => Some(Err(ApiError::bad_host())),
    };
    if let Some(result) = ours {
        return (Some(OPS), result);
    }
    match api.route(request.path()) {
        Some(route) => (Some(route), at(api, route, edge, request).await),
        None => (None, Err(ApiError::unknown_path())),
    }
}

/// The headers that answers have, whatever they say.
fn label(request: &Inbound, route: Option<Route>, edge: &Edge, headers: &mut HeaderMap) {
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    // Answers are personal, and some are tokens (RFC 6749 §5.1): nobody is to keep them.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Ok(value) = HeaderValue::from_str(&request.context.request_id) {
        headers.insert("x-request-id", value);
    }
    if let Some(standing) = request.standing() {
        standing.tell(headers);
    }
    if route.is_some_and(|route| route.cross_origin) {
        edge.origins.grant(request.headers(), headers);
    }
}

/// The answer at a route: to a browser that asks for leave, to a method, or to neither.
async fn at<A: Api + ?Sized>(
    api: &A,
    route: Route,
    edge: &Edge,
    request: &mut Inbound,
) -> Result<Reply, ApiError> {
    let (method, headers) = (request.method(), request.headers());
    if route.cross_origin
        && let Some(leave) = edge.origins.preflight(method, headers, route.methods)
    {
        return Ok(leave);
    }
    match route.has(method) {
        true => answer(api, request).await,
        false => Err(ApiError::method_not_allowed(route.methods)),
    }
}

/// Runs the handler; one that panics or takes too long harms only its own request.
async fn answer<A: Api + ?Sized>(api: &A, request: &mut Inbound) -> Result<Reply, ApiError> {
    let handler = AssertUnwindSafe(api.respond(request)).catch_unwind();
    match tokio::time::timeout(DEADLINE, handler).await {
        Ok(Ok(result)) => result,
        Ok(Err(_panic)) => Err(ApiError::internal("the handler panicked".into())),
        Err(late) => Err(ApiError::unavailable(late.into())),
    }
}

fn log_failure(error: &ApiError) {
    if let Some(source) = error.source() {
        let status = error.status().as_u16();
        tracing::error!(status, error = chain(&**source), "request failed");
    }
}

fn record(method: &http::Method, route: &'static str, reply: &Reply, took: Duration) {
    let status = reply.status().as_u16();
    let ms = took.as_secs_f64() * 1000.0;
    if route == OPS.name {
        tracing::debug!(method = %method, route, status, ms, "request");
        return;
    }
    tracing::info!(method = %method, route, status, ms, "request");
    // A method outside the usual ones would be a label of the caller's choosing.
    let method = match method.as_str() {
        known @ ("GET" | "POST" | "PATCH" | "DELETE" | "PUT" | "OPTIONS") => known.to_owned(),
        _ => "_OTHER".to_owned(),
    };
    metrics::histogram!(
        "http_server_request_duration_seconds",
        "http_request_method" => method,
        "http_route" => route,
        "http_response_status_code" => status.to_string(),
    )
    .record(took.as_secs_f64());
}
