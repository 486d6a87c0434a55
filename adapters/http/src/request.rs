//! Requests as handlers see them.

use std::net::IpAddr;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use core_kernel::{EventId, RequestContext, TraceContext};
use http::header::{AUTHORIZATION, HOST};
use http::request::Parts;
use http::{HeaderMap, HeaderName, Method, Request, Version};
use hyper::body::Incoming;

use crate::body;
use crate::error::ApiError;
use crate::limit::Standing;
use crate::query::Query;

/// A request with its context.
#[derive(Debug)]
pub struct Inbound {
    parts: Parts,
    body: Option<Incoming>,
    client: IpAddr,
    standing: OnceLock<Standing>,
    /// What the request is known by.
    pub context: RequestContext,
}

impl Inbound {
    /// A request from `client`, whoever stands in between.
    pub(crate) fn new(
        request: Request<Incoming>,
        client: impl FnOnce(&HeaderMap) -> IpAddr,
    ) -> Self {
        let (mut parts, body) = request.into_parts();
        let context = context(&parts.headers);
        let client = client(&parts.headers);
        // HEAD is GET without the body, which hyper leaves out by itself (RFC 9110 §9.3.2).
        if parts.method == Method::HEAD {
            parts.method = Method::GET;
        }
        Self {
            parts,
            body: Some(body),
            client,
            standing: OnceLock::new(),
            context,
        }
    }

    /// The method; GET for HEAD.
    #[must_use]
    pub fn method(&self) -> &Method {
        &self.parts.method
    }

    /// Whether the request names its host once, as RFC 9112 §3.2 demands.
    pub(crate) fn has_one_host(&self) -> bool {
        self.parts.version < Version::HTTP_11
            || self.parts.headers.get_all(HOST).into_iter().count() == 1
    }

    /// The host that the caller wanted to reach, without its port.
    pub(crate) fn host(&self) -> Option<&str> {
        let authority: &str = self.parts.headers.get(HOST)?.to_str().ok()?;
        let host = match authority.rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
            _ => authority,
        };
        Some(host.trim_start_matches('[').trim_end_matches(']'))
    }

    /// The address of whoever sent it, see `TRUSTED_PROXIES`.
    #[must_use]
    pub fn client(&self) -> IpAddr {
        self.client
    }

    /// All headers.
    pub(crate) fn headers(&self) -> &HeaderMap {
        &self.parts.headers
    }

    /// Keeps where the caller stands, for the answer.
    pub(crate) fn note(&self, standing: Standing) {
        // A request is counted once; should it be counted by two limits, the first is told.
        let _ = self.standing.set(standing);
    }

    /// Where the caller stands, if the request was counted.
    pub(crate) fn standing(&self) -> Option<&Standing> {
        self.standing.get()
    }

    /// The path.
    #[must_use]
    pub fn path(&self) -> &str {
        self.parts.uri.path()
    }

    /// The query.
    pub(crate) fn query(&self) -> Query {
        Query::parse(self.parts.uri.query().unwrap_or_default())
    }

    /// The bearer token (RFC 6750 §2.1).
    ///
    /// # Errors
    /// 401 without exactly one `Authorization` header of that scheme.
    pub(crate) fn bearer(&self) -> Result<&str, ApiError> {
        self.bearer_in(&AUTHORIZATION)
    }

    /// The bearer token in a header of the same form.
    ///
    /// # Errors
    /// 401 without exactly one such header of that scheme.
    pub(crate) fn bearer_in(&self, name: &HeaderName) -> Result<&str, ApiError> {
        let mut headers = self.parts.headers.get_all(name).into_iter();
        match (headers.next(), headers.next()) {
            (Some(header), None) => header
                .to_str()
                .ok()
                .and_then(|text| text.split_once(' '))
                .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
                .map(|(_, token)| token.trim())
                .filter(|token| !token.is_empty())
                .ok_or_else(ApiError::invalid_token),
            _ => Err(ApiError::invalid_token()),
        }
    }

    /// The body, which must be declared as JSON.
    ///
    /// # Errors
    /// 413, 415, 408, or 400 for a body that breaks off.
    pub(crate) async fn json_body(&mut self) -> Result<Bytes, ApiError> {
        body::read(&self.parts.headers, self.body.take()).await
    }
}

/// The caller's request id if it is 1 to 128 visible ASCII characters, else a new one; the
/// caller's trace continued, else a new one.
fn context(headers: &HeaderMap) -> RequestContext {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let request_id: Arc<str> = match text("x-request-id") {
        Some(id) if (1..=128).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_graphic()) => {
            id.into()
        }
        _ => EventId::generate().to_string().into(),
    };
    let caller =
        text("traceparent").and_then(|parent| TraceContext::parse(parent, text("tracestate")));
    let trace = TraceContext::continued(caller.as_ref());
    RequestContext { request_id, trace }
}
