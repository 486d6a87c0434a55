//! For tests of this core, of its adapters, and of adapters that others write.

pub mod archive;
pub mod bus;
pub mod contract;
pub mod dead_letter_log;
pub mod ledger;
pub mod retention;

use core_kernel::{Clock, EventId, NotificationId, OrderId, SystemClock, TokenId, UserId};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::message::{Contact, OrderDetails};
use crate::notification::{Channel, Content, Draft};
use crate::ports::{Attempt, AttemptOutcome, Job, NotificationStore};
use crate::sample::Sample;
use crate::template::Links;

/// `OrderCreated` as the PRD shows it (§5.1), with an id of its own.
#[must_use]
pub fn created_event() -> Value {
    json!({
        "event_id": EventId::generate(),
        "event_type": "OrderCreated",
        "timestamp": "2026-02-17T11:00:00.000Z",
        "version": "1.0",
        "payload": {
            "order_id": "b2c3d4e5-f6a7-8901-bcde-f12345678901",
            "user_id": "a1b2c3d4-e5f6-7890-abcd-ef1234567890",
            "status": "pending",
            "total_amount": 112.97,
            "currency": "USD",
            "items_count": 2,
            "shipping_address": { "city": "Springfield", "state": "IL", "country": "US" }
        }
    })
}

/// `OrderShipped` as the PRD shows it (§5.2), with an id of its own.
#[must_use]
pub fn shipped_event() -> Value {
    json!({
        "event_id": EventId::generate(),
        "event_type": "OrderShipped",
        "timestamp": "2026-02-18T09:30:00.000Z",
        "version": "1.0",
        "payload": {
            "order_id": "b2c3d4e5-f6a7-8901-bcde-f12345678901",
            "user_id": "a1b2c3d4-e5f6-7890-abcd-ef1234567890",
            "status": "shipped",
            "shipped_at": "2026-02-18T09:30:00.000Z",
            "shipping_address": { "city": "Springfield", "state": "IL", "country": "US" }
        }
    })
}

/// A request for a one-time token of this type, with ids of its own.
#[must_use]
pub fn token_event(event_type: &str) -> Value {
    json!({
        "event_id": EventId::generate(),
        "event_type": event_type,
        "timestamp": "2026-02-17T11:00:00.000Z",
        "version": "1.0",
        "payload": {
            "user_id": "a1b2c3d4-e5f6-7890-abcd-ef1234567890",
            "token_id": TokenId::generate(),
            "expires_at": "2026-02-17T11:30:00.000Z"
        }
    })
}

/// Pages for one-time tokens.
#[must_use]
pub fn links() -> Links {
    Sample::usual().links
}

/// The order of the PRD's example (§4.2), shipped.
#[must_use]
pub fn order() -> OrderDetails {
    Sample::usual().order
}

/// The user of the PRD's example (§4.1).
#[must_use]
pub fn contact() -> Contact {
    Sample::usual().contact
}

/// A notification of `event` for `user`.
#[must_use]
pub fn draft(event: EventId, user: UserId, channel: Channel) -> Draft {
    let mail = channel == Channel::Email;
    Draft {
        id: NotificationId::generate(),
        event_id: event,
        user_id: user,
        order_id: Some(OrderId::generate()),
        channel,
        type_key: "order_created",
        recipient: if mail {
            "jane.doe@example.com"
        } else {
            "+15551234567"
        }
        .into(),
        content: Content {
            subject: mail.then(|| "Order Confirmation - #b2c3d4e5".into()),
            body: format!("body of {event}"),
            plain: mail.then(|| "plain".into()),
        },
        created_at: SystemClock.now(),
        resent: None,
    }
}

/// Records that a mail was sent at its first attempt.
pub async fn mark_sent(
    store: &dyn NotificationStore,
    id: NotificationId,
    provider_ref: &str,
    at: Timestamp,
) {
    let job = Job {
        id,
        channel: Channel::Email,
        recipient: "".into(),
        content: Content {
            subject: None,
            body: String::new(),
            plain: None,
        },
        claim: 1,
        maybe_sent: false,
    };
    let attempt = Attempt {
        number: job.claim,
        began_at: at,
        ended_at: Some(at),
        outcome: AttemptOutcome::Sent,
        provider_ref: Some(provider_ref.to_owned()),
        reason: None,
    };
    store.mark_sent(&job, &attempt).await;
}
