//! Calling other services over pooled keep-alive connections.

mod auth;
mod health;
mod orders;

use std::time::Duration;

use bytes::Bytes;
use core_kernel::{BoxError, RequestContext};
use core_notify::ReadError;
use http::header::AUTHORIZATION;
use http::{HeaderValue, Method, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use shopflow_telemetry::TRACE;
use tokio::sync::watch;
use tracing::field::Empty;
use tracing::{Instrument, Span};

pub use auth::AuthClient;
pub use health::{Health, accepts, health};
pub use orders::OrdersClient;

/// Shorter than our servers keep idle connections (20 s), so that a reused one is not just being
/// closed at the other end.
const POOL_IDLE: Duration = Duration::from_secs(10);

/// Connecting within a network takes milliseconds or fails.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// An answer larger than this is none of ours.
const MAX_ANSWER: usize = 1024 * 1024;

/// Why a call gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// No connection: the request was certainly not sent.
    #[error("no connection")]
    Connect(#[source] BoxError),
    /// The connection broke, or the answer is none; the request may have been received.
    #[error("the connection broke")]
    Broken(#[source] BoxError),
    /// No answer in time; the request may have been received.
    #[error("no answer within {0:?}")]
    TimedOut(Duration),
}

impl CallError {
    /// Its kind, for figures and traces.
    fn word(&self) -> &'static str {
        match self {
            Self::Connect(_) => "no_connection",
            Self::Broken(_) => "connection_broke",
            Self::TimedOut(_) => "timeout",
        }
    }
}

/// An HTTP client: one pool of connections per host, for `http` and `https`.
#[derive(Clone, Debug)]
pub struct HttpClient(Client<HttpsConnector<HttpConnector>, Full<Bytes>>);

impl HttpClient {
    /// A client that trusts the certificate authorities of the system.
    ///
    /// # Errors
    /// When the system has none.
    pub fn new() -> Result<Self, std::io::Error> {
        let tls = HttpsConnectorBuilder::new().with_native_roots()?;
        Ok(Self::with(
            tls.https_or_http().enable_http1().wrap_connector(tcp()),
        ))
    }

    /// A client for services on the same machine. It trusts no certificate authority, so it needs
    /// none to be installed.
    #[must_use]
    pub fn local() -> Self {
        Self::trusting(RootCertStore::empty())
    }

    /// A client that trusts these certificate authorities and no others.
    #[must_use]
    pub fn trusting(authorities: RootCertStore) -> Self {
        let tls = rustls::ClientConfig::builder()
            .with_root_certificates(authorities)
            .with_no_client_auth();
        let tls = HttpsConnectorBuilder::new().with_tls_config(tls);
        Self::with(tls.https_or_http().enable_http1().wrap_connector(tcp()))
    }

    fn with(connector: HttpsConnector<HttpConnector>) -> Self {
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(POOL_IDLE)
            .build(connector);
        Self(client)
    }

    /// The answer to a request, whole, if it comes within `timeout`.
    ///
    /// # Errors
    /// When none comes, see [`CallError`].
    pub async fn call(
        &self,
        request: Request<Full<Bytes>>,
        timeout: Duration,
    ) -> Result<(StatusCode, Bytes), CallError> {
        let answer = self.exchange(request, timeout).await?;
        Ok((answer.status(), answer.into_body()))
    }

    /// The same, for who wants the answer's headers too.
    ///
    /// # Errors
    /// Those of [`Self::call`].
    pub async fn exchange(
        &self,
        request: Request<Full<Bytes>>,
        timeout: Duration,
    ) -> Result<Response<Bytes>, CallError> {
        let exchange = async {
            let answer = self.0.request(request).await.map_err(|error| {
                if error.is_connect() {
                    CallError::Connect(error.into())
                } else {
                    CallError::Broken(error.into())
                }
            })?;
            let (head, body) = answer.into_parts();
            let body = Limited::new(body, MAX_ANSWER).collect().await;
            let body = body.map_err(CallError::Broken)?.to_bytes();
            Ok(Response::from_parts(head, body))
        };
        tokio::time::timeout(timeout, exchange)
            .await
            .map_err(|_| CallError::TimedOut(timeout))?
    }
}

/// Why a text holds no certificate authorities.
#[derive(Clone, Debug, thiserror::Error)]
pub enum AuthoritiesError {
    /// It has no certificate in PEM.
    #[error("has no certificate in PEM")]
    Empty,
    /// What looks like one is none.
    #[error("has a certificate that is none")]
    Broken,
}

/// The certificate authorities in a PEM text (RFC 7468 §5).
///
/// # Errors
/// When there are none, or what is there is none.
pub fn authorities(pem: &[u8]) -> Result<RootCertStore, AuthoritiesError> {
    let mut store = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|_| AuthoritiesError::Broken)?;
        let taken = store.add(certificate);
        taken.map_err(|_| AuthoritiesError::Broken)?;
    }
    match store.is_empty() {
        true => Err(AuthoritiesError::Empty),
        false => Ok(store),
    }
}

