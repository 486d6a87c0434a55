//! The document of the API at `/openapi.json`, and the page at `/docs` that shows it to people. The
//! page comes with the program and loads nothing from elsewhere.

use http::header::CONTENT_SECURITY_POLICY;
use http::{HeaderValue, StatusCode};

use crate::openapi::Document;
use crate::reply::{self, Reply};
use crate::request::Inbound;
use crate::route::Route;

/// Where programs read what the service answers.
pub(crate) const DOCUMENT: Route = Route::public("/openapi.json", "GET, HEAD");

const ROUTES: [Route; 4] = [
    DOCUMENT,
    Route::internal("/docs", "GET, HEAD"),
    Route::internal("/docs/app.js", "GET, HEAD"),
    Route::internal("/docs/style.css", "GET, HEAD"),
];

/// Nothing but our own files.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; \
    connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; \
    frame-ancestors 'none'";

/// What stands at a path, if it is one of these.
pub(crate) fn route(path: &str) -> Option<Route> {
    Route::find(&ROUTES, path)
}

/// The answer, if the path is one of these.
pub(crate) fn respond(document: &'static Document, request: &Inbound) -> Option<Reply> {
    let (content_type, body) = match request.path() {
        "/openapi.json" => ("application/json", document.text()),
        "/docs" => ("text/html; charset=utf-8", include_str!("docs/page.html")),
        "/docs/app.js" => (
            "text/javascript; charset=utf-8",
            include_str!("docs/app.js"),
        ),
        "/docs/style.css" => ("text/css; charset=utf-8", include_str!("docs/style.css")),
        _ => return None,
    };
    let mut reply = reply::with_type(StatusCode::OK, content_type, body);
    let policy = HeaderValue::from_static(POLICY);
    reply.headers_mut().insert(CONTENT_SECURITY_POLICY, policy);
    Some(reply)
}
