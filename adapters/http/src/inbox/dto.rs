//! JSON of the inbox.

use std::borrow::Cow;

use core_kernel::{NotificationId, OrderId, wire_time};
use core_notify::{DeadLetter, FaultKind, FaultRule, InboxAttempt, InboxMessage};
use jiff::Timestamp;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use super::Overview;

/// A list of anything.
#[derive(Serialize)]
pub(super) struct List<T> {
    data: Vec<T>,
}

impl<T> List<T> {
    pub(super) fn of<'a, S>(items: &'a [S]) -> Self
    where
        T: From<&'a S>,
    {
        Self {
            data: items.iter().map(T::from).collect(),
        }
    }
}

/// A message. Its number is text, as every id is on the wire.
#[derive(Serialize)]
pub(super) struct MessageDto<'a> {
    id: String,
    notification_id: NotificationId,
    channel: &'static str,
    to: &'a str,
    subject: Option<&'a str>,
    text: &'a str,
    html: Option<&'a str>,
    order_id: Option<OrderId>,
    #[serde(with = "wire_time")]
    created_at: Timestamp,
}

impl<'a> From<&'a InboxMessage> for MessageDto<'a> {
    fn from(message: &'a InboxMessage) -> Self {
        Self {
            id: message.id.to_string(),
            notification_id: message.notification_id,
            channel: message.channel.as_str(),
            to: &message.to,
            subject: message.subject.as_deref(),
            text: &message.text,
            html: message.html.as_deref(),
            order_id: message.order_id,
            created_at: message.created_at,
        }
    }
}

/// An attempt; `fault` is `null` for one that was taken.
#[derive(Serialize)]
pub(super) struct AttemptDto {
    notification_id: NotificationId,
    order_id: Option<OrderId>,
    channel: &'static str,
    fault: Option<&'static str>,
    #[serde(with = "wire_time")]
    at: Timestamp,
}

impl From<&InboxAttempt> for AttemptDto {
    fn from(attempt: &InboxAttempt) -> Self {
        Self {
            notification_id: attempt.notification_id,
            order_id: attempt.order_id,
            channel: attempt.channel.as_str(),
            fault: attempt.fault.map(FaultKind::as_str),
            at: attempt.at,
        }
    }
}

/// A fault that attempts are to meet.
#[derive(Serialize)]
pub(super) struct RuleDto<'a> {
    channel: &'static str,
    kind: &'static str,
    count: Option<u32>,
    to: Option<&'a str>,
}

impl<'a> From<&'a FaultRule> for RuleDto<'a> {
    fn from(rule: &'a FaultRule) -> Self {
        Self {
            channel: rule.channel.as_str(),
            kind: rule.kind.as_str(),
            count: rule.count,
            to: rule.to.as_deref(),
        }
    }
}

/// An event that was given up: parsed where it can be, and as the text that it was.
#[derive(Serialize)]
pub(super) struct DeadLetterDto<'a> {
    queue: &'a str,
    message_id: &'a str,
    event_type: Option<&'a str>,
    event: Option<&'a RawValue>,
    body: Cow<'a, str>,
    error_class: &'a str,
    error_message: &'a str,
    attempts: u32,
    #[serde(with = "wire_time")]
    first_failed_at: Timestamp,
    #[serde(with = "wire_time")]
    failed_at: Timestamp,
    failed_channels: Vec<&'static str>,
}

impl<'a> From<&'a DeadLetter> for DeadLetterDto<'a> {
    fn from(letter: &'a DeadLetter) -> Self {
        Self {
            queue: &letter.queue,
            message_id: &letter.message_id,
            event_type: letter.event_type.as_deref(),
            event: serde_json::from_slice(&letter.body).ok(),
            body: String::from_utf8_lossy(&letter.body),
            error_class: &letter.class,
            error_message: &letter.reason,
            attempts: letter.attempts,
            first_failed_at: letter.first_failed_at,
            failed_at: letter.failed_at,
            failed_channels: letter.channels.iter().map(|c| c.as_str()).collect(),
        }
    }
}

/// The figures beside the list.
#[derive(Serialize)]
pub(super) struct OverviewDto<'a> {
    #[serde(serialize_with = "as_map")]
    orders: &'a [(&'static str, u64)],
    outbox_waiting: u64,
    bus_waiting: u64,
    bus_retrying: u64,
    dead_letters: u64,
}

impl<'a> From<&'a Overview> for OverviewDto<'a> {
    fn from(overview: &'a Overview) -> Self {
        Self {
            orders: &overview.orders,
            outbox_waiting: overview.outbox_waiting,
            bus_waiting: overview.bus_waiting,
            bus_retrying: overview.bus_retrying,
            dead_letters: overview.dead_letters,
        }
    }
}

/// Keeps the order of the states, which a map of `serde_json` would not.
fn as_map<S: Serializer>(orders: &[(&'static str, u64)], to: S) -> Result<S::Ok, S::Error> {
    to.collect_map(orders.iter().copied())
}
