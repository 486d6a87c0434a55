//! Events that were given up.

use jiff::Timestamp;

use crate::notification::Channel;

/// An event that was given up, with all that is known of why. What it carried is kept byte for
/// byte, so that it can be worked on anew.
#[derive(Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// The work queue it came from.
    pub queue: String,
    /// The event's id, as its publisher gave it.
    pub message_id: String,
    /// What happened, `OrderCreated`, as its publisher named it.
    pub event_type: Option<String>,
    /// The event as it came.
    pub body: Vec<u8>,
    /// The kind of failure: `poison`, `refused`, `exhausted`, `render`.
    pub class: String,
    /// Why, the provider's own words in it; at most 1000 characters.
    pub reason: String,
    /// Which attempt was the last, from 1.
    pub attempts: u32,
    /// When an attempt first failed.
    pub first_failed_at: Timestamp,
    /// When it was given up.
    pub failed_at: Timestamp,
    /// The channels that failed; empty when it came to none.
    pub channels: Vec<Channel>,
}

impl std::fmt::Debug for DeadLetter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "DeadLetter({}, {}, {}: {})",
            self.queue, self.message_id, self.class, self.reason
        )
    }
}
