//! Events that were given up.

use core_kernel::OrderId;
use jiff::Timestamp;
use serde_json::Value;

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
    /// W3C trace context of the request that caused the event; kept, so that a replay is seen in
    /// the same trace.
    pub traceparent: Option<String>,
    /// The vendors' part of the trace context.
    pub tracestate: Option<String>,
}

impl DeadLetter {
    /// The order that it tells of, as far as its body can be read: what is poison may name one too.
    #[must_use]
    pub fn order_id(&self) -> Option<OrderId> {
        let body: Value = serde_json::from_slice(&self.body).ok()?;
        let id = body.get("payload")?.get("order_id")?.as_str()?;
        id.parse().ok()
    }

    /// Why, without what differs from one letter to the next: words with a digit in them become
    /// `#`. Letters with the same class and fingerprint failed for the same cause, most likely.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let words = self.reason.split_whitespace().map(|word| {
            let varies = word.bytes().any(|byte| byte.is_ascii_digit());
            if varies { "#" } else { word }
        });
        let words: Vec<&str> = words.take(FINGERPRINT_WORDS).collect();
        words.join(" ")
    }
}

/// Words of a reason that count; what follows is detail.
const FINGERPRINT_WORDS: usize = 20;

impl std::fmt::Debug for DeadLetter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "DeadLetter({}, {}, {}: {})",
            self.queue, self.message_id, self.class, self.reason
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter(body: &str, reason: &str) -> DeadLetter {
        let at = Timestamp::UNIX_EPOCH;
        DeadLetter {
            queue: "notifications.order.created".into(),
            message_id: "m-1".into(),
            event_type: None,
            body: body.as_bytes().to_vec(),
            class: "refused".into(),
            reason: reason.into(),
            attempts: 1,
            first_failed_at: at,
            failed_at: at,
            channels: Vec::new(),
            traceparent: None,
            tracestate: None,
        }
    }

    #[test]
    fn the_order_is_read_from_whatever_body_names_one() {
        let id = "b2c3d4e5-f6a7-8901-bcde-f12345678901";
        let body = format!(r#"{{"payload":{{"order_id":"{id}"}}}}"#);
        let named = letter(&body, "").order_id();
        assert_eq!(named.map(|id| id.to_string()).as_deref(), Some(id));
        for body in ["", "{}", r#"{"payload":{"order_id":7}}"#] {
            assert_eq!(letter(body, "").order_id(), None, "{body}");
        }
    }

    #[test]
    fn reasons_that_differ_in_numbers_only_have_one_fingerprint() {
        let one = letter("", "email: 554 mailbox a1 full");
        let other = letter("", "email: 550 mailbox b2 full");
        assert_eq!(one.fingerprint(), "email: # mailbox # full");
        assert_eq!(one.fingerprint(), other.fingerprint());
    }
}
