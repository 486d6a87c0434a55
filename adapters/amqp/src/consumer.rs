//! Consuming both queues. A message is acknowledged only when its outcome is recorded, or when its
//! next home has confirmed it.

mod work;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use core_kernel::{BoxError, Clock};
use core_notify::{EventHandler, WORK_QUEUES, WorkQueue};
use futures_util::StreamExt;
use lapin::options::{BasicCancelOptions, BasicConsumeOptions, BasicQosOptions};
use lapin::types::FieldTable;
use lapin::{Channel, Connection, Consumer as Deliveries};
use shopflow_telemetry::messaging;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use crate::backoff::Backoff;
use crate::channel::Publisher;
use crate::connection::{answered, connect};
use crate::topology;
use work::Worker;

/// Messages of one queue in hand at once (PRD §10.3).
const PREFETCH: u16 = 10;

/// A broker that does not say goodbye in time is gone.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// Whether events are being consumed.
#[derive(Clone, Debug, Default)]
pub struct ConsumerStatus(Arc<AtomicBool>);

impl ConsumerStatus {
    /// Whether both queues are being consumed at this moment.
    #[must_use]
    pub fn is_consuming(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Consumes the events that notifications follow.
pub struct Consumer {
    url: String,
    handler: Arc<dyn EventHandler>,
    clock: Arc<dyn Clock>,
    status: ConsumerStatus,
    publisher: Arc<Publisher>,
    in_hand: TaskTracker,
}

impl Consumer {
    /// A consumer on the broker at `url`, not yet connected; `status` will tell whether it is.
    #[must_use]
    pub fn new(
        url: String,
        handler: Arc<dyn EventHandler>,
        clock: Arc<dyn Clock>,
        status: ConsumerStatus,
    ) -> Self {
        let publisher = Publisher::new(url.clone(), "shopflow notify: retries");
        messaging::expect_work();
        Self {
            publisher: Arc::new(publisher),
            in_hand: TaskTracker::new(),
            url,
            handler,
            clock,
            status,
        }
    }

    /// Consumes until `stop` is true; then takes nothing more, finishes what is in hand, and
    /// returns. Whatever happens to the broker, it connects again by itself.
    pub async fn run(&self, mut stop: watch::Receiver<bool>) {
        let mut backoff = Backoff::default();
        while !*stop.borrow() {
            let begun = Instant::now();
            if let Err(error) = self.session(stop.clone()).await {
                let error = core_kernel::chain(&*error);
                tracing::warn!(error, "not consuming; connecting again");
            }
            if begun.elapsed() > Backoff::MAX {
                backoff.reset();
            }
            tokio::select! {
                () = backoff.pause() => {}
                _ = stop.wait_for(|stop| *stop) => {}
            }
        }
        self.finish().await;
        self.publisher.close().await;
    }

    /// Waits until nothing is in hand any more, of this connection or of one that broke.
    async fn finish(&self) {
        self.in_hand.close();
        self.in_hand.wait().await;
    }

    /// One connection's life: until it breaks, or until `stop`.
    async fn session(&self, stop: watch::Receiver<bool>) -> Result<(), BoxError> {
        let connection = connect(&self.url, "shopflow notify: consumer").await?;
        let worker = Worker {
            handler: self.handler.clone(),
            publisher: self.publisher.clone(),
            clock: self.clock.clone(),
            stop: stop.clone(),
        };
        let consumed = answered(consume_all(&connection)).await?;
        // Held to the end: a channel that nobody holds is closed, and what it delivered goes back.
        let mut channels = Vec::new();
        let mut queues = JoinSet::new();
        for (channel, queue, deliveries) in consumed {
            channels.push(channel.clone());
            let (worker, in_hand) = (worker.clone(), self.in_hand.clone());
            queues.spawn(consume(
                channel,
                queue,
                deliveries,
                worker,
                in_hand,
                stop.clone(),
            ));
        }
        self.status.0.store(true, Ordering::Relaxed);
        tracing::info!("consuming events");
        let ended = all_stopped(&mut queues).await;
        self.status.0.store(false, Ordering::Relaxed);
        if ended.is_ok() {
            self.finish().await;
        }
        // After a fault, what is in hand goes on until it is recorded. Its acknowledgement reaches
        // nobody, so the broker delivers it again, and the record keeps it from being sent again.
        let goodbye = connection.close(200, "bye".into());
        let _ = tokio::time::timeout(CLOSE_TIMEOUT, goodbye).await;
        drop(channels);
        ended
    }
}

/// `Ok` once every queue has stopped; the first fault ends the wait.
async fn all_stopped(queues: &mut JoinSet<Result<(), BoxError>>) -> Result<(), BoxError> {
    while let Some(ended) = queues.join_next().await {
        ended??;
    }
    Ok(())
}

/// Has every queue delivered, each on a channel of its own.
async fn consume_all(
    connection: &Connection,
) -> lapin::Result<Vec<(Channel, WorkQueue, Deliveries)>> {
    let mut all = Vec::new();
    for queue in WORK_QUEUES {
        let channel = connection.create_channel().await?;
        if all.is_empty() {
            topology::declare(&channel).await?;
        }
        channel
            .basic_qos(PREFETCH, BasicQosOptions::default())
            .await?;
        let options = BasicConsumeOptions::default();
        let nothing = FieldTable::default();
        let deliveries = channel
            .basic_consume(queue.name.into(), "".into(), options, nothing)
            .await?;
        all.push((channel, queue, deliveries));
    }
    Ok(all)
}

/// Works off one queue; `Ok` only because of `stop`.
async fn consume(
    channel: Channel,
    queue: WorkQueue,
    mut deliveries: Deliveries,
    worker: Worker,
    in_hand: TaskTracker,
    mut stop: watch::Receiver<bool>,
) -> Result<(), BoxError> {
    loop {
        let delivery = tokio::select! {
            _ = stop.wait_for(|stop| *stop) => break,
            delivery = deliveries.next() => delivery,
        };
        // A stream that ends without a fault was ended by the broker: its queue was deleted, say.
        let delivery = delivery.ok_or_else(|| format!("the broker ended {}", queue.name))??;
        let worker = worker.clone();
        in_hand.spawn(async move { worker.work(queue, delivery).await });
    }
    let tag = deliveries.tag();
    channel
        .basic_cancel(tag, BasicCancelOptions::default())
        .await?;
    Ok(())
}
