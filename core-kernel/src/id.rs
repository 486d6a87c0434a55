//! Typed ids: one type per kind of thing, so that they cannot be mixed up.
//!
//! Ids that people quote (users, orders) are random (UUID version 4), because the first eight
//! digits of an order's id are its number in mails. Ids that nobody quotes are version 7, which
//! sort by time and keep database indexes compact.

#![expect(
    clippy::disallowed_methods,
    reason = "this is the one place where ids are made"
)]

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $make:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl $name {
            /// A new id that no other thing has.
            #[must_use]
            pub fn generate() -> Self {
                Self(Uuid::$make())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            /// Reads the usual form with hyphens, in either case.
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                parse_hyphenated(text).map(Self)
            }
        }
    };
}

/// `Uuid::parse_str` also takes braces, URNs and bare hex; an id in a URL or a body has one form.
fn parse_hyphenated(text: &str) -> Result<Uuid, uuid::Error> {
    text.parse::<uuid::fmt::Hyphenated>().map(Uuid::from)
}

id!(
    /// A user of the platform (UUID v4).
    UserId,
    new_v4
);
id!(
    /// An order (UUID v4).
    OrderId,
    new_v4
);
id!(
    /// One event, the same however often it is published (UUID v7).
    EventId,
    now_v7
);
id!(
    /// One notification: one event on one channel (UUID v7).
    NotificationId,
    now_v7
);
id!(
    /// One batch of notifications in cold storage (UUID v7).
    ArchiveId,
    now_v7
);
id!(
    /// One login with all tokens that came of it (UUID v7).
    SessionId,
    now_v7
);
id!(
    /// One token (UUID v7).
    TokenId,
    now_v7
);

impl EventId {
    /// The id of an event that was never stored, made of what it tells: that `kind` happened to
    /// `subject` at `at`. Whoever makes it anew makes the same one, so it is known wherever it has
    /// been before. It looks like any other (version 7, with the time of what happened in it).
    #[must_use]
    pub fn derived(subject: Uuid, kind: &str, at: Timestamp) -> Self {
        // Of a random id the parts that are random throughout.
        let subject = subject.as_bytes();
        let mut bytes = [0; 10];
        bytes[..6].copy_from_slice(&subject[..6]);
        bytes[6..].copy_from_slice(&subject[12..]);
        for (index, letter) in kind.bytes().enumerate() {
            let byte = &mut bytes[index % 10];
            *byte = byte.rotate_left(1) ^ letter;
        }
        let millis = at.as_millisecond().unsigned_abs();
        Self(uuid::Builder::from_unix_timestamp_millis(millis, &bytes).into_uuid())
    }
}

impl TokenId {
    /// When the token was made, in milliseconds since 1970, as its id tells; 0 if it does not.
    #[must_use]
    pub fn issued_ms(&self) -> u64 {
        let made = self.0.get_timestamp().map(|made| made.to_unix());
        made.map_or(0, |(seconds, nanos)| {
            seconds.saturating_mul(1000) + u64::from(nanos / 1_000_000)
        })
    }
}

impl OrderId {
    /// The number by which people know the order: the first eight hex digits, as in `#b2c3d4e5`.
    #[must_use]
    pub fn number(&self) -> String {
        let mut hex = self.0.simple().to_string();
        hex.truncate(8);
        hex
    }
}

impl EventId {
    /// When the event was made, to the millisecond; `None` for an id that is not ours (not version 7).
    #[must_use]
    pub fn made_at(&self) -> Option<jiff::Timestamp> {
        let (seconds, nanoseconds) = self.0.get_timestamp()?.to_unix();
        let (seconds, nanoseconds) = (seconds.try_into().ok()?, nanoseconds.try_into().ok()?);
        jiff::Timestamp::new(seconds, nanoseconds).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_only_the_hyphenated_form_in_either_case() {
        let text = "b2c3d4e5-f6a7-8901-bcde-f12345678901";
        assert_eq!(text.parse::<OrderId>().unwrap().to_string(), text);
        assert_eq!(
            text.to_uppercase().parse::<OrderId>().unwrap().to_string(),
            text
        );
        for bad in [
            "",
            "b2c3d4e5f6a78901bcdef12345678901",
            "{b2c3d4e5-f6a7-8901-bcde-f12345678901}",
        ] {
            assert!(bad.parse::<OrderId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn an_order_number_is_the_first_eight_digits() {
        let id: OrderId = "b2c3d4e5-f6a7-8901-bcde-f12345678901".parse().unwrap();
        assert_eq!(id.number(), "b2c3d4e5");
    }

    #[test]
    fn a_derived_id_is_the_same_for_the_same_event_and_another_for_any_other() {
        let order: OrderId = "b2c3d4e5-f6a7-4901-8cde-f12345678901".parse().unwrap();
        let at = Timestamp::from_millisecond(1_771_324_200_000).unwrap();
        let id = EventId::derived(order.0, "OrderCreated", at);
        assert_eq!(id, EventId::derived(order.0, "OrderCreated", at));
        assert_eq!(id.0.get_version_num(), 7);
        let later = Timestamp::from_millisecond(1_771_324_200_001).unwrap();
        for other in [
            EventId::derived(order.0, "OrderShipped", at),
            EventId::derived(OrderId::generate().0, "OrderCreated", at),
            EventId::derived(order.0, "OrderCreated", later),
        ] {
            assert_ne!(id, other);
        }
    }

    #[test]
    fn quoted_ids_are_random_and_the_others_sort_by_time() {
        assert_eq!(OrderId::generate().0.get_version_num(), 4);
        assert_eq!(UserId::generate().0.get_version_num(), 4);
        assert_eq!(EventId::generate().0.get_version_num(), 7);
        assert!(EventId::generate() < EventId::generate());
    }
}
