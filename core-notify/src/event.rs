//! The events that notifications follow (PRD §5), read strictly: what breaks the schema will break
//! it at every attempt, so it is not tried again.

use core_kernel::{Envelope, EventId, Money, OrderId, TokenId, UserId};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::resend::Resend;

/// An event larger than this is not read at all; ours have well under a kilobyte.
pub const MAX_EVENT_BYTES: usize = 64 * 1024;

/// The events that something follows from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EventKind {
    /// An order was placed.
    OrderCreated,
    /// An order went on its way.
    OrderShipped,
    /// Somebody has forgotten their password.
    PasswordResetRequested,
    /// An address is to be shown to be its owner's.
    EmailVerificationRequested,
}

impl EventKind {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::OrderCreated,
        Self::OrderShipped,
        Self::PasswordResetRequested,
        Self::EmailVerificationRequested,
    ];

    /// Its type on the wire (PRD §5), `OrderCreated`.
    #[must_use]
    pub fn event_type(self) -> &'static str {
        match self {
            Self::OrderCreated => "OrderCreated",
            Self::OrderShipped => "OrderShipped",
            Self::PasswordResetRequested => "UserPasswordResetRequested",
            Self::EmailVerificationRequested => "UserEmailVerificationRequested",
        }
    }

    /// The event of this type on the wire.
    #[must_use]
    pub fn with_event_type(event_type: &str) -> Option<Self> {
        let mut all = Self::ALL.into_iter();
        all.find(|kind| kind.event_type() == event_type)
    }

    /// The type key of its notifications (PRD §4.3).
    #[must_use]
    pub fn type_key(self) -> &'static str {
        match self {
            Self::OrderCreated => "order_created",
            Self::OrderShipped => "order_shipped",
            Self::PasswordResetRequested => "password_reset",
            Self::EmailVerificationRequested => "email_verification",
        }
    }

    /// The event whose notifications have this type key.
    #[must_use]
    pub fn with_type_key(key: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.type_key() == key)
    }

    /// Whether it is about an order. The others are about accounts: their mails carry a one-time
    /// token, and no text goes out.
    #[must_use]
    pub fn is_about_order(self) -> bool {
        matches!(self, Self::OrderCreated | Self::OrderShipped)
    }
}

/// What an event is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// An order.
    Order(OrderId),
    /// An account, to whose address a one-time token is to be mailed: the token's id.
    Account(TokenId),
    /// A notification of an order that is wanted once more.
    Notification(Resend),
}

/// An event that was understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Its id: one notification a channel for each.
    pub id: EventId,
    /// What happened.
    pub kind: EventKind,
    /// To what.
    pub subject: Subject,
    /// Whose.
    pub user_id: UserId,
    /// When.
    pub occurred_at: Timestamp,
}

/// Why an event can never be worked on.
#[derive(Debug, thiserror::Error)]
pub enum Poison {
    /// It is too large.
    #[error("the event has {0} bytes")]
    TooLarge(usize),
    /// It is no JSON, or breaks the schema.
    #[error("the event does not follow the schema: {0}")]
    Schema(#[from] serde_json::Error),
    /// Nothing follows from this type.
    #[error("the event type {0:?} is unknown")]
    UnknownType(String),
    /// A later major version.
    #[error("the event version {0:?} cannot be read")]
    UnknownVersion(String),
}

#[expect(
    dead_code,
    reason = "fields that only have to be there and of the right type"
)]
#[derive(Deserialize)]
struct Region {
    city: String,
    #[serde(default)]
    state: Option<String>,
    country: String,
}

#[expect(
    dead_code,
    reason = "fields that only have to be there and of the right type"
)]
#[derive(Deserialize)]
struct Created {
    order_id: OrderId,
    user_id: UserId,
    status: String,
    total_amount: Money,
    currency: String,
    items_count: u32,
    shipping_address: Region,
}

#[expect(
    dead_code,
    reason = "fields that only have to be there and of the right type"
)]
#[derive(Deserialize)]
struct Shipped {
    order_id: OrderId,
    user_id: UserId,
    status: String,
    #[serde(with = "core_kernel::wire_time")]
    shipped_at: Timestamp,
    shipping_address: Region,
}

#[expect(
    dead_code,
    reason = "fields that only have to be there and of the right type"
)]
#[derive(Deserialize)]
struct TokenRequested {
    user_id: UserId,
    token_id: TokenId,
    #[serde(with = "core_kernel::wire_time")]
    expires_at: Timestamp,
}

impl TokenRequested {
    fn read(payload: &str) -> Result<(Subject, UserId), Poison> {
        let requested: Self = serde_json::from_str(payload)?;
        Ok((Subject::Account(requested.token_id), requested.user_id))
    }
}

