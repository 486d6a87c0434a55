//! Letters in the hand of one command.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use core_kernel::BoxError;
use core_notify::{DeadLetter, DeadLetterError, LettersInHand, WorkQueue};
use jiff::Timestamp;
use lapin::message::Delivery;
use lapin::options::{BasicAckOptions, BasicNackOptions};
use lapin::types::DeliveryTag;
use lapin::{Channel, Connection};
use tokio::time::{Instant, sleep};

use super::{AmqpDeadLetters, WINDOW, waiting};
use crate::channel::{Message, Publisher};
use crate::headers::{for_replay, renewed, returns};

/// A letter that was returned so often is copied to the end of its queue and taken out here. Brokers
/// from 4.0 on drop at the twentieth return what has no further home; the rest is for crashes.
const MOST_RETURNS: u32 = 12;

/// How long to wait until the broker has taken back what was returned.
const RETURN_TIMEOUT: Duration = Duration::from_secs(5);

/// Dead letters of one queue: delivered, and not acknowledged.
pub(super) struct InHand {
    pub(super) url: String,
    pub(super) queue: WorkQueue,
    pub(super) connection: Connection,
    pub(super) channel: Channel,
    pub(super) publisher: Arc<Publisher>,
    pub(super) letters: Vec<DeadLetter>,
    pub(super) deliveries: Vec<Delivery>,
    /// In the order in which they came.
    pub(super) unsettled: BTreeSet<DeliveryTag>,
    /// Letters that must not come back.
    pub(super) gone: HashSet<Known>,
}

/// What a letter is known by when it comes again: one that was given up anew has another time.
pub(super) type Known = (String, Timestamp);

pub(super) fn known(letter: &DeadLetter) -> Known {
    (letter.message_id.clone(), letter.failed_at)
}

impl InHand {
    /// Takes letters out for good. Acknowledgements get no answer, so the broker is asked something
    /// else behind them: by its answer it has read them.
    pub(super) async fn settle(&mut self, places: &[usize]) -> Result<(), BoxError> {
        let wanted: BTreeMap<DeliveryTag, usize> = places
            .iter()
            .map(|place| (self.deliveries[*place].delivery_tag, *place))
            .collect();
        // As few as possible: a queue that is flooded with them applies them later.
        let next = self.unsettled.iter();
        let run = next.take_while(|tag| wanted.contains_key(*tag)).last();
        let run = run.copied().unwrap_or(0);
        if run > 0 {
            let options = BasicAckOptions { multiple: true };
            self.channel.basic_ack(run, options).await?;
        }
        for tag in wanted.keys().filter(|tag| **tag > run) {
            let options = BasicAckOptions::default();
            self.channel.basic_ack(*tag, options).await?;
        }
        for tag in wanted.keys() {
            self.unsettled.remove(tag);
        }
        waiting(&self.channel, self.queue).await?;
        Ok(())
    }

    /// Publishes these letters to a queue, and takes those out that it confirmed.
    async fn publish(
        &mut self,
        places: &[usize],
        to: &str,
        properties: impl Fn(&Delivery) -> lapin::BasicProperties,
    ) -> Result<Vec<bool>, BoxError> {
        // Of a hand that is empty already nothing may be published: the broker has it back.
        if !self.channel.status().connected() {
            return Err("the channel is gone".into());
        }
        let batch = places.iter().map(|place| &self.deliveries[*place]);
        let batch = batch.map(|delivery| Message {
            exchange: "",
            routing_key: to.to_owned(),
            properties: properties(delivery),
            body: delivery.data.clone(),
        });
        let taken = self.publisher.publish(batch.collect()).await?;
        let gone = places.iter().zip(&taken).filter(|(_, taken)| **taken);
        let gone: Vec<usize> = gone.map(|(place, _)| *place).collect();
        self.settle(&gone).await?;
        Ok(taken)
    }

    /// Copies what was returned too often to the end of its queue.
    async fn renew(&mut self) -> Result<(), BoxError> {
        let old: Vec<usize> = (0..self.deliveries.len())
            .filter(|place| self.is_unsettled(*place))
            .filter(|place| returns(&self.deliveries[*place].properties) >= MOST_RETURNS)
            .collect();
        let queue = self.queue.dead_letter_queue();
        for batch in old.chunks(WINDOW / 10) {
            let copy = |delivery: &Delivery| renewed(&delivery.properties);
            self.publish(batch, &queue, copy).await?;
        }
        Ok(())
    }

    fn is_unsettled(&self, place: usize) -> bool {
        let tag = self.deliveries[place].delivery_tag;
        self.unsettled.contains(&tag)
    }

    fn note_gone(&mut self, places: &[usize]) {
        let letters = places.iter().map(|place| known(&self.letters[*place]));
        self.gone.extend(letters);
    }

    pub(super) async fn give_back(&mut self) -> Result<(), BoxError> {
        self.renew().await?;
        let unsettled = self.unsettled.len();
        if unsettled > 0 {
            let options = BasicNackOptions {
                multiple: true,
                requeue: true,
            };
            // All that is not settled.
            self.channel.basic_nack(0, options).await?;
        }
        let deadline = Instant::now() + RETURN_TIMEOUT;
        while (waiting(&self.channel, self.queue).await? as usize) < unsettled
            && Instant::now() < deadline
        {
            sleep(Duration::from_millis(5)).await;
        }
        self.connection.close(200, "bye".into()).await?;
        Ok(())
    }
}

#[async_trait]
impl LettersInHand for InHand {
    fn letters(&self) -> &[DeadLetter] {
        &self.letters
    }

    async fn replay(&mut self, places: &[usize]) -> Result<Vec<bool>, DeadLetterError> {
        // By the default exchange, so that only this queue gets the event again.
        let replay = |delivery: &Delivery| for_replay(&delivery.properties);
        let moved = self.publish(places, self.queue.name, replay).await;
        let moved = moved.map_err(DeadLetterError)?;
        let gone = places.iter().zip(&moved).filter(|(_, moved)| **moved);
        let gone: Vec<usize> = gone.map(|(place, _)| *place).collect();
        self.note_gone(&gone);
        Ok(moved)
    }

    async fn discard(&mut self, places: &[usize]) -> Result<Vec<bool>, DeadLetterError> {
        self.settle(places).await.map_err(DeadLetterError)?;
        self.note_gone(places);
        Ok(vec![true; places.len()])
    }

    async fn put_back(mut self: Box<Self>) -> Result<(), DeadLetterError> {
        self.give_back().await.map_err(DeadLetterError)?;
        let again = AmqpDeadLetters {
            url: self.url,
            publisher: self.publisher,
        };
        let swept = again.sweep(self.queue, self.unsettled.len(), &self.gone);
        swept.await.map_err(DeadLetterError)
    }
}
