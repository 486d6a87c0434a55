//! What the templates of a message and of the dead letters are given, and what all pages share.

use core_kernel::{OrderId, wire_time};
use core_notify::{DeadLetter, FaultKind, FaultRule, InboxAttempt, InboxFilter, InboxMessage};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::json::readable;
use super::view::href;

/// A time for machines, and for people without our script.
#[derive(Serialize)]
pub(super) struct Moment {
    iso: String,
    text: String,
}

impl From<Timestamp> for Moment {
    fn from(at: Timestamp) -> Self {
        Self {
            iso: wire_time::format(at),
            text: at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string(),
        }
    }
}

/// One message.
#[derive(Serialize)]
pub(super) struct MessageView<'a> {
    id: i64,
    channel: &'static str,
    to: &'a str,
    subject: Option<&'a str>,
    text: &'a str,
    is_mail: bool,
    all_to: String,
    order_id: Option<OrderId>,
    number: Option<String>,
    notification_id: String,
    at: Moment,
    newer: Option<i64>,
    older: Option<i64>,
    attempts: Vec<AttemptView>,
}

impl<'a> MessageView<'a> {
    pub(super) fn new(
        message: &'a InboxMessage,
        attempts: &[InboxAttempt],
        newer: Option<i64>,
        older: Option<i64>,
    ) -> Self {
        Self {
            id: message.id,
            channel: message.channel.as_str(),
            to: &message.to,
            subject: message.subject.as_deref(),
            text: &message.text,
            is_mail: message.html.is_some(),
            all_to: href(&InboxFilter {
                to: Some(message.to.clone()),
                ..InboxFilter::default()
            }),
            order_id: message.order_id,
            number: message.order_id.map(|id| id.number()),
            notification_id: message.notification_id.to_string(),
            at: message.created_at.into(),
            newer,
            older,
            attempts: attempts.iter().map(AttemptView::new).collect(),
        }
    }
}

/// An attempt to send.
#[derive(Serialize)]
pub(super) struct AttemptView {
    notification_id: String,
    channel: &'static str,
    order_id: Option<OrderId>,
    number: Option<String>,
    fault: Option<&'static str>,
    at: Moment,
}

impl AttemptView {
    pub(super) fn new(attempt: &InboxAttempt) -> Self {
        Self {
            notification_id: attempt.notification_id.to_string(),
            channel: attempt.channel.as_str(),
            order_id: attempt.order_id,
            number: attempt.order_id.map(|id| id.number()),
            fault: attempt.fault.map(FaultKind::as_str),
            at: attempt.at.into(),
        }
    }
}

/// A fault that is set.
#[derive(Serialize)]
pub(super) struct RuleView<'a> {
    channel: &'static str,
    kind: &'static str,
    count: Option<u32>,
    to: Option<&'a str>,
}

impl<'a> RuleView<'a> {
    pub(super) fn new(rule: &'a FaultRule) -> Self {
        Self {
            channel: rule.channel.as_str(),
            kind: rule.kind.as_str(),
            count: rule.count,
            to: rule.to.as_deref(),
        }
    }
}

/// The page of the dead letters.
#[derive(Serialize)]
pub(super) struct DeadLettersView<'a> {
    total: u64,
    shown: usize,
    letters: Vec<DeadView<'a>>,
}

impl<'a> DeadLettersView<'a> {
    pub(super) fn new(letters: &'a [DeadLetter], total: u64) -> Self {
        Self {
            // Read at another moment, so it may have fallen behind.
            total: total.max(letters.len() as u64),
            shown: letters.len(),
            letters: letters.iter().map(DeadView::new).collect(),
        }
    }
}

/// An event that was given up.
#[derive(Serialize)]
pub(super) struct DeadView<'a> {
    queue: &'a str,
    message_id: &'a str,
    event_type: Option<&'a str>,
    class: &'a str,
    reason: &'a str,
    attempts: u32,
    channels: Vec<&'static str>,
    order_id: Option<OrderId>,
    number: Option<String>,
    first_failed: Moment,
    failed: Moment,
    body: String,
}

impl<'a> DeadView<'a> {
    pub(super) fn new(letter: &'a DeadLetter) -> Self {
        let order_id = order_of(&letter.body);
        Self {
            queue: &letter.queue,
            message_id: &letter.message_id,
            event_type: letter.event_type.as_deref(),
            class: &letter.class,
            reason: &letter.reason,
            attempts: letter.attempts,
            channels: letter.channels.iter().map(|c| c.as_str()).collect(),
            order_id,
            number: order_id.map(|id| id.number()),
            first_failed: letter.first_failed_at.into(),
            failed: letter.failed_at.into(),
            body: readable(&letter.body),
        }
    }
}

/// The order that an event is about, if it can be read.
fn order_of(body: &[u8]) -> Option<OrderId> {
    #[derive(Deserialize)]
    struct Event {
        payload: Payload,
    }
    #[derive(Deserialize)]
    struct Payload {
        order_id: OrderId,
    }
    let event: Event = serde_json::from_slice(body).ok()?;
    Some(event.payload.order_id)
}
