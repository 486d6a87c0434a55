//! The queues that this service works off, on whichever bus.

use async_trait::async_trait;
use core_kernel::BoxError;

use crate::event::EventKind;

/// A work queue with what belongs to it (PRD §5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WorkQueue {
    /// Its name.
    pub name: &'static str,
    /// Where its events are published.
    pub exchange: &'static str,
    /// Where its dead letters go.
    pub dead_letter_exchange: &'static str,
    /// The events it takes.
    pub routing_keys: &'static [&'static str],
    /// The routing key of its dead letters.
    pub dead_letter_key: &'static str,
}

/// Where the events of orders are published (PRD §5).
pub const ORDER_EVENTS: &str = "order.events";

/// Where the events of users are published.
pub const USER_EVENTS: &str = "user.events";

/// All queues of the notification service (PRD §5).
pub const WORK_QUEUES: [WorkQueue; 3] = [
    WorkQueue {
        name: "notifications.order.created",
        exchange: ORDER_EVENTS,
        dead_letter_exchange: "order.events.dlx",
        routing_keys: &["order.created"],
        dead_letter_key: "order.created.failed",
    },
    WorkQueue {
        name: "notifications.order.shipped",
        exchange: ORDER_EVENTS,
        dead_letter_exchange: "order.events.dlx",
        routing_keys: &["order.shipped"],
        dead_letter_key: "order.shipped.failed",
    },
    // One for all mails to accounts: there are few of them, and a queue costs the broker memory.
    WorkQueue {
        name: "notifications.user",
        exchange: USER_EVENTS,
        dead_letter_exchange: "user.events.dlx",
        routing_keys: &[
            "user.password_reset_requested",
            "user.email_verification_requested",
        ],
        dead_letter_key: "user.failed",
    },
];

impl WorkQueue {
    /// The queue of this name, which may be that of its dead letters.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let name = name.strip_suffix(".dlq").unwrap_or(name);
        WORK_QUEUES.into_iter().find(|queue| queue.name == name)
    }

    /// The queue that takes these events.
    #[must_use]
    pub fn of(kind: EventKind) -> Self {
        let [created, shipped, user] = WORK_QUEUES;
        match kind {
            EventKind::OrderCreated => created,
            EventKind::OrderShipped => shipped,
            EventKind::PasswordResetRequested | EventKind::EmailVerificationRequested => user,
        }
    }

    /// Where its dead letters are kept.
    #[must_use]
    pub fn dead_letter_queue(&self) -> String {
        format!("{}.dlq", self.name)
    }
}

/// How much a queue holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Depth {
    /// Events that are to be worked on. Those that somebody has in hand may be among them; those that
    /// wait for another attempt are not.
    pub waiting: u64,
    /// Its dead letters.
    pub dead: u64,
}

/// The bus does not tell now.
#[derive(Debug, thiserror::Error)]
#[error("the bus does not answer")]
pub struct BusError(#[source] pub BoxError);

/// Tells how much waits, for those who watch. It takes nothing out.
#[async_trait]
pub trait QueueDepths: Send + Sync {
    /// How much `queue` holds.
    ///
    /// # Errors
    /// When the bus does not answer.
    async fn depth(&self, queue: WorkQueue) -> Result<Depth, BusError>;
}
