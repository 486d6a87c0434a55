//! A delivery of an event, and what is to become of it: what a bus and a handler say to each other.

use std::time::Duration;

use async_trait::async_trait;
use core_kernel::RequestContext;

use crate::notification::Channel;

/// One delivery of an event by the broker.
#[derive(Clone, Copy, Debug)]
pub struct Delivery<'a> {
    /// The event as it came.
    pub body: &'a [u8],
    /// Which attempt this is, from 1. Only failures count, not crashes and outages.
    pub attempt: u32,
    /// Whether the event may have been worked on before: another attempt, or a crash.
    pub again: bool,
    /// Whether what had failed for good is to be tried once more: the bus has it anew, as after a
    /// replay, and not from us for another attempt. Still so after a crash, which must not swallow
    /// a replay; the price is that what was refused just before the crash is refused once more.
    pub revive: bool,
}

/// What is to become of a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All is recorded; it may be forgotten.
    Done,
    /// It failed; try again after this long, as the next attempt.
    Retry {
        /// How long to wait: one of [`DELAYS`](crate::DELAYS), since a bus may have a queue for each.
        after: Duration,
        /// Why it failed.
        reason: String,
    },
    /// Another holds a part of it; look again soon, as the same attempt.
    Held,
    /// A neighbour is out of order; wait until it is back, as the same attempt.
    Wait {
        /// Who, and what is wrong.
        reason: String,
    },
    /// It can never succeed, or has used up its attempts.
    Dead {
        /// The kind of failure: `poison`, `refused`, `exhausted`, `render`, `expired` when what the
        /// mail was to carry works no more, or `ambiguous` when a message that may have been sent is
        /// not to be sent again.
        class: &'static str,
        /// Why, the provider's own words in it.
        reason: String,
        /// The channels that failed; empty when it came to none.
        channels: Vec<Channel>,
    },
}

impl Outcome {
    /// All words that [`Outcome::word`] gives.
    pub const WORDS: [&str; 5] = ["done", "retry", "held", "wait", "dead"];

    /// A word for it in metrics: `done`, `retry`, `held`, `wait`, `dead`.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Retry { .. } => "retry",
            Self::Held => "held",
            Self::Wait { .. } => "wait",
            Self::Dead { .. } => "dead",
        }
    }
}

/// Works on what a bus delivers; the consumers of all buses call this.
#[async_trait]
pub trait EventHandler: Send + Sync {
    /// Works on one delivery and tells what is to become of it. Safe to repeat at any point.
    async fn handle(&self, delivery: Delivery<'_>, context: &RequestContext) -> Outcome;
}