fn tcp() -> HttpConnector {
    let mut tcp = HttpConnector::new();
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
    tcp.enforce_http(false);
    tcp
}

/// The token by which a service shows itself to another. It lives 24 hours, so its source may put
/// a new one in its place at any time.
pub type ServiceToken = watch::Receiver<SecretString>;

/// A text that is no base URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be an absolute http or https URL")]
pub struct UrlError;

/// Whether a text can be the base of another service's URLs.
#[must_use]
pub fn is_base_url(text: &str) -> bool {
    base(text).is_ok()
}

fn base(text: &str) -> Result<String, UrlError> {
    let text = text.trim_end_matches('/');
    let uri: Uri = text.parse().map_err(|_| UrlError)?;
    let web = matches!(uri.scheme_str(), Some("http" | "https"));
    let plain = uri.query().is_none() && !text.contains('#');
    if !web || !plain || uri.host().is_none_or(str::is_empty) {
        return Err(UrlError);
    }
    Ok(without_user(&uri).trim_end_matches('/').to_owned())
}

/// A URL without user and password. They are never sent, and spans have the whole URL.
#[must_use]
pub fn without_user(url: &Uri) -> String {
    let text = url.to_string();
    let user = url
        .authority()
        .and_then(|all| all.as_str().rsplit_once('@'));
    match user {
        Some((user, _)) => text.replacen(&format!("{user}@"), "", 1),
        None => text,
    }
}

/// The port that a URL leads to.
#[must_use]
pub fn port(url: &Uri) -> u16 {
    let usual = match url.scheme_str() {
        Some("https") => 443,
        _ => 80,
    };
    url.port_u16().unwrap_or(usual)
}

/// Another of our services.
#[derive(Clone, Debug)]
struct Peer {
    client: HttpClient,
    base: String,
    host: String,
    port: u16,
    timeout: Duration,
    token: ServiceToken,
}

impl Peer {
    fn new(
        client: HttpClient,
        base_url: &str,
        timeout: Duration,
        token: ServiceToken,
    ) -> Result<Self, UrlError> {
        let base = base(base_url)?;
        let uri: Uri = base.parse().map_err(|_| UrlError)?;
        Ok(Self {
            client,
            host: uri.host().unwrap_or_default().to_owned(),
            port: port(&uri),
            base,
            timeout,
            token,
        })
    }

    /// Our own token as a header value.
    fn own(&self) -> Result<HeaderValue, CallError> {
        bearer(self.token.borrow().expose_secret())
    }

