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

/// The route in logs of what [`Ops`] answers.
const OPS: &str = "ops";

/// The status in logs and figures of a request whose client did not wait for the answer: nginx's own,
/// which nobody is ever told.
const CLIENT_GONE: u16 = 499;

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
    let place = Place::of(api, ops, &request);
    let span = span(&request, place);
    let method = figures::method(request.method());
    let record = Record::begin(started, method, place, span.clone());
    let reply = async {
        let result = find(api, ops, edge, &mut request, place).await;
        let mut reply = result.unwrap_or_else(|error| {
            log_failure(&error);
            error.into_reply(&id)
        });
        label(&request, place, edge, reply.headers_mut());
        reply
    };
    let reply = reply.instrument(span).await;
    record.end(&reply);
    reply
}

/// What a request is for, as far as its head tells.
#[derive(Clone, Copy)]
enum Place {
    /// What [`Ops`] answers.
    Ops,
    /// One of the service's routes.
    Api(Route),
    /// A path that there is not.
    Nowhere,
    /// Nobody knows, since it names no host, or two.
    NoHost,
}

impl Place {
    fn of<A: Api + ?Sized>(api: &A, ops: &Ops, request: &Inbound) -> Self {
        if !request.has_one_host() {
            return Self::NoHost;
        }
        match ops.answers(request.path()) {
            true => Self::Ops,
            false => api.route(request.path()).map_or(Self::Nowhere, Self::Api),
        }
    }

    /// Its name in logs and figures.
    fn name(self) -> &'static str {
        match self {
            Self::Ops => OPS,
            Self::Api(route) => route.name,
            Self::Nowhere | Self::NoHost => figures::UNKNOWN,
        }
    }
}

/// The span of a request (OpenTelemetry's conventions for HTTP servers), whose ids belong to every
/// log line: at this level it is there whatever is filtered out. What has a dot in its name is for
/// traces alone.
fn span(request: &Inbound, place: Place) -> Span {
    let trace = &request.context.trace;
    // Probes and scrapes would be most of what is traced.
    let sampled = trace.is_sampled() && !Ops::has(request.path());
    let (route, path) = match place {
        Place::Api(route) => (Some(route.name), Some(request.path())),
        // A path that we do not have may be anything, a secret too.
        _ => (None, None),
    };
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
        http.route = route,
        http.response.status_code = Empty,
        url.scheme = "http",
        url.path = path,
        error.type = Empty,
    )
}

/// The answer of what stands at the place.
async fn find<A: Api + ?Sized>(
    api: &A,
    ops: &Ops,
    edge: &Edge,
    request: &mut Inbound,
    place: Place,
) -> Result<Reply, ApiError> {
    match place {
        Place::Ops => ops.respond(request).await,
        Place::Api(route) => at(api, route, edge, request).await,
        Place::Nowhere => Err(ApiError::unknown_path()),
        Place::NoHost => Err(ApiError::bad_host()),
    }
}

/// The headers that answers have, whatever they say.
fn label(request: &Inbound, place: Place, edge: &Edge, headers: &mut HeaderMap) {
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    // Answers are personal, and some are tokens (RFC 6749 §5.1): nobody is to keep them.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Ok(value) = HeaderValue::from_str(&request.context.request_id) {
        headers.insert("x-request-id", value);
    }
    if let Some(standing) = request.standing() {
        standing.tell(headers);
    }
    if let Place::Api(Route {
        cross_origin: true, ..
    }) = place
    {
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

/// The one line and the figures of a request. Dropped before its end it tells them too: a client that
/// hangs up takes the work on its request along, and those who tire of waiting are the first to show
/// that something is slow.
struct Record {
    started: Instant,
    method: &'static str,
    place: Place,
    span: Span,
    ended: bool,
    _active: Option<figures::Active>,
}

impl Record {
    fn begin(started: Instant, method: &'static str, place: Place, span: Span) -> Self {
        // Whoever asks for the figures would always find at least itself.
        let counts = !matches!(place, Place::Ops);
        Self {
            started,
            method,
            place,
            span,
            ended: false,
            _active: counts.then(figures::Active::begin),
        }
    }

    fn end(mut self, reply: &Reply) {
        self.ended = true;
        let status = reply.status();
        let span = &self.span;
        span.record("http.response.status_code", status.as_u16());
        if status.is_server_error() {
            span.record("error.type", status.as_str());
        }
        self.tell(status.as_u16());
    }

    /// Who writes the log knows what the databases took of it and fills that in.
    fn tell(&self, status: u16) {
        let (method, route) = (self.method, self.place.name());
        let took = self.started.elapsed();
        let ms = took.as_secs_f64() * 1000.0;
        if matches!(self.place, Place::Ops) {
            tracing::debug!(parent: &self.span, method, route, status, ms, "request");
            return;
        }
        tracing::info!(
            parent: &self.span,
            method,
            route,
            status,
            ms,
            db_ms = Empty,
            queries = Empty,
            "request"
        );
        figures::answered(method, route, status, took);
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        if !self.ended {
            // No status was sent, so the span has none.
            self.span.record("error.type", "client_gone");
            self.tell(CLIENT_GONE);
        }
    }
}
