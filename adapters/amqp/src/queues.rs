//! How much waits on the broker, counted on a connection that is kept.

use std::time::Duration;

use async_trait::async_trait;
use core_kernel::BoxError;
use core_notify::{BusError, Depth, QueueDepths, WorkQueue};
use lapin::options::QueueDeclareOptions;
use lapin::types::FieldTable;
use lapin::{Channel, Connection};
use tokio::sync::Mutex;

use crate::connection::connect;
use crate::topology;

/// A broker that takes longer is frozen.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The queues of the broker, as somebody sees them who takes nothing out.
pub struct AmqpQueues {
    url: String,
    open: Mutex<Option<(Connection, Channel)>>,
}

impl std::fmt::Debug for AmqpQueues {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AmqpQueues")
    }
}

impl AmqpQueues {
    /// Those of the broker at `url`, not yet connected.
    #[must_use]
    pub fn new(url: String) -> Self {
        Self {
            url,
            open: Mutex::default(),
        }
    }

    async fn read(&self, queue: WorkQueue) -> Result<Depth, BoxError> {
        let mut open = self.open.lock().await;
        // Taken out, so that a connection that fails, or is given up, is not used again.
        let (connection, channel) = match open.take() {
            Some((connection, channel)) if channel.status().connected() => (connection, channel),
            _ => {
                let connection = connect(&self.url, "shopflow notify: depths").await?;
                let channel = connection.create_channel().await?;
                topology::declare(&channel).await?;
                (connection, channel)
            }
        };
        let depth = Depth {
            waiting: count(&channel, queue.name.to_owned()).await?.into(),
            dead: count(&channel, queue.dead_letter_queue()).await?.into(),
        };
        *open = Some((connection, channel));
        Ok(depth)
    }
}

/// How many messages a queue has that nobody has in hand.
pub(crate) async fn count(channel: &Channel, queue: String) -> lapin::Result<u32> {
    let passive = QueueDeclareOptions {
        passive: true,
        ..QueueDeclareOptions::default()
    };
    let declared = channel.queue_declare(queue.into(), passive, FieldTable::default());
    Ok(declared.await?.message_count())
}

#[async_trait]
impl QueueDepths for AmqpQueues {
    async fn depth(&self, queue: WorkQueue) -> Result<Depth, BusError> {
        match tokio::time::timeout(TIMEOUT, self.read(queue)).await {
            Ok(read) => read.map_err(BusError),
            Err(late) => Err(BusError(late.into())),
        }
    }
}
