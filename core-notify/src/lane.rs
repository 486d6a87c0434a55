//! What is known of the ways that messages go, over all of them.

use crate::breaker::Breaker;
use crate::notification::Channel;

/// What is done when a provider's answer was lost, so that nobody knows whether it took a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ambiguous {
    /// Send it again: rather twice than never.
    #[default]
    Retry,
    /// Leave it to people: it fails, and is a dead letter of class `ambiguous`.
    Park,
}

/// What is kept for each channel.
#[derive(Debug, Default)]
pub struct Lane {
    /// What is done when an answer was lost.
    pub ambiguous: Ambiguous,
    /// Pauses sending while the provider is out of order.
    pub breaker: Breaker,
}

/// What a notifier learns from one event for the next.
#[derive(Debug, Default)]
pub struct Lanes {
    /// Of mails.
    pub email: Lane,
    /// Of texts.
    pub sms: Lane,
    /// Of the order service, which may answer nonsense.
    pub orders: Breaker,
    /// Of the auth service, likewise.
    pub auth: Breaker,
}

impl Lanes {
    /// That of a channel.
    #[must_use]
    pub fn of(&self, channel: Channel) -> &Lane {
        match channel {
            Channel::Email => &self.email,
            Channel::Sms => &self.sms,
        }
    }
}
