//! Publishing what the outbox holds.

use async_trait::async_trait;
use core_kernel::{Clock, EventPublisher, OutboxMessage, PublishError, SystemClock};
use core_notify::{ORDER_EVENTS, USER_EVENTS};
use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable};
use shopflow_telemetry::messaging::{self, Publishing};

use crate::channel::{Message, Publisher};
use crate::headers::{PUBLISHED_AT, SYSTEM};

/// Publishes one service's events on RabbitMQ (PRD §5). Connects when it is first needed, and again
/// whenever the connection is lost.
pub struct AmqpPublisher {
    publisher: Publisher,
    source: &'static Source,
}

/// Whose events they are.
struct Source {
    connection: &'static str,
    exchange: &'static str,
    app_id: &'static str,
}

static ORDERS: Source = Source {
    connection: "shopflow orders: outbox",
    exchange: ORDER_EVENTS,
    app_id: "order-service",
};

static USERS: Source = Source {
    connection: "shopflow auth: outbox",
    exchange: USER_EVENTS,
    app_id: "auth-service",
};

/// By the default exchange, whose routing keys are names of queues.
static NOTIFICATIONS: Source = Source {
    connection: "shopflow notifications: resends",
    exchange: "",
    app_id: "notification-service",
};

impl std::fmt::Debug for AmqpPublisher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AmqpPublisher")
    }
}

impl AmqpPublisher {
    /// A publisher of the events of orders on the broker at `url`, not yet connected.
    #[must_use]
    pub fn orders(url: String) -> Self {
        Self::of(&ORDERS, url)
    }

    /// A publisher of the events of users on the broker at `url`, not yet connected.
    #[must_use]
    pub fn users(url: String) -> Self {
        Self::of(&USERS, url)
    }

    /// A publisher straight into work queues on the broker at `url`, not yet connected: its routing
    /// keys are their names, and no other queue gets the event.
    #[must_use]
    pub fn notifications(url: String) -> Self {
        Self::of(&NOTIFICATIONS, url)
    }

    fn of(source: &'static Source, url: String) -> Self {
        messaging::expect_publishing();
        Self {
            publisher: Publisher::new(url, source.connection),
            source,
        }
    }

    /// Whether the broker took events when it was last asked, which the relay does every second.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.publisher.is_usable()
    }

    /// Lets go of the broker.
    pub async fn close(&self) {
        self.publisher.close().await;
    }
}

#[async_trait]
impl EventPublisher for AmqpPublisher {
    async fn ready(&self) -> Result<(), PublishError> {
        self.publisher.ready().await.map_err(PublishError)
    }

    async fn publish(&self, batch: &[OutboxMessage]) -> Result<Vec<bool>, PublishError> {
        let publishing = Publishing::begin(SYSTEM, |_| self.source.exchange, batch);
        let messages = publishing
            .events()
            .map(|(event, traceparent)| message(self.source, event, traceparent))
            .collect();
        let published = self.publisher.publish(messages).await;
        publishing.end(published.as_deref().ok());
        published.map_err(PublishError)
    }
}

fn message(source: &Source, event: &OutboxMessage, traceparent: &str) -> Message {
    let mut headers = FieldTable::default();
    headers.insert(
        "traceparent".into(),
        AMQPValue::LongString(traceparent.into()),
    );
    headers.insert(
        PUBLISHED_AT.into(),
        AMQPValue::LongLongInt(SystemClock.now().as_microsecond()),
    );
    if let Some(state) = &event.tracestate {
        headers.insert(
            "tracestate".into(),
            AMQPValue::LongString(state.as_str().into()),
        );
    }
    let properties = BasicProperties::default()
        .with_content_type("application/json".into())
        .with_delivery_mode(2)
        .with_message_id(event.event_id.to_string().into())
        .with_type(event.event_type.as_str().into())
        .with_timestamp(event.occurred_at.unsigned_abs())
        .with_app_id(source.app_id.into())
        .with_correlation_id(event.subject.to_string().into())
        .with_headers(headers);
    Message {
        exchange: source.exchange,
        routing_key: event.routing_key.clone(),
        properties,
        body: event.payload.clone().into_bytes(),
    }
}
