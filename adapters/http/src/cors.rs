//! Leave for pages of other origins to call (Fetch standard, "CORS protocol").
//!
//! Callers show bearer tokens, which a browser never sends by itself, so credentials in the sense of
//! CORS (cookies) are never allowed.

use std::str::FromStr;

use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, ORIGIN,
    VARY,
};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, Uri};

use crate::reply::Reply;

/// The origins whose pages may call; none by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AllowedOrigins(Vec<String>);

/// A text that is no list of origins.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OriginsError {
    /// Every page of everybody is not a list.
    #[error("* is not taken; list the origins, as https://shop.example")]
    Wildcard,
    /// This one is no origin.
    #[error("{0:?} is no origin; list them as https://shop.example:8443, separated by commas")]
    NoOrigin(String),
}

impl FromStr for AllowedOrigins {
    type Err = OriginsError;

    /// Origins (RFC 6454 §6.2), separated by commas.
    fn from_str(list: &str) -> Result<Self, OriginsError> {
        let parts = list.split(',').map(str::trim);
        let given = parts.filter(|part| !part.is_empty());
        given.map(origin).collect::<Result<_, _>>().map(Self)
    }
}

/// An origin as browsers write it: in lower case, without the port that its scheme implies.
fn origin(text: &str) -> Result<String, OriginsError> {
    if text == "*" {
        return Err(OriginsError::Wildcard);
    }
    let wrong = || OriginsError::NoOrigin(text.to_owned());
    let lower = text.to_ascii_lowercase();
    let implied = match lower.split_once("://") {
        Some(("http", _)) => ":80",
        Some(("https", _)) => ":443",
        _ => return Err(wrong()),
    };
    let uri: Uri = lower.parse().map_err(|_| wrong())?;
    let authority = uri.authority().ok_or_else(wrong)?;
    // Nothing but scheme, host and port, so that it can be compared as it stands.
    let whole = lower.ends_with(authority.as_str()) && !authority.as_str().contains(['@', '*']);
    if !whole || authority.host().is_empty() {
        return Err(wrong());
    }
    Ok(lower.strip_suffix(implied).unwrap_or(&lower).to_owned())
}

/// For how long a browser may remember its leave, in seconds.
const MAX_AGE: &str = "600";

const REQUEST_HEADERS: &str =
    "authorization, content-type, idempotency-key, x-request-id, traceparent, tracestate";

const ANSWER_HEADERS: &str =
    "x-request-id, location, idempotent-replayed, ratelimit, ratelimit-policy, retry-after";

impl AllowedOrigins {
    /// The origin that a request comes from, if it is listed.
    fn of<'a>(&self, headers: &'a HeaderMap) -> Option<&'a HeaderValue> {
        let origin = headers.get(ORIGIN)?;
        let listed = |known: &String| known.as_bytes() == origin.as_bytes();
        self.0.iter().any(listed).then_some(origin)
    }

    /// The answer to a browser that asks beforehand whether it may call a path with `methods`;
    /// `None` for everything else. What it may be told is added by [`AllowedOrigins::grant`].
    pub(crate) fn preflight(
        &self,
        method: &Method,
        headers: &HeaderMap,
        methods: &'static str,
    ) -> Option<Reply> {
        let asks = method == Method::OPTIONS && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD);
        if !asks || self.of(headers).is_none() {
            return None;
        }
        let mut reply = Response::default();
        *reply.status_mut() = StatusCode::NO_CONTENT;
        for (name, value) in [
            (ACCESS_CONTROL_ALLOW_METHODS, methods),
            (ACCESS_CONTROL_ALLOW_HEADERS, REQUEST_HEADERS),
            (ACCESS_CONTROL_MAX_AGE, MAX_AGE),
        ] {
            let value = HeaderValue::from_static(value);
            reply.headers_mut().insert(name, value);
        }
        Some(reply)
    }

    /// Lets the page that asked read the answer, if its origin is listed.
    pub(crate) fn grant(&self, request: &HeaderMap, reply: &mut HeaderMap) {
        if self.0.is_empty() {
            return;
        }
        // Whoever keeps answers must keep those for different origins apart, also the one for none.
        reply.append(VARY, HeaderValue::from_static("origin"));
        if let Some(origin) = self.of(request) {
            reply.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
            let exposed = HeaderValue::from_static(ANSWER_HEADERS);
            reply.insert(ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_kept_as_browsers_write_them() {
        for (text, kept) in [
            ("https://shop.example", "https://shop.example"),
            ("HTTPS://Shop.Example:443", "https://shop.example"),
            ("http://localhost:5173", "http://localhost:5173"),
            ("http://[::1]:80", "http://[::1]"),
            ("https://shop.example:80", "https://shop.example:80"),
        ] {
            assert_eq!(text.parse(), Ok(AllowedOrigins(vec![kept.to_owned()])));
        }
        assert_eq!(" , ".parse(), Ok(AllowedOrigins::default()));
    }

    #[test]
    fn what_is_no_origin_is_named() {
        for text in [
            "shop.example",
            "https://",
            "https://shop.example/",
            "https://shop.example/shop",
            "https://jane@shop.example",
            "https://*.example",
            "ftp://shop.example",
            "null",
        ] {
            let fault = format!("https://ok.example,{text}").parse::<AllowedOrigins>();
            assert_eq!(fault, Err(OriginsError::NoOrigin(text.to_owned())));
        }
        assert_eq!("*".parse::<AllowedOrigins>(), Err(OriginsError::Wildcard));
    }
}
