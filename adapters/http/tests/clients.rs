//! How the services call each other, and what each answer means to the one that asked.

#![expect(
    clippy::unwrap_used,
    reason = "clippy knows tests, but not what helps them"
)]

use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use core_kernel::{
    Caller, OrderId, RequestContext, TokenVerifier, TraceContext, UserId, VerifyError,
};
use core_notify::{ContactReader, OrderReader, ReadError};
use http::request::Parts;
use http::{HeaderMap, Method, Response};
use http_body_util::Full;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use secrecy::SecretString;
use serde_json::{Value, json};
use shopflow_http::{AuthClient, HttpClient, OrdersClient, ServiceToken};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;

/// A neighbour that gives every request the same answer, or none when that is `None`.
#[derive(Clone)]
struct Neighbour(Arc<Inner>);

struct Inner {
    answer: Option<(u16, String)>,
    requests: Mutex<Vec<Parts>>,
    connections: AtomicUsize,
    url: String,
}

impl Neighbour {
    async fn answering(status: u16, body: impl ToString) -> Self {
        Self::start(Some((status, body.to_string()))).await
    }

    async fn silent() -> Self {
        Self::start(None).await
    }

    async fn start(answer: Option<(u16, String)>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let neighbour = Self(Arc::new(Inner {
            answer,
            requests: Mutex::default(),
            connections: AtomicUsize::new(0),
            url: format!("http://{}", listener.local_addr().unwrap()),
        }));
        tokio::spawn(neighbour.clone().accept(listener));
        neighbour
    }

    async fn accept(self, listener: TcpListener) {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            self.0.connections.fetch_add(1, Ordering::Relaxed);
            tokio::spawn(self.clone().serve(stream));
        }
    }

    async fn serve(self, stream: TcpStream) {
        let service = service_fn(async |request: http::Request<_>| {
            let (parts, _) = request.into_parts();
            self.0.requests.lock().unwrap().push(parts);
            let Some((status, body)) = self.0.answer.clone() else {
                return std::future::pending().await;
            };
            let mut answer = Response::new(Full::new(Bytes::from(body)));
            *answer.status_mut() = status.try_into().unwrap();
            Ok::<_, Infallible>(answer)
        });
        let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
        let _ = connection.await;
    }

    fn url(&self) -> &str {
        &self.0.url
    }

    /// What it was asked, by the one call made so far.
    fn request(&self) -> Parts {
        let requests = self.0.requests.lock().unwrap();
        assert_eq!(requests.len(), 1);
        requests[0].clone()
    }
}

/// A port that stays taken and refuses connections for as long as the socket lives.
fn refusing() -> (TcpSocket, String) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let url = format!("http://{}", socket.local_addr().unwrap());
    (socket, url)
}

fn own_token() -> ServiceToken {
    watch::channel("our-own".into()).1
}

fn auth(url: &str) -> AuthClient {
    AuthClient::new(HttpClient::new().unwrap(), url, own_token()).unwrap()
}

fn orders(url: &str) -> OrdersClient {
    OrdersClient::new(HttpClient::new().unwrap(), url, own_token()).unwrap()
}

async fn verify(url: &str) -> Result<Caller, VerifyError> {
    let context = RequestContext::generate();
    auth(url).verify("theirs", &context).await
}

fn validated(id: &str, role: &str) -> Value {
    json!({ "valid": true, "user": { "id": id, "email": null, "role": role } })
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers[name].to_str().unwrap()
}

#[tokio::test]
async fn a_valid_token_tells_who_calls() {
    let id = UserId::generate();
    for (answer, caller) in [
        (validated(&id.to_string(), "customer"), Caller::Customer(id)),
        (validated(&id.to_string(), "admin"), Caller::Admin(id)),
        (
            validated("order-service", "service"),
            Caller::Service("order-service".into()),
        ),
    ] {
        let neighbour = Neighbour::answering(200, answer).await;
        assert_eq!(verify(neighbour.url()).await.unwrap(), caller);
    }
}

#[tokio::test]
async fn any_status_but_200_means_that_the_token_is_not_valid() {
    for status in [201, 204, 400, 401, 403, 404, 429, 500, 502, 503, 504] {
        let neighbour = Neighbour::answering(status, "").await;
        let outcome = verify(neighbour.url()).await;
        assert!(
            matches!(outcome, Err(VerifyError::Invalid)),
            "{status}: {outcome:?}"
        );
    }
}

