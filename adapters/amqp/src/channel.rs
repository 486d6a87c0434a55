//! A channel on which a message counts as published only when the broker has confirmed it and
//! routed it to a queue.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use core_kernel::BoxError;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::{BasicProperties, Channel, Confirmation, Connection};
use tokio::sync::Mutex;

use crate::connection::{answered, connect};
use crate::topology;

/// A confirm that takes longer will not be waited for: the broker is blocked or gone.
const CONFIRM_TIMEOUT: Duration = Duration::from_secs(5);

/// One message to publish.
#[derive(Clone)]
pub(crate) struct Message {
    pub(crate) exchange: &'static str,
    pub(crate) routing_key: String,
    /// Its `message_id` must be set: returned messages are known by it.
    pub(crate) properties: BasicProperties,
    pub(crate) body: Vec<u8>,
}

/// Publishes with confirms, on a channel that is opened when it is first needed and again whenever
/// it is lost.
pub(crate) struct Publisher {
    url: String,
    name: &'static str,
    /// Empty while a batch is on its way: a caller that gives up takes the channel with it, since a
    /// confirm that comes late would be taken for a later one's.
    channel: Mutex<Option<ConfirmChannel>>,
    usable: AtomicBool,
}

impl Publisher {
    pub(crate) fn new(url: String, name: &'static str) -> Self {
        Self {
            url,
            name,
            channel: Mutex::default(),
            usable: AtomicBool::default(),
        }
    }

    /// Whether the broker took messages when it was last asked.
    pub(crate) fn is_usable(&self) -> bool {
        self.usable.load(Ordering::Relaxed)
    }

    /// Connects if need be.
    ///
    /// # Errors
    /// When the broker is away, or blocks publishers.
    pub(crate) async fn ready(&self) -> Result<(), BoxError> {
        let mut slot = self.channel.lock().await;
        let ready = self.open(&mut slot).await;
        self.usable.store(ready.is_ok(), Ordering::Relaxed);
        ready
    }

    async fn open(&self, slot: &mut Option<ConfirmChannel>) -> Result<(), BoxError> {
        if let Some(broken) = slot.take_if(|channel| !channel.is_usable()) {
            broken.close().await;
        }
        if slot.is_none() {
            *slot = Some(ConfirmChannel::open(&self.url, self.name).await?);
            tracing::info!("connected to the broker");
        }
        match slot {
            Some(channel) if channel.is_usable() => Ok(()),
            _ => Err("the broker blocks publishers".into()),
        }
    }

    /// Publishes a batch in order, and answers message by message whether the broker confirmed and
    /// routed it. One batch at a time: a returned message must not be taken for another batch's.
    ///
    /// # Errors
    /// When nothing is known of the batch.
    pub(crate) async fn publish(&self, batch: Vec<Message>) -> Result<Vec<bool>, BoxError> {
        let mut slot = self.channel.lock().await;
        let published = self.publish_on(&mut slot, batch).await;
        self.usable.store(published.is_ok(), Ordering::Relaxed);
        published
    }

    async fn publish_on(
        &self,
        slot: &mut Option<ConfirmChannel>,
        batch: Vec<Message>,
    ) -> Result<Vec<bool>, BoxError> {
        self.open(slot).await?;
        let channel = slot.take().ok_or("not connected")?;
        let published = channel.publish(batch).await;
        match published {
            Ok(_) => *slot = Some(channel),
            Err(_) => channel.close().await,
        }
        published
    }

    /// Lets go of the broker.
    pub(crate) async fn close(&self) {
        self.usable.store(false, Ordering::Relaxed);
        if let Some(channel) = self.channel.lock().await.take() {
            channel.close().await;
        }
    }
}

/// A connection of its own, so that back-pressure on publishing does not hold up acknowledgements.
struct ConfirmChannel {
    connection: Connection,
    channel: Channel,
}

impl ConfirmChannel {
    /// Connects, declares the topology, and asks for confirms.
    async fn open(url: &str, name: &str) -> Result<Self, BoxError> {
        answered(Self::open_now(url, name)).await
    }

    async fn open_now(url: &str, name: &str) -> lapin::Result<Self> {
        let connection = connect(url, name).await?;
        let channel = connection.create_channel().await?;
        topology::declare(&channel).await?;
        channel
            .confirm_select(ConfirmSelectOptions::default())
            .await?;
        Ok(Self {
            connection,
            channel,
        })
    }

    /// Whether it can be published on. Not while the broker blocks publishers (memory, disk).
    fn is_usable(&self) -> bool {
        self.channel.status().connected() && !self.connection.status().blocked()
    }

    /// Publishes a batch in order, all of it in flight at once, and answers message by message
    /// whether the broker confirmed and routed it.
    ///
    /// The caller keeps batches apart. A returned message rides on whichever confirm comes next,
    /// so it is known by its id and not by its place.
    ///
    /// # Errors
    /// When nothing is known: then this channel must be closed and another opened, since a confirm
    /// that comes late would be taken for a later one's.
    async fn publish(&self, batch: Vec<Message>) -> Result<Vec<bool>, BoxError> {
        tokio::time::timeout(CONFIRM_TIMEOUT, self.publish_all(batch))
            .await
            .map_err(|_| BoxError::from("no confirm came in time"))?
    }

    async fn publish_all(&self, batch: Vec<Message>) -> Result<Vec<bool>, BoxError> {
        let mut pending = Vec::with_capacity(batch.len());
        for message in batch {
            let id = message.properties.message_id().clone();
            let options = BasicPublishOptions {
                mandatory: true,
                ..BasicPublishOptions::default()
            };
            let confirm = self
                .channel
                .basic_publish(
                    message.exchange.into(),
                    message.routing_key.into(),
                    options,
                    &message.body,
                    message.properties,
                )
                .await?;
            pending.push((id, confirm));
        }
        let mut returned = HashSet::new();
        let mut confirmed = Vec::with_capacity(pending.len());
        for (id, confirm) in pending {
            let confirmation: Confirmation = confirm.await?;
            confirmed.push((id, confirmation.is_ack()));
            if let Some(message) = confirmation.take_message() {
                tracing::error!(
                    routing_key = %message.delivery.routing_key,
                    reason = %message.reply_text,
                    "the broker has no queue for a message"
                );
                returned.insert(message.delivery.properties.message_id().clone());
            }
        }
        Ok(confirmed
            .into_iter()
            .map(|(id, ack)| ack && !returned.contains(&id))
            .collect())
    }

    /// Closes the connection; what it had in flight is unknown from then on.
    async fn close(self) {
        // It may be gone already, which is as good.
        let _ = tokio::time::timeout(
            Duration::from_secs(1),
            self.connection.close(200, "bye".into()),
        )
        .await;
    }
}
