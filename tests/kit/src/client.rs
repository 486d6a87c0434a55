//! A small JSON client for tests.

use anyhow::{Context, Result};
use bytes::Bytes;
use http::{HeaderMap, Method, Request, header};
use http_body_util::{BodyExt, Full};
use hyper_util::{
    client::legacy::{self, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::Value;
use std::time::Duration;

use crate::wait_for;

/// For a whole answer.
const TIMEOUT: Duration = Duration::from_secs(30);

/// For how long [`Client::post_again`] does.
const TURNED_AWAY: Duration = Duration::from_secs(60);

/// An HTTP client for one server, plain HTTP only, with pooled connections.
///
/// Use a client only on the runtime of the test that made it.
#[derive(Clone, Debug)]
pub struct Client {
    base_url: String,
    authorization: Option<String>,
    inner: legacy::Client<HttpConnector, Full<Bytes>>,
}

impl Client {
    /// A client for paths below `base_url`, such as `http://127.0.0.1:8080`.
    pub fn new(base_url: impl Into<String>) -> Self {
        Self {
            base_url: base_url.into().trim_end_matches('/').to_owned(),
            authorization: None,
            inner: legacy::Client::builder(TokioExecutor::new()).build_http(),
        }
    }

    /// The same client, sending `Authorization: Bearer <token>` from now on.
    #[must_use]
    pub fn with_token(&self, token: &str) -> Self {
        Self {
            authorization: Some(format!("Bearer {token}")),
            ..self.clone()
        }
    }

    /// The same client with HTTP basic authentication.
    #[must_use]
    pub fn with_basic(&self, user: &str, password: &str) -> Self {
        use base64::{Engine, prelude::BASE64_STANDARD};
        let encoded = BASE64_STANDARD.encode(format!("{user}:{password}"));
        Self {
            authorization: Some(format!("Basic {encoded}")),
            ..self.clone()
        }
    }

    /// `GET path`; panics if no answer comes.
    pub async fn get(&self, path: &str) -> Response {
        self.send(Method::GET, path, None).await
    }

    /// `POST path` with a JSON body; panics if no answer comes.
    pub async fn post(&self, path: &str, body: &Value) -> Response {
        self.send(Method::POST, path, Some(body)).await
    }

    /// `POST path`, and again when the answer is a 503 that tells when to come again: for what only
    /// prepares a test. Auth turns away who has waited too long for a hash, and has done nothing then.
    /// Panics once that has gone on for a minute; any other answer is given back, whatever it is.
    pub async fn post_again(&self, path: &str, body: &Value) -> Response {
        let what = format!("{}{path} takes it", self.base_url);
        wait_for(&what, TURNED_AWAY, async || {
            let answer = self.post(path, body).await;
            let Some(pause) = answer.come_again() else {
                return Some(answer);
            };
            tokio::time::sleep(pause).await;
            None
        })
        .await
    }

    /// `PUT path` with a JSON body; panics if no answer comes.
    pub async fn put(&self, path: &str, body: &Value) -> Response {
        self.send(Method::PUT, path, Some(body)).await
    }

    /// `PATCH path` with a JSON body; panics if no answer comes.
    pub async fn patch(&self, path: &str, body: &Value) -> Response {
        self.send(Method::PATCH, path, Some(body)).await
    }

    /// `DELETE path`; panics if no answer comes.
    pub async fn delete(&self, path: &str) -> Response {
        self.send(Method::DELETE, path, None).await
    }

    async fn send(&self, method: Method, path: &str, body: Option<&Value>) -> Response {
        let (headers, body): (&[(&str, &str)], _) = match body {
            Some(json) => (&[("content-type", "application/json")], json.to_string()),
            None => (&[], String::new()),
        };
        self.request(method, path, headers, body)
            .await
            .unwrap_or_else(|error| panic!("{error:#}"))
    }

    /// Any request, sent as it is given (plus the token, unless `headers` bring an own).
    ///
    /// # Errors
    /// No whole answer within 30 seconds, or a request that HTTP does not allow.
    pub async fn request(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Result<Response> {
        let what = format!("{method} {}{path}", self.base_url);
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base_url));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let own_token = headers
            .iter()
            .any(|(name, _)| name.eq_ignore_ascii_case("authorization"));
        if let (Some(value), false) = (&self.authorization, own_token) {
            request = request.header(header::AUTHORIZATION, value);
        }
        let request = request
            .body(Full::new(body.into()))
            .with_context(|| what.clone())?;
        let answer = async {
            let (parts, body) = self.inner.request(request).await?.into_parts();
            let body = body.collect().await?.to_bytes();
            anyhow::Ok(Response {
                status: parts.status.as_u16(),
                headers: parts.headers,
                body,
            })
        };
        match tokio::time::timeout(TIMEOUT, answer).await {
            Ok(response) => response.with_context(|| what),
            Err(_) => anyhow::bail!("{what}: no answer in {TIMEOUT:?}"),
        }
    }
}

/// A whole answer.
#[derive(Clone, Debug)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// All header fields.
    pub headers: HeaderMap,
    /// The body, unparsed.
    pub body: Bytes,
}

impl Response {
    /// The body as JSON; panics, showing status and body, if it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("no JSON ({error}), {}: {}", self.status, self.text()))
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// What a 503 tells to wait before it is tried again; none of any other answer.
    fn come_again(&self) -> Option<Duration> {
        let pause = self.header("retry-after").filter(|_| self.status == 503)?;
        pause.parse().ok().map(Duration::from_secs)
    }

    /// The value of a header field, if it is there and readable.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}
