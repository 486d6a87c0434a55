//! Requests that are sent again: a client that names its request by a key gets one order for it,
//! however often it asks (the `Idempotency-Key` of the API).

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use core_kernel::{OrderId, UserId, Violation};
use jiff::{SignedDuration, Timestamp};

/// The name that a client gave its request: 1 to 255 visible ASCII characters or spaces. Keys of
/// different users have nothing to do with each other.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct IdempotencyKey(String);

impl IdempotencyKey {
    /// How long a key is remembered, from when its order was placed.
    pub const LIFETIME: SignedDuration = SignedDuration::from_hours(24);

    /// Reads a key.
    ///
    /// # Errors
    /// `length` for none or more than 255 characters, `format` for other characters.
    pub fn parse(text: &str) -> Result<Self, Violation> {
        if !text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
            let message = "must have visible ASCII characters only";
            return Err(Violation::new("format", message));
        }
        match text.len() {
            1..=255 => Ok(Self(text.to_owned())),
            _ => {
                let message = "must have 1 to 255 characters";
                Err(Violation::new("length", message))
            }
        }
    }

    /// The key as it was sent.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Keys that were recorded at this time or before are forgotten at `now`.
    #[must_use]
    pub fn forgotten(now: Timestamp) -> Timestamp {
        now - Self::LIFETIME
    }
}

/// SHA-256 over what a request asks for, so that the same key with another body is found out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint(pub [u8; 32]);

/// A request that may come again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyedRequest {
    /// What the client calls it.
    pub key: IdempotencyKey,
    /// What it asks for.
    pub fingerprint: Fingerprint,
}

/// What became of an order that is to be stored once for its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Once {
    /// It is stored, and so is its key.
    Inserted,
    /// The same request was answered with this order; nothing was written.
    Known(OrderId),
    /// The key belongs to a request for something else; nothing was written.
    Reused,
    /// The first request with this key is still being worked on; nothing was written.
    InFlight,
}

/// The requests that this instance is working on. It spares a store the second of two at once, which
/// could only wait for the first; requests to other instances are the store's business.
#[derive(Clone, Default)]
pub(crate) struct Running(Arc<Mutex<HashSet<(UserId, IdempotencyKey)>>>);

/// The turn of one request, given back however the request ends.
pub(crate) struct Turn {
    running: Running,
    request: (UserId, IdempotencyKey),
}

impl Running {
    /// The turn of a request; `None` while another with its key has it.
    pub(crate) fn begin(&self, user: UserId, key: &IdempotencyKey) -> Option<Turn> {
        let request = (user, key.clone());
        let mut running = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        running.insert(request.clone()).then(|| Turn {
            running: self.clone(),
            request,
        })
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut running = self
            .running
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        running.remove(&self.request);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_1_to_255_visible_characters() {
        for good in ["k", "a b", "\"quoted\"", &"x".repeat(255)] {
            assert_eq!(IdempotencyKey::parse(good).unwrap().as_str(), good);
        }
        for (bad, code) in [
            ("", "length"),
            (&*"x".repeat(256), "length"),
            ("a\tb", "format"),
            ("schlüssel", "format"),
        ] {
            assert_eq!(IdempotencyKey::parse(bad).unwrap_err().code, code, "{bad}");
        }
    }

    #[test]
    fn a_turn_is_one_requests_until_it_ends() {
        let running = Running::default();
        let (user, key) = (UserId::generate(), IdempotencyKey("k".into()));
        let turn = running.begin(user, &key);
        assert!(turn.is_some());
        assert!(running.begin(user, &key).is_none());
        assert!(running.begin(UserId::generate(), &key).is_some());
        drop(turn);
        assert!(running.begin(user, &key).is_some());
    }
}
