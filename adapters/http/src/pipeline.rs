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
use tracing::field::Empty;
use tracing::{Instrument, Span};

use crate::edge::Edge;
use crate::error::ApiError;
use crate::figures;
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
    let _active = figures::Active::begin();
    let mut request = Inbound::new(request, |headers| edge.proxies.client(peer, headers));
    let id = request.context.request_id.clone();
    let span = span(&request);
    async {
        let method = figures::method(request.method());
        let (route, result) = find(api, ops, edge, &mut request).await;
        let mut reply = result.unwrap_or_else(|error| {
            log_failure(&error);
            error.into_reply(&id)
        });
        label(&request, route, edge, reply.headers_mut());
        let name = route.map_or(figures::UNKNOWN, |route| route.name);
        record(method, name, &reply, started.elapsed());
        reply
    }
    .instrument(span)
    .await
}

/// The span of a request (OpenTelemetry's conventions for HTTP servers), whose ids belong to every
/// log line: at this level it is there whatever is filtered out. What has a dot in its name is for
/// traces alone.
fn span(request: &Inbound) -> Span {
    let trace = &request.context.trace;
    // Probes and scrapes would be most of what is traced.
    let sampled = trace.is_sampled() && !Ops::has(request.path());
    tracing::error_span!(
        "request",
        request_id = %request.context.request_id,
        trace_id = %trace.trace_id(),
        span_id = %trace.span_id(),
        order_id = Empty,
        otel.kind = "server",
        otel.parent_id = trace.parent_id(),
        otel.sampled = sampled,
        http.request.method = figures::method(request.method()),
        http.route = Empty,
        http.response.status_code = Empty,
        url.scheme = "http",
        url.path = Empty,
        error.type = Empty,
    )
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
        Some(route) => {
            // A path that we do not have may be anything, a secret too.
            Span::current().record("http.route", route.name);
            Span::current().record("url.path", request.path());
            (Some(route), at(api, route, edge, request).await)
        }
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

/// The one line and the figures of a request. Who writes the log knows what the databases took of it
/// and fills that in.
fn record(method: &'static str, route: &'static str, reply: &Reply, took: Duration) {
    let status = reply.status();
    let code = status.as_u16();
    let span = Span::current();
    span.record("http.response.status_code", code);
    if status.is_server_error() {
        span.record("error.type", status.as_str());
    }
    let ms = took.as_secs_f64() * 1000.0;
    if route == OPS.name {
        tracing::debug!(method, route, status = code, ms, "request");
        return;
    }
    tracing::info!(
        method,
        route,
        status = code,
        ms,
        db_ms = Empty,
        queries = Empty,
        "request"
    );
    figures::answered(method, route, code, took);
}
