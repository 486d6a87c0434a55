//! Bodies of the notification service.

use core_kernel::{NotificationId, OrderId, UserId, wire_time};
use core_notify::{Attempt, Notification, Summary};
use jiff::Timestamp;
use serde::Serialize;

use crate::orders::Walk;

/// Answer to `GET /notifications`.
#[derive(Serialize)]
pub(super) struct List<'a> {
    data: Vec<SummaryDto<'a>>,
    pagination: Walk,
}

#[derive(Serialize)]
pub(crate) struct SummaryDto<'a> {
    id: NotificationId,
    user_id: UserId,
    order_id: Option<OrderId>,
    channel: &'static str,
    r#type: &'a str,
    recipient: &'a str,
    subject: Option<&'a str>,
    status: &'static str,
    #[serde(with = "wire_time::option")]
    sent_at: Option<Timestamp>,
    #[serde(with = "wire_time")]
    created_at: Timestamp,
}

impl<'a> From<&'a Summary> for SummaryDto<'a> {
    fn from(summary: &'a Summary) -> Self {
        Self {
            id: summary.id,
            user_id: summary.user_id,
            order_id: summary.order_id,
            channel: summary.channel.as_str(),
            r#type: &summary.type_key,
            recipient: &summary.recipient,
            subject: summary.subject.as_deref(),
            status: summary.status.as_str(),
            sent_at: summary.sent_at,
            created_at: summary.created_at,
        }
    }
}

impl<'a> List<'a> {
    pub(super) fn new(items: &'a [Summary], pagination: Walk) -> Self {
        Self {
            data: items.iter().map(SummaryDto::from).collect(),
            pagination,
        }
    }
}

/// Answer to `GET /notifications/{id}`.
#[derive(Serialize)]
pub(crate) struct NotificationDto<'a> {
    #[serde(flatten)]
    summary: SummaryDto<'a>,
    body: &'a str,
    provider_ref: Option<&'a str>,
    error_message: Option<&'a str>,
}

impl<'a> From<&'a Notification> for NotificationDto<'a> {
    fn from(notification: &'a Notification) -> Self {
        Self {
            summary: SummaryDto::from(&notification.summary),
            body: &notification.body,
            provider_ref: notification.provider_ref.as_deref(),
            error_message: notification.error_message.as_deref(),
        }
    }
}

/// Answer to `GET /notifications/{id}/attempts`.
#[derive(Serialize)]
pub(super) struct Attempts<'a> {
    data: Vec<AttemptDto<'a>>,
}

#[derive(Serialize)]
pub(crate) struct AttemptDto<'a> {
    number: u32,
    #[serde(with = "wire_time")]
    began_at: Timestamp,
    #[serde(with = "wire_time::option")]
    ended_at: Option<Timestamp>,
    outcome: &'static str,
    provider_ref: Option<&'a str>,
    reason: Option<&'a str>,
}

impl<'a> From<&'a Attempt> for AttemptDto<'a> {
    fn from(attempt: &'a Attempt) -> Self {
        Self {
            number: attempt.number,
            began_at: attempt.began_at,
            ended_at: attempt.ended_at,
            outcome: attempt.outcome.as_str(),
            provider_ref: attempt.provider_ref.as_deref(),
            reason: attempt.reason.as_deref(),
        }
    }
}

impl<'a> From<&'a [Attempt]> for Attempts<'a> {
    fn from(attempts: &'a [Attempt]) -> Self {
        Self {
            data: attempts.iter().map(AttemptDto::from).collect(),
        }
    }
}