    /// What stands at `path`, an instance of `template`, read with our own token.
    async fn read<T: DeserializeOwned>(
        &self,
        who: &'static str,
        (template, path): (&'static str, &str),
        context: &RequestContext,
    ) -> Result<T, ReadError> {
        let away = |error: CallError| ReadError::Away(who, error.into());
        let own = self.own().map_err(away)?;
        let place = (template, path);
        let answer = self.call(Method::GET, place, own, None, context).await;
        match answer.map_err(away)? {
            (StatusCode::OK, body) => {
                serde_json::from_slice(&body).map_err(|error| ReadError::Broken(who, error.into()))
            }
            (status, _) => Err(unusable(who, status)),
        }
    }

    /// A call in the trace and under the id of the request that caused it.
    async fn call(
        &self,
        method: Method,
        (template, path): (&'static str, &str),
        authorization: HeaderValue,
        for_service: Option<HeaderValue>,
        context: &RequestContext,
    ) -> Result<(StatusCode, Bytes), CallError> {
        let trace = context.trace.child();
        let uri = format!("{}{path}", self.base);
        let span = tracing::info_span!(
            target: TRACE,
            "call",
            trace_id = %trace.trace_id(),
            span_id = %trace.span_id(),
            otel.kind = "client",
            otel.parent_id = trace.parent_id(),
            otel.sampled = trace.is_sampled(),
            http.request.method = %method,
            url.template = template,
            url.full = uri,
            server.address = self.host.as_str(),
            server.port = self.port,
            http.response.status_code = Empty,
            error.type = Empty,
        );
        let mut request = Request::builder()
            .method(method)
            .uri(uri)
            .header(AUTHORIZATION, authorization)
            .header("x-request-id", &*context.request_id)
            .header("traceparent", trace.traceparent());
        if let Some(state) = context.trace.tracestate() {
            request = request.header("tracestate", state);
        }
        if let Some(own) = for_service {
            request = request.header("x-service-authorization", own);
        }
        let request = request
            .body(Full::default())
            .map_err(|e| CallError::Broken(e.into()))?;
        let called = self.client.call(request, self.timeout);
        let answer = called.instrument(span.clone()).await;
        outcome(&span, &answer);
        answer
    }
}

/// Tells the span of a call what came of it (OpenTelemetry's conventions for HTTP clients).
pub fn outcome(span: &Span, answer: &Result<(StatusCode, Bytes), CallError>) {
    match answer {
        Ok((status, _)) => {
            span.record("http.response.status_code", status.as_u16());
            if status.is_client_error() || status.is_server_error() {
                span.record("error.type", status.as_str());
            }
        }
        Err(error) => {
            span.record("error.type", error.word());
        }
    }
}

fn bearer(token: &str) -> Result<HeaderValue, CallError> {
    let mut value = HeaderValue::try_from(format!("Bearer {token}"))
        .map_err(|error| CallError::Broken(error.into()))?;
    value.set_sensitive(true);
    Ok(value)
}

/// What a neighbour's status means to a notification that needs it.
fn unusable(who: &'static str, status: StatusCode) -> ReadError {
    let source: BoxError = format!("{who} answered {status}").into();
    match status {
        StatusCode::NOT_FOUND => ReadError::NotFound(who),
        StatusCode::GONE => ReadError::Gone(who),
        // Our token is no longer good, or it is overloaded or away: that is not this message's
        // fault.
        StatusCode::UNAUTHORIZED
        | StatusCode::FORBIDDEN
        | StatusCode::TOO_MANY_REQUESTS
        | StatusCode::BAD_GATEWAY
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::GATEWAY_TIMEOUT => ReadError::Away(who, source),
        _ => ReadError::Broken(who, source),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_url_loses_user_and_password() {
        for (given, kept) in [
            ("http://ada:s3cret@auth:8081/", "http://auth:8081"),
            ("https://http@auth/http@", "https://auth/http@"),
            ("http://auth:8081/v1", "http://auth:8081/v1"),
        ] {
            assert_eq!(base(given).as_deref(), Ok(kept));
        }
        assert_eq!(base("ftp://auth"), Err(UrlError));
    }
}