#[tokio::test]
async fn a_200_that_makes_no_sense_verifies_nothing() {
    let not_valid = json!({ "valid": false, "user": { "id": "x", "role": "service" } });
    for body in [
        "<html>".to_owned(),
        "{}".to_owned(),
        not_valid.to_string(),
        validated("no id", "customer").to_string(),
        validated(&UserId::generate().to_string(), "root").to_string(),
        " ".repeat(2 * 1024 * 1024),
    ] {
        let neighbour = Neighbour::answering(200, &body).await;
        let outcome = verify(neighbour.url()).await;
        assert!(
            matches!(outcome, Err(VerifyError::Unavailable(_))),
            "{body:.40}: {outcome:?}"
        );
    }
}

#[tokio::test]
async fn a_token_that_no_header_can_carry_is_not_valid_and_asks_nobody() {
    let neighbour = Neighbour::answering(200, validated("s", "service")).await;
    let context = RequestContext::generate();
    let outcome = auth(neighbour.url()).verify("a\r\nb", &context).await;
    assert!(matches!(outcome, Err(VerifyError::Invalid)), "{outcome:?}");
    assert_eq!(neighbour.0.connections.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn an_auth_service_that_refuses_connections_is_unavailable() {
    let (_socket, url) = refusing();
    let outcome = verify(&url).await;
    assert!(
        matches!(outcome, Err(VerifyError::Unavailable(_))),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn an_auth_service_that_is_silent_for_two_seconds_is_unavailable() {
    let neighbour = Neighbour::silent().await;
    // Made first, since that takes its own time.
    let (client, context) = (auth(neighbour.url()), RequestContext::generate());
    let start = Instant::now();
    let outcome = client.verify("theirs", &context).await;
    assert!(
        matches!(outcome, Err(VerifyError::Unavailable(_))),
        "{outcome:?}"
    );
    let took = start.elapsed();
    let limit = Duration::from_secs(2);
    assert!(took >= limit && took < limit * 10, "{took:?}");
}

#[tokio::test]
async fn verifying_shows_both_tokens_and_stays_in_the_trace() {
    let neighbour = Neighbour::answering(200, validated("s", "service")).await;
    let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let context = RequestContext {
        request_id: "request-1".into(),
        trace: TraceContext::parse(parent, Some("vendor=1")).unwrap(),
    };
    let client = auth(neighbour.url());
    client.verify("theirs", &context).await.unwrap();
    let asked = neighbour.request();
    assert_eq!(
        (asked.method, asked.uri.path()),
        (Method::POST, "/auth/validate")
    );
    let header = |name| header(&asked.headers, name);
    assert_eq!(header("authorization"), "Bearer theirs");
    assert_eq!(header("x-service-authorization"), "Bearer our-own");
    assert_eq!(header("x-request-id"), "request-1");
    assert_eq!(header("tracestate"), "vendor=1");
    let traceparent = header("traceparent");
    assert_eq!(traceparent[..36], parent[..36], "the same trace");
    assert_ne!(traceparent, parent, "a span of its own");
}

#[tokio::test]
async fn reading_shows_only_our_own_token() {
    let neighbour = Neighbour::answering(404, "").await;
    let id = UserId::generate();
    let context = RequestContext::generate();
    auth(neighbour.url())
        .contact(id, &context)
        .await
        .unwrap_err();
    let asked = neighbour.request();
    assert_eq!(asked.method, Method::GET);
    assert_eq!(asked.uri.path(), format!("/auth/users/{id}"));
    assert_eq!(header(&asked.headers, "authorization"), "Bearer our-own");
    assert!(!asked.headers.contains_key("x-service-authorization"));
    assert_eq!(header(&asked.headers, "x-request-id"), &*context.request_id);
    let trace = header(&asked.headers, "traceparent");
    assert_eq!(trace[3..35], context.trace.trace_id());
}

#[tokio::test]
async fn twenty_calls_need_one_connection() {
    let neighbour = Neighbour::answering(200, validated("s", "service")).await;
    let client = auth(neighbour.url());
    let context = RequestContext::generate();
    for _ in 0..20 {
        client.verify("theirs", &context).await.unwrap();
    }
    assert_eq!(neighbour.0.requests.lock().unwrap().len(), 20);
    assert_eq!(neighbour.0.connections.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_renewed_token_is_shown_by_the_next_call() {
    let neighbour = Neighbour::answering(404, "").await;
    let (renew, token) = watch::channel(SecretString::from("old"));
    let client = OrdersClient::new(HttpClient::new().unwrap(), neighbour.url(), token).unwrap();
    let context = RequestContext::generate();
    let ask = async || client.order(OrderId::generate(), &context).await;
    ask().await.unwrap_err();
    renew.send_replace("new".into());
    ask().await.unwrap_err();
    drop(renew);
    ask().await.unwrap_err();
    let requests = neighbour.0.requests.lock().unwrap();
    let shown = requests
        .iter()
        .map(|asked| header(&asked.headers, "authorization"));
    assert_eq!(
        shown.collect::<Vec<_>>(),
        ["Bearer old", "Bearer new", "Bearer new"]
    );
}

/// What the readers make of one answer of their neighbour: the contact, then the order.
async fn read(url: &str) -> [Option<ReadError>; 2] {
    let context = RequestContext::generate();
    let (auth, orders) = (auth(url), orders(url));
    [
        auth.contact(UserId::generate(), &context).await.err(),
        orders.order(OrderId::generate(), &context).await.err(),
    ]
}

#[tokio::test]
async fn a_contact_is_read() {
    let body = json!({
        "id": UserId::generate(), "email": "jane@example.com", "first_name": "Jane",
        "last_name": "Doe", "phone": null, "role": "customer",
    });
    let neighbour = Neighbour::answering(200, body).await;
    let context = RequestContext::generate();
    let contact = auth(neighbour.url())
        .contact(UserId::generate(), &context)
        .await
        .unwrap();
    assert_eq!(contact.email, "jane@example.com");
    assert_eq!(contact.first_name, "Jane");
    assert_eq!(contact.phone, None);
}

#[tokio::test]
async fn an_order_is_read() {
    let (id, user_id) = (OrderId::generate(), UserId::generate());
    let body = json!({
        "id": id, "user_id": user_id, "status": "shipped",
        "items": [{
            "product_id": "p-1", "product_name": "Tea", "quantity": 2,
            "unit_price": 49.99, "subtotal": 99.98,
        }],
        "shipping_address": {
            "street": "Main St 1", "city": "Springfield", "state": null,
            "zip_code": "12345", "country": "US",
        },
        "total_amount": 99.98, "currency": "USD", "shipped_at": "2026-02-17T10:30:00.000Z",
    });
    let neighbour = Neighbour::answering(200, body).await;
    let client = orders(neighbour.url());
    let order = client.order(id, &RequestContext::generate()).await.unwrap();
    assert_eq!((order.id, order.user_id), (id, user_id));
    let lines = order.items.iter();
    let lines: Vec<_> = lines.map(|l| (&*l.product_name, l.quantity)).collect();
    assert_eq!(lines, [("Tea", 2)]);
    assert_eq!(order.shipping_address.city, "Springfield");
    assert_eq!(order.total_amount.to_string(), "99.98");
    let shipped_at = order.shipped_at.unwrap().to_string();
    assert_eq!(shipped_at, "2026-02-17T10:30:00Z");
    assert_eq!(neighbour.request().uri.path(), format!("/orders/{id}"));
}

#[tokio::test]
async fn what_a_neighbour_does_not_know_is_not_found() {
    let neighbour = Neighbour::answering(404, "").await;
    for outcome in read(neighbour.url()).await {
        assert!(
            matches!(outcome, Some(ReadError::NotFound(_))),
            "{outcome:?}"
        );
    }
}

#[tokio::test]
async fn a_neighbour_that_is_overloaded_or_does_not_know_us_is_away() {
    for status in [401, 403, 429, 502, 503, 504] {
        let neighbour = Neighbour::answering(status, "").await;
        for outcome in read(neighbour.url()).await {
            let away = matches!(outcome, Some(ReadError::Away(..)));
            assert!(away, "{status}: {outcome:?}");
        }
    }
}

#[tokio::test]
async fn a_neighbour_that_fails_or_talks_nonsense_is_broken() {
    for (status, body) in [(500, "{}"), (400, "{}"), (200, "<html>"), (200, "{}")] {
        let neighbour = Neighbour::answering(status, body).await;
        for outcome in read(neighbour.url()).await {
            let broken = matches!(outcome, Some(ReadError::Broken(..)));
            assert!(broken, "{status} {body}: {outcome:?}");
        }
    }
}

#[tokio::test]
async fn a_neighbour_that_refuses_connections_is_away() {
    let (_socket, url) = refusing();
    for outcome in read(&url).await {
        assert!(matches!(outcome, Some(ReadError::Away(..))), "{outcome:?}");
    }
}
