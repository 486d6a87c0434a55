//! Things as the services' answers show them, for others who tell of the same: one shape everywhere.

use core_auth::{AuditEntry, User};
use core_notify::{Attempt, Notification, Summary};
use core_orders::{HistoryEntry, Order, OrderSummary};
use serde::Serialize;

use crate::auth::dto::{AuditDto, Profile};
use crate::notify::dto::{AttemptDto, NotificationDto, SummaryDto};
use crate::orders::dto::{EntryDto, OrderDto, SummaryDto as OrderSummaryDto};

/// A user, as `GET /auth/users/{id}` tells.
#[must_use]
pub fn user(user: &User) -> impl Serialize {
    Profile::from(user)
}

/// An entry of `GET /auth/users/{id}/audit`.
#[must_use]
pub fn audit_entry(entry: &AuditEntry) -> impl Serialize {
    AuditDto::from(entry)
}

/// An order, as `GET /orders/{id}` tells.
#[must_use]
pub fn order(order: &Order) -> impl Serialize {
    OrderDto::from(order)
}

/// An order of `GET /orders`.
#[must_use]
pub fn order_summary(order: &OrderSummary) -> impl Serialize + use<> {
    OrderSummaryDto::from(order)
}

/// An entry of `GET /orders/{id}/history`.
#[must_use]
pub fn history_entry(entry: &HistoryEntry) -> impl Serialize {
    EntryDto::from(entry)
}

/// A notification, as `GET /notifications/{id}` tells.
#[must_use]
pub fn notification(notification: &Notification) -> impl Serialize {
    NotificationDto::from(notification)
}

/// A notification of `GET /notifications`.
#[must_use]
pub fn notification_summary(summary: &Summary) -> impl Serialize {
    SummaryDto::from(summary)
}

/// An attempt of `GET /notifications/{id}/attempts`.
#[must_use]
pub fn attempt(attempt: &Attempt) -> impl Serialize {
    AttemptDto::from(attempt)
}
