//! Publishing what the outbox holds.

use async_trait::async_trait;
use core_kernel::{EventPublisher, OutboxMessage, PublishError};
use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable};
use tokio::sync::Mutex;

use crate::channel::{ConfirmChannel, Message};
use crate::topology;

/// Publishes order events on RabbitMQ (PRD §5). Connects when it is first needed, and again
/// whenever the connection is lost.
pub struct AmqpPublisher {
    url: String,
    channel: Mutex<Option<ConfirmChannel>>,
}

impl std::fmt::Debug for AmqpPublisher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AmqpPublisher")
    }
}

impl AmqpPublisher {
    /// A publisher on the broker at `url`, not yet connected.
    #[must_use]
    pub fn new(url: String) -> Self {
        Self {
            url,
            channel: Mutex::new(None),
        }
    }

    /// Whether the broker takes events at this moment.
    pub async fn is_connected(&self) -> bool {
        let channel = self.channel.lock().await;
        channel.as_ref().is_some_and(ConfirmChannel::is_usable)
    }

    /// Lets go of the broker.
    pub async fn close(&self) {
        if let Some(channel) = self.channel.lock().await.take() {
            channel.close().await;
        }
    }
}

#[async_trait]
impl EventPublisher for AmqpPublisher {
    async fn ready(&self) -> Result<(), PublishError> {
        let mut slot = self.channel.lock().await;
        if slot.as_ref().is_some_and(ConfirmChannel::is_usable) {
            return Ok(());
        }
        if let Some(broken) = slot.take() {
            broken.close().await;
        }
        let channel = ConfirmChannel::open(&self.url, "shopflow orders: outbox")
            .await
            .map_err(|error| PublishError(error.into()))?;
        tracing::info!("connected to the broker");
        let usable = channel.is_usable();
        *slot = Some(channel);
        if usable {
            Ok(())
        } else {
            Err(PublishError("the broker blocks publishers".into()))
        }
    }

    async fn publish(&self, batch: &[OutboxMessage]) -> Result<Vec<bool>, PublishError> {
        // Held for the whole batch: batches on one channel must not mix.
        let mut slot = self.channel.lock().await;
        let channel = slot
            .as_ref()
            .ok_or_else(|| PublishError("not connected".into()))?;
        let published = channel.publish(batch.iter().map(message).collect()).await;
        if published.is_err()
            && let Some(broken) = slot.take()
        {
            broken.close().await;
        }
        published.map_err(PublishError)
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
