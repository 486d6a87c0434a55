//! Publishing what the outbox holds.

use async_trait::async_trait;
use core_kernel::{EventPublisher, OutboxMessage, PublishError};
use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable};

use crate::channel::{Message, Publisher};
use crate::topology;

/// Publishes order events on RabbitMQ (PRD §5). Connects when it is first needed, and again
/// whenever the connection is lost.
pub struct AmqpPublisher(Publisher);

impl std::fmt::Debug for AmqpPublisher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AmqpPublisher")
    }
}

impl AmqpPublisher {
    /// A publisher on the broker at `url`, not yet connected.
    #[must_use]
    pub fn new(url: String) -> Self {
        Self(Publisher::new(url, "shopflow orders: outbox"))
    }

    /// Whether the broker took events when it was last asked, which the relay does every second.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.0.is_usable()
    }

    /// Lets go of the broker.
    pub async fn close(&self) {
        self.0.close().await;
    }
}

#[async_trait]
impl EventPublisher for AmqpPublisher {
    async fn ready(&self) -> Result<(), PublishError> {
        self.0.ready().await.map_err(PublishError)
    }

    async fn publish(&self, batch: &[OutboxMessage]) -> Result<Vec<bool>, PublishError> {
        let messages = batch.iter().map(message).collect();
        self.0.publish(messages).await.map_err(PublishError)
    }
}

fn message(event: &OutboxMessage) -> Message {
    let mut headers = FieldTable::default();
    headers.insert(
        "traceparent".into(),
        AMQPValue::LongString(event.traceparent.as_str().into()),
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
        .with_app_id("order-service".into())
        .with_correlation_id(event.subject.to_string().into())
        .with_headers(headers);
    Message {
        exchange: topology::EVENTS,
        routing_key: event.routing_key.clone(),
        properties,
        body: event.payload.clone().into_bytes(),
    }
}
