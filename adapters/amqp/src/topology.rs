//! Every exchange and queue: those of `core_notify::WORK_QUEUES` with what belongs to them. Whoever
//! connects declares all of it, so that no event is dropped because a queue does not exist yet.
//!
//! Arguments are frozen: a queue that exists with others refuses to be declared. What operators
//! may want to change (lengths, limits) they change by policy.

use core_notify::{WORK_QUEUES, WorkQueue};
use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{Channel, ExchangeKind};

/// Where a failed delivery goes to wait; its routing key is the name of a wait queue.
pub const RETRY: &str = "notifications.retry";

/// The queue in which a failed delivery waits for `seconds`. One queue per delay, since messages
/// expire only at the head of a queue, and a longer one would hold up the shorter.
#[must_use]
pub fn wait_queue(queue: &WorkQueue, seconds: u64) -> String {
    format!("{}.retry.{seconds}s", queue.name)
}

/// A queue that runs full takes no more, which holds events back in the outbox.
const MAX_LENGTH: i32 = 100_000;
/// Deliveries before the broker itself dead-letters a message that kills its consumers. High, since
/// it counts innocent neighbours of a crash as well.
const DELIVERY_LIMIT: i32 = 20;

/// Declares everything; what is there already is left as it is.
///
/// # Errors
/// When the broker refuses, most likely because something exists with other arguments (406).
pub(crate) async fn declare(channel: &Channel) -> lapin::Result<()> {
    exchange(channel, RETRY, ExchangeKind::Direct).await?;
    for queue in WORK_QUEUES {
        let dead_letters = queue.dead_letter_queue();
        let dead_letter_exchange = queue.dead_letter_exchange;
        exchange(channel, queue.exchange, ExchangeKind::Topic).await?;
        exchange(channel, dead_letter_exchange, ExchangeKind::Topic).await?;
        declare_queue(channel, &dead_letters, quorum()).await?;
        bind(
            channel,
            &dead_letters,
            dead_letter_exchange,
            queue.dead_letter_key,
        )
        .await?;

        let mut arguments = returning(dead_letter_exchange, queue.dead_letter_key);
        arguments.insert(
            "x-delivery-limit".into(),
            AMQPValue::LongInt(DELIVERY_LIMIT),
        );
        declare_queue(channel, queue.name, arguments).await?;
        for key in queue.routing_keys {
            bind(channel, queue.name, queue.exchange, key).await?;
        }

        for delay in core_notify::DELAYS {
            let name = wait_queue(&queue, delay.as_secs());
            // Back by the default exchange, so that only this queue gets the event again.
            let mut arguments = returning("", queue.name);
            let ttl = i32::try_from(delay.as_millis()).unwrap_or(i32::MAX);
            arguments.insert("x-message-ttl".into(), AMQPValue::LongInt(ttl));
            declare_queue(channel, &name, arguments).await?;
            bind(channel, &name, RETRY, &name).await?;
        }
    }
    Ok(())
}

fn text(value: &str) -> AMQPValue {
    AMQPValue::LongString(value.into())
}

fn quorum() -> FieldTable {
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), text("quorum"));
    arguments
}

/// A queue whose rejected and expired messages go on without loss: at-least-once dead-lettering
/// needs a quorum queue that refuses what it cannot hold.
fn returning(exchange: &str, routing_key: &str) -> FieldTable {
    let mut arguments = quorum();
    arguments.insert("x-dead-letter-exchange".into(), text(exchange));
    arguments.insert("x-dead-letter-routing-key".into(), text(routing_key));
    arguments.insert("x-dead-letter-strategy".into(), text("at-least-once"));
    arguments.insert("x-overflow".into(), text("reject-publish"));
    arguments.insert("x-max-length".into(), AMQPValue::LongInt(MAX_LENGTH));
    arguments
}

async fn exchange(channel: &Channel, name: &str, kind: ExchangeKind) -> lapin::Result<()> {
    let options = ExchangeDeclareOptions {
        durable: true,
        ..ExchangeDeclareOptions::default()
    };
    channel
        .exchange_declare(
            ShortString::from(name),
            kind,
            options,
            FieldTable::default(),
        )
        .await
}

async fn declare_queue(channel: &Channel, name: &str, arguments: FieldTable) -> lapin::Result<()> {
    channel
        .queue_declare(
            ShortString::from(name),
            QueueDeclareOptions::durable(),
            arguments,
        )
        .await
        .map(drop)
}

async fn bind(channel: &Channel, queue: &str, exchange: &str, key: &str) -> lapin::Result<()> {
    channel
        .queue_bind(
            ShortString::from(queue),
            ShortString::from(exchange),
            ShortString::from(key),
            QueueBindOptions::default(),
            FieldTable::default(),
        )
        .await
}
