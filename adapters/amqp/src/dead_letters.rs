//! Dead letters in hand: delivered and not acknowledged, so that the broker gives them back
//! whatever becomes of us.

mod hand;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use core_kernel::BoxError;
use core_notify::{DeadLetter, DeadLetterError, DeadLetters, LettersInHand, WorkQueue};
use futures_util::StreamExt;
use lapin::message::Delivery;
use lapin::options::{BasicCancelOptions, BasicConsumeOptions, BasicQosOptions};
use lapin::types::FieldTable;
use lapin::{Channel, Connection};
use tokio::time::{Instant, timeout};

use crate::channel::{Message, Publisher};
use crate::connection::connect;
use crate::headers::{read_dead_letter, to_dead_letter};
use crate::queues::count;
use crate::topology;
use hand::{InHand, Known, known};

/// Letters asked for at once.
const WINDOW: usize = 2000;

/// A broker that delivers nothing for so long is asked whether it has more: somebody else may have
/// taken it meanwhile.
const IDLE: Duration = Duration::from_secs(2);

/// A broker that has letters and delivers none for so long will not.
const STUCK: Duration = Duration::from_secs(60);

/// How often what comes back is taken out again.
const SWEEPS: usize = 10;

/// Dead letters on RabbitMQ.
pub struct AmqpDeadLetters {
    url: String,
    publisher: Arc<Publisher>,
}

impl std::fmt::Debug for AmqpDeadLetters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AmqpDeadLetters")
    }
}

impl AmqpDeadLetters {
    /// Those of the broker at `url`, not yet connected.
    #[must_use]
    pub fn new(url: String) -> Self {
        let publisher = Arc::new(Publisher::new(url.clone(), "shopflow dlq: replay"));
        Self { url, publisher }
    }

    async fn open(&self) -> lapin::Result<(Connection, Channel)> {
        let connection = connect(&self.url, "shopflow dlq").await?;
        let channel = connection.create_channel().await?;
        topology::declare(&channel).await?;
        Ok((connection, channel))
    }

    /// Takes out what has left and came back all the same. A quorum queue under load puts
    /// acknowledgements off, and forgets them when the channel is closed before their turn.
    async fn sweep(
        &self,
        queue: WorkQueue,
        expected: usize,
        gone: &HashSet<Known>,
    ) -> Result<(), BoxError> {
        for _ in 0..SWEEPS {
            if gone.is_empty() || self.count_now(queue).await? as usize <= expected {
                return Ok(());
            }
            let mut hand = self.take_now(queue).await?;
            let letters = hand.letters.iter().enumerate();
            let back = letters.filter(|(_, letter)| gone.contains(&known(letter)));
            let back: Vec<usize> = back.map(|(place, _)| place).collect();
            hand.settle(&back).await?;
            hand.give_back().await?;
            if back.is_empty() {
                return Ok(());
            }
        }
        Err("letters that have left came back again and again".into())
    }

    async fn count_now(&self, queue: WorkQueue) -> lapin::Result<u64> {
        let (connection, channel) = self.open().await?;
        let waiting = waiting(&channel, queue).await?;
        connection.close(200, "bye".into()).await?;
        Ok(waiting.into())
    }

    async fn take_now(&self, queue: WorkQueue) -> lapin::Result<InHand> {
        let (connection, channel) = self.open().await?;
        // What comes later is not looked at, so there is an end.
        let wanted = waiting(&channel, queue).await? as usize;
        let mut deliveries = Vec::with_capacity(wanted);
        while deliveries.len() < wanted {
            let window = (wanted - deliveries.len()).min(WINDOW);
            let got = take_window(&channel, queue, deliveries.len(), window).await?;
            let complete = got.len() == window;
            deliveries.extend(got);
            if !complete {
                break;
            }
        }
        let mut both: Vec<(DeadLetter, Delivery)> = deliveries
            .into_iter()
            .map(|one| (read_dead_letter(queue, &one.properties, &one.data), one))
            .collect();
        both.sort_by_key(|(letter, _)| letter.failed_at);
        let (letters, deliveries): (Vec<_>, Vec<_>) = both.into_iter().unzip();
        Ok(InHand {
            url: self.url.clone(),
            queue,
            connection,
            channel,
            publisher: self.publisher.clone(),
            letters,
            unsettled: deliveries.iter().map(|one| one.delivery_tag).collect(),
            gone: HashSet::new(),
            deliveries,
        })
    }
}

async fn waiting(channel: &Channel, queue: WorkQueue) -> lapin::Result<u32> {
    count(channel, queue.dead_letter_queue()).await
}

/// The next `window` messages, by a consumer that gets no more than those. Consumers are told apart
/// by how many were taken before them, which is the order in which the broker takes back.
async fn take_window(
    channel: &Channel,
    queue: WorkQueue,
    before: usize,
    window: usize,
) -> lapin::Result<Vec<Delivery>> {
    let prefetch = u16::try_from(window).unwrap_or(u16::MAX);
    channel
        .basic_qos(prefetch, BasicQosOptions::default())
        .await?;
    let tag = format!("dlq-{before:09}");
    let options = BasicConsumeOptions::default();
    let name = queue.dead_letter_queue();
    let mut consumer = channel
        .basic_consume(name.into(), tag.into(), options, FieldTable::default())
        .await?;
    let mut taken = Vec::with_capacity(window);
    // A quorum queue confirms a consumer before it serves it, and then may still be writing. What it
    // does not count any more may be on its way, and has as long again to arrive.
    let begun = Instant::now();
    let mut more = true;
    while taken.len() < window {
        match timeout(IDLE, consumer.next()).await {
            Ok(Some(delivery)) => taken.push(delivery?),
            Err(_) if more => {
                more = waiting(channel, queue).await? > 0 && begun.elapsed() < STUCK;
            }
            Ok(None) | Err(_) => break,
        }
    }
    channel
        .basic_cancel(consumer.tag(), BasicCancelOptions::default())
        .await?;
    Ok(taken)
}

#[async_trait]
impl DeadLetters for AmqpDeadLetters {
    async fn count(&self, queue: WorkQueue) -> Result<u64, DeadLetterError> {
        let count = self.count_now(queue).await;
        count.map_err(|error| DeadLetterError(error.into()))
    }

    async fn take(&self, queue: WorkQueue) -> Result<Box<dyn LettersInHand>, DeadLetterError> {
        let in_hand = self.take_now(queue).await;
        let in_hand = in_hand.map_err(|error| DeadLetterError(error.into()))?;
        Ok(Box::new(in_hand))
    }

    async fn put(&self, letters: &[DeadLetter]) -> Result<Vec<bool>, DeadLetterError> {
        let queues: Vec<Option<WorkQueue>> = letters
            .iter()
            .map(|letter| WorkQueue::named(&letter.queue))
            .collect();
        let batch = letters.iter().zip(&queues).filter_map(|(letter, queue)| {
            let queue = (*queue)?;
            Some(Message {
                exchange: queue.dead_letter_exchange,
                routing_key: queue.dead_letter_key.to_owned(),
                properties: to_dead_letter(letter),
                body: letter.body.clone(),
            })
        });
        let published = self.publisher.publish(batch.collect()).await;
        let mut taken = published.map_err(DeadLetterError)?.into_iter();
        let answers = queues.iter().map(|queue| match queue {
            Some(_) => taken.next().unwrap_or(false),
            None => false,
        });
        Ok(answers.collect())
    }
}
