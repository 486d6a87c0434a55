//! A collector of traces: OTLP by HTTP and by gRPC, on one port, plain or by TLS.

mod tls;

use crate::{runtime::runtime, wait_for};
use bytes::{Buf, Bytes};
use futures_util::stream;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::{
    body::{Frame, Incoming},
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{AnyValue, KeyValue, any_value::Value},
    trace::v1::{Span as Sent, span::SpanKind, status::StatusCode as Outcome},
};
use prost::Message;
use std::{
    collections::BTreeMap,
    convert::Infallible,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_rustls::TlsAcceptor;

const HTTP: &str = "/v1/traces";
const GRPC: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

/// A span as a service told it.
#[derive(Clone, Debug, PartialEq)]
pub struct Span {
    /// Which service (`service.name`).
    pub service: String,
    /// 32 hex digits.
    pub trace_id: String,
    /// 16 hex digits.
    pub id: String,
    /// That of the span it is part of; empty for the first of a trace.
    pub parent_id: String,
    /// What it is called.
    pub name: String,
    /// `server`, `client`, `producer`, `consumer` or `internal`.
    pub kind: &'static str,
    /// Whether it failed.
    pub failed: bool,
    /// When it began and ended, in nanoseconds since 1970.
    pub time: [u64; 2],
    /// What is told of it, as text.
    pub attributes: BTreeMap<String, String>,
}

/// A collector of traces on loopback; gone when it is dropped.
#[derive(Debug)]
pub struct Collector {
    endpoint: String,
    state: Arc<State>,
    server: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct State {
    spans: Mutex<Vec<Span>>,
    headers: Mutex<Vec<HeaderMap>>,
    hangs: AtomicBool,
}

impl Collector {
    /// One that takes everything.
    pub async fn start() -> Self {
        Self::listen("http", None).await
    }

    /// The same by TLS, known by [`Self::AUTHORITY`] and nobody else.
    pub async fn start_tls() -> Self {
        Self::listen("https", Some(tls::acceptor())).await
    }

    async fn listen(scheme: &str, tls: Option<TlsAcceptor>) -> Self {
        let binding = runtime().spawn(TcpListener::bind(("127.0.0.1", 0)));
        let listener = binding.await.expect("binding does not panic");
        let listener = listener.expect("a free port");
        let address = listener.local_addr().expect("it listens");
        let state = Arc::<State>::default();
        let server = runtime().spawn(serve(listener, state.clone(), tls));
        Self {
            endpoint: format!("{scheme}://{address}"),
            state,
            server,
        }
    }

    /// The authority that vouches for one with TLS, in PEM.
    pub const AUTHORITY: &str = tls::AUTHORITY;

    /// Its URL.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// From now on it takes what comes and answers nobody.
    pub fn hang(&self) {
        self.state.hangs.store(true, Ordering::Relaxed);
    }

    /// All spans so far, in the order of their arrival.
    #[must_use]
    pub fn spans(&self) -> Vec<Span> {
        lock(&self.state.spans).clone()
    }

    /// The headers of every request so far.
    #[must_use]
    pub fn headers(&self) -> Vec<HeaderMap> {
        lock(&self.state.headers).clone()
    }

    /// Waits until the spans are as they are wanted, and returns all; panics, naming those that came,
    /// if `timeout` is over before.
    pub async fn wait_for(
        &self,
        what: &str,
        timeout: Duration,
        wanted: impl Fn(&[Span]) -> bool,
    ) -> Vec<Span> {
        wait_for(what, timeout, async || {
            let spans = self.spans();
            wanted(&spans).then_some(spans)
        })
        .await
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn lock<T>(memory: &Mutex<T>) -> MutexGuard<'_, T> {
    memory
        .lock()
        .expect("nothing panics while it holds the memory")
}

async fn serve(listener: TcpListener, state: Arc<State>, tls: Option<TlsAcceptor>) {
    // Aborting this task drops the set, and with it every connection.
    let mut connections = tokio::task::JoinSet::new();
    loop {
        tokio::select! {
            Ok((stream, _)) = listener.accept() => {
                let (state, tls) = (state.clone(), tls.clone());
                connections.spawn(async move {
                    match tls {
                        None => serve_plain(stream, state).await,
                        Some(tls) => serve_tls(stream, state, tls).await,
                    }
                });
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// gRPC is HTTP/2, which begins with a preface (RFC 9113 §3.4).
async fn serve_plain(stream: TcpStream, state: Arc<State>) {
    let mut first = [0; 3];
    let peeked = stream.peek(&mut first).await;
    let is_http2 = peeked.is_ok() && &first == b"PRI";
    serve_connection(stream, state, is_http2).await;
}

async fn serve_tls(stream: TcpStream, state: Arc<State>, tls: TlsAcceptor) {
    // Who does not trust us hangs up.
    let Ok(stream) = tls.accept(stream).await else {
        return;
    };
    let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    serve_connection(stream, state, is_http2).await;
}

async fn serve_connection(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    state: Arc<State>,
    is_http2: bool,
) {
    let answer = service_fn(move |request| answer(state.clone(), request));
    let io = TokioIo::new(stream);
    let _ = match is_http2 {
        true => {
            http2::Builder::new(TokioExecutor::new())
                .serve_connection(io, answer)
                .await
        }
        false => http1::Builder::new().serve_connection(io, answer).await,
    };
}

type Answer = Response<UnsyncBoxBody<Bytes, Infallible>>;

async fn answer(state: Arc<State>, request: Request<Incoming>) -> Result<Answer, hyper::Error> {
    let (parts, body) = request.into_parts();
    let mut body = body.collect().await?.to_bytes();
    lock(&state.headers).push(parts.headers);
    let grpc = parts.uri.path() == GRPC;
    if grpc {
        // Whether it is compressed, and its length (gRPC over HTTP/2, "Length-Prefixed-Message").
        body.advance(5);
    }
    let known = grpc || parts.uri.path() == HTTP;
    let Some(sent) = ExportTraceServiceRequest::decode(body)
        .ok()
        .filter(|_| known)
    else {
        let mut refused = Response::new(Full::default().boxed_unsync());
        *refused.status_mut() = StatusCode::BAD_REQUEST;
        return Ok(refused);
    };
    remember(&state, sent);
    if state.hangs.load(Ordering::Relaxed) {
        std::future::pending::<()>().await;
    }
    Ok(match grpc {
        true => grpc_answer(),
        false => Response::new(Full::default().boxed_unsync()),
    })
}

/// An empty message, and that all is well.
fn grpc_answer() -> Answer {
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    let frames = [
        Ok(Frame::data(Bytes::from_static(&[0; 5]))),
        Ok(Frame::trailers(trailers)),
    ];
    let mut answer = Response::new(StreamBody::new(stream::iter(frames)).boxed_unsync());
    let grpc = HeaderValue::from_static("application/grpc");
    answer.headers_mut().insert("content-type", grpc);
    answer
}

fn remember(state: &State, sent: ExportTraceServiceRequest) {
    let mut spans = lock(&state.spans);
    for resource in sent.resource_spans {
        let told = resource.resource.map(|told| attributes(told.attributes));
        let service = told.and_then(|mut told| told.remove("service.name"));
        let service = service.unwrap_or_default();
        let all = resource
            .scope_spans
            .into_iter()
            .flat_map(|scope| scope.spans);
        spans.extend(all.map(|span| read(service.clone(), span)));
    }
}

fn read(service: String, span: Sent) -> Span {
    Span {
        service,
        trace_id: hex(&span.trace_id),
        id: hex(&span.span_id),
        parent_id: hex(&span.parent_span_id),
        kind: match span.kind() {
            SpanKind::Server => "server",
            SpanKind::Client => "client",
            SpanKind::Producer => "producer",
            SpanKind::Consumer => "consumer",
            SpanKind::Internal | SpanKind::Unspecified => "internal",
        },
        name: span.name,
        failed: span
            .status
            .is_some_and(|status| status.code() == Outcome::Error),
        time: [span.start_time_unix_nano, span.end_time_unix_nano],
        attributes: attributes(span.attributes),
    }
}

fn attributes(all: Vec<KeyValue>) -> BTreeMap<String, String> {
    let text = |value: Option<AnyValue>| match value.and_then(|value| value.value) {
        Some(Value::StringValue(text)) => text,
        Some(Value::IntValue(number)) => number.to_string(),
        Some(Value::BoolValue(yes)) => yes.to_string(),
        Some(Value::DoubleValue(number)) => number.to_string(),
        other => format!("{other:?}"),
    };
    all.into_iter()
        .map(|one| (one.key, text(one.value)))
        .collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
