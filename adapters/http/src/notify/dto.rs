//! Bodies of the notification service.

use core_kernel::{NotificationId, OrderId, UserId, wire_time};
use core_notify::{Attempt, Notification, Summary};
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::openapi::words;
use crate::orders::Walk;

/// Answer to `GET /notifications`.
#[derive(Serialize, ToSchema)]
#[schema(as = NotificationList)]
pub(super) struct List<'a> {
    data: Vec<SummaryDto<'a>>,
    pagination: Walk,
}

#[derive(Serialize, ToSchema)]
#[schema(as = NotificationSummary)]
pub(crate) struct SummaryDto<'a> {
    id: NotificationId,
    user_id: UserId,
    #[schema(required)]
    order_id: Option<OrderId>,
    #[schema(schema_with = words::channel)]
    channel: &'static str,
    r#type: &'a str,
    recipient: &'a str,
    #[schema(required)]
    subject: Option<&'a str>,
    #[schema(schema_with = words::notification_status)]
    status: &'static str,
    #[serde(with = "wire_time::option")]
    #[schema(schema_with = wire_time::option::schema, required)]
    sent_at: Option<Timestamp>,
    #[serde(with = "wire_time")]
    #[schema(schema_with = wire_time::schema)]
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
            recipient: summary.recipient.as_str(),
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
#[derive(Serialize, ToSchema)]
#[schema(as = Notification)]
pub(crate) struct NotificationDto<'a> {
    #[serde(flatten)]
    summary: SummaryDto<'a>,
    body: &'a str,
    #[schema(required)]
    provider_ref: Option<&'a str>,
    #[schema(required)]
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
#[derive(Serialize, ToSchema)]
#[schema(as = AttemptList)]
pub(super) struct Attempts<'a> {
    data: Vec<AttemptDto<'a>>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = Attempt)]
pub(crate) struct AttemptDto<'a> {
    number: u32,
    #[serde(with = "wire_time")]
    #[schema(schema_with = wire_time::schema)]
    began_at: Timestamp,
    #[serde(with = "wire_time::option")]
    #[schema(schema_with = wire_time::option::schema, required)]
    ended_at: Option<Timestamp>,
    #[schema(schema_with = words::outcome)]
    outcome: &'static str,
    #[schema(required)]
    provider_ref: Option<&'a str>,
    #[schema(required)]
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
