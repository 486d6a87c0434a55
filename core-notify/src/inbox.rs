//! A local inbox in place of the providers, and faults on demand: for development and tests, so
//! that anyone can read what would have been sent and watch what a bad day does to it.

use std::str::FromStr;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use core_kernel::{NotificationId, OrderId};
use jiff::Timestamp;

use crate::notification::{Channel, words};
use crate::ports::StoreError;

/// A mail or text that was captured.
#[derive(Clone, PartialEq, Eq)]
pub struct InboxMessage {
    /// Its number in the inbox; later ones are larger.
    pub id: i64,
    /// The notification it is. One that was sent twice is in the inbox twice.
    pub notification_id: NotificationId,
    /// Which order it is about.
    pub order_id: Option<OrderId>,
    /// A mail or a text.
    pub channel: Channel,
    /// Address or phone number.
    pub to: String,
    /// Subject of a mail.
    pub subject: Option<String>,
    /// The text, or the plain text of a mail.
    pub text: String,
    /// HTML of a mail.
    pub html: Option<String>,
    /// When it was captured.
    pub created_at: Timestamp,
}

impl std::fmt::Debug for InboxMessage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "InboxMessage({}, {:?}, ***)", self.id, self.channel)
    }
}

/// One attempt to send, whatever came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InboxAttempt {
    /// The notification that was to be sent.
    pub notification_id: NotificationId,
    /// Which order it is about.
    pub order_id: Option<OrderId>,
    /// A mail or a text.
    pub channel: Channel,
    /// The fault it met; `None` when it was taken.
    pub fault: Option<FaultKind>,
    /// When.
    pub at: Timestamp,
}

/// Which messages are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InboxFilter {
    /// Only mails, or only texts.
    pub channel: Option<Channel>,
    /// Only of this order.
    pub order_id: Option<OrderId>,
    /// Only to this address or number.
    pub to: Option<String>,
    /// Only those before this one.
    pub before: Option<i64>,
}

/// Reads what was captured.
#[async_trait]
pub trait Inbox: Send + Sync {
    /// The newest `limit` messages that pass the filter, newest first.
    async fn list(&self, filter: &InboxFilter, limit: u32)
    -> Result<Vec<InboxMessage>, StoreError>;

    /// The message with this number, or `None`.
    async fn find(&self, id: i64) -> Result<Option<InboxMessage>, StoreError>;

    /// A mail as it would have gone over the wire (RFC 5322, MIME); `None` for a text or an unknown
    /// number.
    async fn raw(&self, id: i64) -> Result<Option<Vec<u8>>, StoreError>;

    /// The last `limit` attempts, newest first.
    async fn attempts(&self, limit: u32) -> Result<Vec<InboxAttempt>, StoreError>;
}

/// What can go wrong with an attempt, on demand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// Too many at once; nothing was sent, and it is tried again.
    Throttle,
    /// No answer came; nothing was sent, but nobody can know, and it is tried again.
    Timeout,
    /// The provider will never take it; a dead letter at once.
    Refuse,
    /// It was sent, but the answer was lost, so it is sent again.
    Lost,
    /// The provider is out of order; it is waited for, and no attempt is used up.
    Away,
}
words!(FaultKind: Throttle = "throttle", Timeout = "timeout", Refuse = "refuse", Lost = "lost", Away = "away");

/// A fault that attempts are to meet.
#[derive(Clone, PartialEq, Eq)]
pub struct FaultRule {
    /// Mails, or texts.
    pub channel: Channel,
    /// What goes wrong.
    pub kind: FaultKind,
    /// How many attempts still meet it; all of them when `None`.
    pub count: Option<u32>,
    /// Only those to this address or number.
    pub to: Option<String>,
}

impl std::fmt::Debug for FaultRule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "FaultRule({:?}, {:?}, ***)", self.channel, self.kind)
    }
}

