//! An inbox and a dashboard in memory, and a browser for what is made of them.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use core_kernel::{BoxError, Caller, OrderId, RequestContext, TokenVerifier, VerifyError};
use core_notify::{
    Channel, DeadLetter, FaultScript, Inbox, InboxAttempt, InboxFilter, InboxMessage,
    MockNotificationStore, Notifications, StoreError,
};
use http::{HeaderMap, Method, Request};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy;
use hyper_util::rt::TokioExecutor;
use jiff::Timestamp;
use serde_json::{Value, json};
use shopflow_http::{
    Dashboard, Edge, InboxApi, NotifyApi, Ops, Overview, Readiness, Server, serve,
};
use tokio::net::TcpListener;

/// Order `n`.
pub(crate) fn order(n: u8) -> OrderId {
    let id = format!("{n:02x}c3d4e5-f6a7-4901-8bcd-ef1234567890");
    id.parse().unwrap()
}

/// So many seconds after the PRD's order was placed.
pub(crate) fn at(seconds: i64) -> Timestamp {
    let placed: Timestamp = "2026-02-17T11:00:00Z".parse().unwrap();
    placed + Duration::from_secs(seconds.try_into().unwrap())
}

/// What the fakes hold.
#[derive(Clone, Default)]
pub(crate) struct Held {
    pub(crate) messages: Vec<InboxMessage>,
    pub(crate) attempts: Vec<InboxAttempt>,
    pub(crate) dead_letters: Vec<DeadLetter>,
    pub(crate) overview: Overview,
    /// Whether the dashboard gives no answer.
    pub(crate) away: bool,
}

impl Held {
    /// A mail about order `n`; the oldest one comes first.
    pub(crate) fn mail(mut self, n: u8, to: &str, subject: &str) -> Self {
        let id = self.messages.len() as i64 + 1;
        self.messages.push(InboxMessage {
            id,
            notification_id: notification(id),
            order_id: Some(order(n)),
            channel: Channel::Email,
            to: to.into(),
            subject: Some(subject.into()),
            text: format!("plain text of {id}"),
            html: Some(format!("<p>html of {id}</p>")),
            created_at: at(id),
        });
        self
    }

    /// A text about order `n`.
    pub(crate) fn text(mut self, n: u8, to: &str, text: &str) -> Self {
        let id = self.messages.len() as i64 + 1;
        self.messages.push(InboxMessage {
            id,
            notification_id: notification(id),
            order_id: Some(order(n)),
            channel: Channel::Sms,
            to: to.into(),
            subject: None,
            text: text.into(),
            html: None,
            created_at: at(id),
        });
        self
    }
}

/// Notification `n`.
pub(crate) fn notification(n: i64) -> core_kernel::NotificationId {
    let id = format!("019c6b2e-0000-7000-8000-{n:012x}");
    id.parse().unwrap()
}

/// An event that was given up.
pub(crate) fn dead_letter(body: &[u8]) -> DeadLetter {
    DeadLetter {
        queue: "notify.order_created".into(),
        message_id: "019c6b2e-1111-7000-8000-000000000001".into(),
        event_type: Some("OrderCreated".into()),
        body: body.to_vec(),
        class: "refused".into(),
        reason: "the provider refused the message".into(),
        attempts: 1,
        first_failed_at: at(7),
        failed_at: at(8),
        channels: vec![Channel::Email],
        traceparent: None,
        tracestate: None,
    }
}

#[async_trait]
impl Inbox for Held {
    async fn list(
        &self,
        filter: &InboxFilter,
        limit: u32,
    ) -> Result<Vec<InboxMessage>, StoreError> {
        let fits = |message: &&InboxMessage| {
            filter.channel.is_none_or(|c| c == message.channel)
                && filter
                    .order_id
                    .is_none_or(|id| Some(id) == message.order_id)
                && filter.to.as_ref().is_none_or(|to| *to == message.to)
                && filter.before.is_none_or(|before| message.id < before)
        };
        let newest_first = self.messages.iter().rev().filter(fits);
        Ok(newest_first.take(limit as usize).cloned().collect())
    }

