//! The queues that this service works off, on whichever bus.

/// A work queue with what belongs to it (PRD §5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WorkQueue {
    /// Its name.
    pub name: &'static str,
    /// The events it takes.
    pub routing_key: &'static str,
    /// The routing key of its dead letters.
    pub dead_letter_key: &'static str,
}

/// Both queues of the notification service (PRD §5).
pub const WORK_QUEUES: [WorkQueue; 2] = [
    WorkQueue {
        name: "notifications.order.created",
        routing_key: "order.created",
        dead_letter_key: "order.created.failed",
    },
    WorkQueue {
        name: "notifications.order.shipped",
        routing_key: "order.shipped",
        dead_letter_key: "order.shipped.failed",
    },
];

impl WorkQueue {
    /// Where its dead letters are kept.
    #[must_use]
    pub fn dead_letter_queue(&self) -> String {
        format!("{}.dlq", self.name)
    }
}