/// The text is no rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be CHANNEL:FAULT or CHANNEL:FAULT:COUNT, as email:throttle:3 (email, sms; throttle, timeout, refuse, lost, away)"
)]
pub struct FaultRuleError;

impl FromStr for FaultRule {
    type Err = FaultRuleError;

    /// Reads `email:throttle:3`, or `email:throttle` for all attempts.
    fn from_str(text: &str) -> Result<Self, FaultRuleError> {
        let mut parts = text.split(':');
        let rule = Self {
            channel: parts
                .next()
                .and_then(Channel::from_word)
                .ok_or(FaultRuleError)?,
            kind: parts
                .next()
                .and_then(FaultKind::from_word)
                .ok_or(FaultRuleError)?,
            count: parts
                .next()
                .map(|count| count.parse().ok().filter(|count| *count > 0))
                .map(|count| count.ok_or(FaultRuleError))
                .transpose()?,
            to: None,
        };
        match parts.next() {
            None => Ok(rule),
            Some(_) => Err(FaultRuleError),
        }
    }
}

/// The faults that the next attempts are to meet, shared between the senders and whoever sets them.
#[derive(Debug, Default)]
pub struct FaultScript(Mutex<Vec<FaultRule>>);

impl FaultScript {
    fn rules_mut(&self) -> std::sync::MutexGuard<'_, Vec<FaultRule>> {
        // Every change below is whole, so what a panic elsewhere left is as good as ever.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a rule; earlier ones come first.
    pub fn add(&self, rule: FaultRule) {
        self.rules_mut().push(rule);
    }

    /// Forgets all rules.
    pub fn clear(&self) {
        self.rules_mut().clear();
    }

    /// The rules that are still to be met.
    #[must_use]
    pub fn rules(&self) -> Vec<FaultRule> {
        self.rules_mut().clone()
    }

    /// The fault that this attempt meets, if any; uses it up.
    #[must_use]
    pub fn next(&self, channel: Channel, to: &str) -> Option<FaultKind> {
        let mut rules = self.rules_mut();
        let index = rules.iter().position(|rule| {
            rule.channel == channel && rule.to.as_deref().is_none_or(|wanted| wanted == to)
        })?;
        let rule = &mut rules[index];
        let kind = rule.kind;
        if let Some(count) = &mut rule.count {
            *count -= 1;
            if *count == 0 {
                rules.remove(index);
            }
        }
        Some(kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_read_from_text() {
        let rule: FaultRule = "email:throttle:3".parse().unwrap();
        assert_eq!(
            (rule.channel, rule.kind),
            (Channel::Email, FaultKind::Throttle)
        );
        assert_eq!(rule.count, Some(3));
        assert_eq!("sms:away".parse::<FaultRule>().unwrap().count, None);
        for wrong in [
            "",
            "email",
            "fax:lost:1",
            "sms:lost:0",
            "sms:lost:x",
            "sms:lost:1:1",
        ] {
            assert_eq!(wrong.parse::<FaultRule>(), Err(FaultRuleError), "{wrong}");
        }
    }

    #[test]
    fn each_rule_is_met_as_often_as_it_says_and_by_those_it_names() {
        let script = FaultScript::default();
        script.add("email:throttle:2".parse().unwrap());
        script.add(FaultRule {
            to: Some("+15550000001".into()),
            .."sms:refuse".parse().unwrap()
        });
        let mail = || script.next(Channel::Email, "jane@example.com");
        assert_eq!(
            [mail(), mail(), mail()],
            [Some(FaultKind::Throttle), Some(FaultKind::Throttle), None]
        );
        for _ in 0..3 {
            assert_eq!(
                script.next(Channel::Sms, "+15550000001"),
                Some(FaultKind::Refuse)
            );
        }
        assert_eq!(script.next(Channel::Sms, "+15550000002"), None);
        assert_eq!(script.rules().len(), 1);
        script.clear();
        assert_eq!(script.next(Channel::Sms, "+15550000001"), None);
    }
}