    async fn find(&self, id: i64) -> Result<Option<InboxMessage>, StoreError> {
        Ok(self.messages.iter().find(|m| m.id == id).cloned())
    }

    async fn raw(&self, id: i64) -> Result<Option<Vec<u8>>, StoreError> {
        let found = self.messages.iter().find(|m| m.id == id);
        let mail = found.filter(|message| message.channel == Channel::Email);
        Ok(mail.map(|mail| format!("To: {}\r\n\r\n{}", mail.to, mail.text).into_bytes()))
    }

    async fn attempts(&self, limit: u32) -> Result<Vec<InboxAttempt>, StoreError> {
        let newest_first = self.attempts.iter().rev();
        Ok(newest_first.take(limit as usize).cloned().collect())
    }
}

#[async_trait]
impl Dashboard for Held {
    async fn overview(&self) -> Result<Overview, BoxError> {
        match self.away {
            true => Err("the database is away".into()),
            false => Ok(self.overview.clone()),
        }
    }

    async fn dead_letters(&self, limit: u32) -> Result<Vec<DeadLetter>, BoxError> {
        let newest_first = self.dead_letters.iter().rev();
        Ok(newest_first.take(limit as usize).cloned().collect())
    }
}

struct Nobody;

#[async_trait]
impl TokenVerifier for Nobody {
    async fn verify(&self, _: &str, _: &RequestContext) -> Result<Caller, VerifyError> {
        Err(VerifyError::Invalid)
    }
}

struct Ready;

#[async_trait]
impl Readiness for Ready {
    async fn checks(&self) -> Vec<(&'static str, bool)> {
        Vec::new()
    }
}

/// A served inbox.
pub(crate) struct Served {
    pub(crate) url: String,
    pub(crate) faults: Arc<FaultScript>,
}

/// An answer.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().unwrap()
    }
}

impl Served {
    pub(crate) async fn new(held: Held) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let faults = Arc::new(FaultScript::default());
        let held = Arc::new(held);
        let store = Arc::new(MockNotificationStore::new());
        let api = NotifyApi::new(Notifications::new(store), Arc::new(Nobody));
        let api = InboxApi::new(api, held.clone(), faults.clone(), held).unwrap();
        let server = Server {
            listener,
            api: Arc::new(api),
            ops: Ops::new(Arc::new(Ready), String::new),
            edge: Edge::default(),
            grace: Duration::ZERO,
        };
        tokio::spawn(serve(server, std::future::pending()));

        Self { url, faults }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, "", "").await
    }

    pub(crate) async fn set_fault(&self, rule: Value) -> Answer {
        let (kind, body) = ("application/json", rule.to_string());
        self.send(Method::POST, "/inbox/faults", kind, &body).await
    }

    /// What a browser gets that reached the inbox by another name.
    pub(crate) async fn get_as(&self, host: &str, path: &str) -> Answer {
        let request = Request::get(format!("{}{path}", self.url));
        let request = request.header("host", host).body(Full::default());
        Self::exchange(request.unwrap()).await
    }

    pub(crate) async fn send(&self, method: Method, path: &str, kind: &str, body: &str) -> Answer {
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.url))
            .header("content-type", kind)
            .body(Full::new(Bytes::from(body.to_owned())));
        Self::exchange(request.unwrap()).await
    }

    async fn exchange(request: Request<Full<Bytes>>) -> Answer {
        let client = legacy::Client::builder(TokioExecutor::new()).build_http();
        let (parts, body) = client.request(request).await.unwrap().into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Answer {
            status: parts.status.as_u16(),
            headers: parts.headers,
            text: String::from_utf8(body.to_vec()).unwrap(),
        }
    }
}

/// A rule that is right.
pub(crate) fn throttle() -> Value {
    json!({ "channel": "email", "kind": "throttle", "count": 3, "to": "jane@example.com" })
}