impl Event {
    /// The order that it is about, if it is about one.
    #[must_use]
    pub fn order_id(&self) -> Option<OrderId> {
        match &self.subject {
            Subject::Order(id) => Some(*id),
            Subject::Account(_) => None,
            Subject::Notification(resend) => resend.order_id,
        }
    }

    /// Reads an event.
    ///
    /// # Errors
    /// Whatever makes it [`Poison`].
    pub fn parse(body: &[u8]) -> Result<Self, Poison> {
        if body.len() > MAX_EVENT_BYTES {
            return Err(Poison::TooLarge(body.len()));
        }
        let envelope: Envelope<&RawValue> = serde_json::from_slice(body)?;
        if !envelope.is_readable() {
            return Err(Poison::UnknownVersion(short(&envelope.version)));
        }
        let payload = envelope.payload.get();
        let event_type = &*envelope.event_type;
        let (kind, (subject, user_id)) = match EventKind::with_event_type(event_type) {
            Some(kind @ EventKind::OrderCreated) => {
                let created: Created = serde_json::from_str(payload)?;
                (kind, (Subject::Order(created.order_id), created.user_id))
            }
            Some(kind @ EventKind::OrderShipped) => {
                let shipped: Shipped = serde_json::from_str(payload)?;
                (kind, (Subject::Order(shipped.order_id), shipped.user_id))
            }
            Some(
                kind @ (EventKind::PasswordResetRequested | EventKind::EmailVerificationRequested),
            ) => (kind, TokenRequested::read(payload)?),
            None if event_type == Resend::EVENT_TYPE => {
                let resend: Resend = serde_json::from_str(payload)?;
                let kind = EventKind::with_type_key(&resend.type_key);
                // A mail with a token has its mask in store, and would go out with that.
                let kind = kind.filter(|kind| kind.is_about_order());
                let kind = kind.ok_or_else(|| Poison::UnknownType(short(&resend.type_key)))?;
                let user_id = resend.user_id;
                (kind, (Subject::Notification(resend), user_id))
            }
            None => return Err(Poison::UnknownType(short(event_type))),
        };
        Ok(Self {
            id: envelope.event_id,
            kind,
            subject,
            user_id,
            occurred_at: envelope.timestamp,
        })
    }
}

/// As much of a foreign word as an error message needs.
fn short(text: &str) -> String {
    text.chars().take(100).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{created_event, shipped_event, token_event};

    #[test]
    fn both_requests_for_a_token_are_read() {
        for (event_type, kind) in [
            (
                "UserPasswordResetRequested",
                EventKind::PasswordResetRequested,
            ),
            (
                "UserEmailVerificationRequested",
                EventKind::EmailVerificationRequested,
            ),
        ] {
            let json = token_event(event_type);
            let event = Event::parse(json.to_string().as_bytes()).unwrap();
            assert_eq!(event.kind, kind);
            let Subject::Account(token) = event.subject else {
                panic!("{event:?}");
            };
            assert_eq!(token.to_string(), json["payload"]["token_id"]);
            assert_eq!(event.user_id.to_string(), json["payload"]["user_id"]);
        }
    }

    #[test]
    fn both_events_of_the_prd_are_read() {
        for (json, kind) in [
            (created_event(), EventKind::OrderCreated),
            (shipped_event(), EventKind::OrderShipped),
        ] {
            let event = Event::parse(json.to_string().as_bytes()).unwrap();
            assert_eq!(event.kind, kind);
            let order = event.order_id().unwrap();
            assert_eq!(order.to_string(), json["payload"]["order_id"]);
            assert_eq!(event.id.to_string(), json["event_id"]);
        }
    }

    #[test]
    fn an_addition_to_the_schema_breaks_nothing() {
        let mut json = created_event();
        json["version"] = "1.7".into();
        json["payload"]["gift"] = true.into();
        json["payload"]["shipping_address"]["state"] = serde_json::Value::Null;
        assert!(Event::parse(json.to_string().as_bytes()).is_ok());
    }

    #[test]
    fn what_breaks_the_schema_is_poison() {
        let mut broken = vec!["".to_owned(), "hello".into(), "{}".into(), "[1]".into()];
        let mut with = |pointer: &str, value: serde_json::Value| {
            let mut json = created_event();
            *json.pointer_mut(pointer).unwrap() = value;
            broken.push(json.to_string());
        };
        with("/event_id", "no uuid".into());
        with("/event_type", "OrderLost".into());
        with("/version", "2.0".into());
        with("/payload/order_id", 7.into());
        with("/payload/total_amount", "a lot".into());
        with("/payload/items_count", (-1).into());
        with("/payload", serde_json::Value::Null);
        with("/timestamp", "yesterday".into());
        for body in broken {
            assert!(Event::parse(body.as_bytes()).is_err(), "{body}");
        }
        let large = vec![b' '; MAX_EVENT_BYTES + 1];
        assert!(matches!(Event::parse(&large), Err(Poison::TooLarge(_))));
    }
}
