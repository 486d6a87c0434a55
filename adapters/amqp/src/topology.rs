//! Every exchange and queue: those of `core_notify::WORK_QUEUES` with what belongs to them. Whoever
//! connects declares all of it, so that no event is dropped because a queue does not exist yet.
//!
//! Arguments are frozen: a queue that exists with others refuses to be declared. What operators
//! may want to change (lengths, limits) they change by policy.

use core_kernel::BoxError;
use core_notify::{WORK_QUEUES, WorkQueue};
use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{Channel, ErrorKind, ExchangeKind};

use crate::connection::connect;

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

/// A queue as it is to be.
struct Queue {
    name: String,
    arguments: FieldTable,
    /// What it is bound to: exchanges, each with a routing key.
    bindings: Vec<(&'static str, String)>,
}

/// Every exchange with its kind.
fn exchanges() -> Vec<(&'static str, ExchangeKind)> {
    let mut all = vec![(RETRY, ExchangeKind::Direct)];
    for queue in WORK_QUEUES {
        for name in [queue.exchange, queue.dead_letter_exchange] {
            if !all.iter().any(|(known, _)| *known == name) {
                all.push((name, ExchangeKind::Topic));
            }
        }
    }
    all
}

/// Every queue.
fn queues() -> Vec<Queue> {
    WORK_QUEUES.iter().flat_map(queues_of).collect()
}

/// A work queue, with its dead letters before it and the queues in which it waits behind it.
fn queues_of(queue: &WorkQueue) -> Vec<Queue> {
    let (exchange, key) = (queue.dead_letter_exchange, queue.dead_letter_key);
    let dead_letters = Queue {
        name: queue.dead_letter_queue(),
        arguments: quorum(),
        bindings: vec![(exchange, key.to_owned())],
    };
    let mut arguments = returning(exchange, key);
    let limit = AMQPValue::LongInt(DELIVERY_LIMIT);
    arguments.insert("x-delivery-limit".into(), limit);
    let keys = queue.routing_keys.iter();
    let work = Queue {
        name: queue.name.to_owned(),
        arguments,
        bindings: keys
            .map(|key| (queue.exchange, (*key).to_owned()))
            .collect(),
    };
    let waits = core_notify::DELAYS.iter().map(|delay| {
        let name = wait_queue(queue, delay.as_secs());
        // Back by the default exchange, so that only this queue gets the event again.
        let mut arguments = returning("", queue.name);
        let ttl = i32::try_from(delay.as_millis()).unwrap_or(i32::MAX);
        arguments.insert("x-message-ttl".into(), AMQPValue::LongInt(ttl));
        Queue {
            bindings: vec![(RETRY, name.clone())],
            name,
            arguments,
        }
    });
    [dead_letters, work].into_iter().chain(waits).collect()
}

/// Declares everything; what is there already is left as it is.
///
/// # Errors
/// When the broker refuses, most likely because something exists with other arguments (406).
pub(crate) async fn declare(channel: &Channel) -> lapin::Result<()> {
    for (name, kind) in exchanges() {
        exchange(channel, name, kind, false).await?;
    }
    for queue in queues() {
        declare_queue(channel, &queue, false).await?;
        for (exchange, key) in &queue.bindings {
            bind(channel, &queue.name, exchange, key).await?;
        }
    }
    Ok(())
}

/// An exchange or a queue that is not on the broker as it is here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// Its name.
    pub name: String,
    /// What the broker says of it; `None` if it is not there.
    pub differs: Option<String>,
}

/// Compares every exchange and queue on the broker at `url` with those that are declared here, and
/// makes none. Bindings cannot be asked for; services declare them whenever they connect.
///
/// # Errors
/// When the broker is away, or refuses the login.
pub async fn inspect(url: &str) -> Result<Vec<Mismatch>, BoxError> {
    let connection = connect(url, "shopflow doctor").await?;
    let mut found = Vec::new();
    // What the broker refuses costs the channel, so each has its own.
    for (name, kind) in exchanges() {
        let channel = connection.create_channel().await?;
        let mut told = exchange(&channel, name, kind.clone(), true).await;
        if told.is_ok() {
            told = exchange(&channel, name, kind, false).await;
        }
        found.extend(mismatch(name, told)?);
    }
    for queue in queues() {
        let channel = connection.create_channel().await?;
        let mut told = declare_queue(&channel, &queue, true).await;
        if told.is_ok() {
            told = declare_queue(&channel, &queue, false).await;
        }
        found.extend(mismatch(&queue.name, told)?);
    }
    // It would close by itself a moment later.
    let _ = connection.close(200, "inspected".into()).await;
    Ok(found)
}

/// How many events wait on the broker at `url` to be worked off, or for another attempt; without those
/// that a consumer has in hand.
///
/// # Errors
/// When the broker is away, or one of the queues is not there.
pub async fn waiting(url: &str) -> Result<u64, BoxError> {
    let connection = connect(url, "shopflow reconcile").await?;
    let channel = connection.create_channel().await?;
    let mut all = 0;
    for queue in &WORK_QUEUES {
        let dead_letters = queue.dead_letter_queue();
        for one in queues_of(queue) {
            if one.name != dead_letters {
                let told = declared(&channel, &one, true).await?;
                all += u64::from(told.message_count());
            }
        }
    }
    // It would close by itself a moment later.
    let _ = connection.close(200, "counted".into()).await;
    Ok(all)
}

/// What the answer to a declaration tells of a thing. It is first declared passively, which asks
/// whether it is there at all; only then in full, which compares it and then makes nothing.
fn mismatch(name: &str, told: lapin::Result<()>) -> lapin::Result<Option<Mismatch>> {
    const NOT_FOUND: u16 = 404;
    let Err(error) = told else {
        return Ok(None);
    };
    let differs = match error.kind() {
        ErrorKind::ProtocolError(refusal) if error.is_amqp_soft_error() => {
            (refusal.get_id() != NOT_FOUND).then(|| refusal.get_message().to_string())
        }
        _ => return Err(error),
    };
    let name = name.to_owned();
    Ok(Some(Mismatch { name, differs }))
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

async fn exchange(
    channel: &Channel,
    name: &str,
    kind: ExchangeKind,
    passive: bool,
) -> lapin::Result<()> {
    let options = ExchangeDeclareOptions {
        passive,
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

async fn declare_queue(channel: &Channel, queue: &Queue, passive: bool) -> lapin::Result<()> {
    declared(channel, queue, passive).await.map(drop)
}

async fn declared(channel: &Channel, queue: &Queue, passive: bool) -> lapin::Result<lapin::Queue> {
    let options = QueueDeclareOptions {
        passive,
        ..QueueDeclareOptions::durable()
    };
    let name = ShortString::from(queue.name.as_str());
    let arguments = queue.arguments.clone();
    channel.queue_declare(name, options, arguments).await
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
