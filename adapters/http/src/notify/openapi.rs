//! What the notification service answers, for its document.

use http::StatusCode;
use serde_json::{Value, json};

use super::dto::{Attempts, List, NotificationDto};
use crate::error::codes;
use crate::openapi::{Access, Document, Operation, shapes, words};

/// The document of the notification service.
pub(crate) static DOCUMENT: Document = Document::new(
    "ShopFlow notifications",
    "Tells of the mails and texts that followed from orders and accounts.",
    operations,
);

fn operations() -> Vec<Operation> {
    let call = |path, id, summary| {
        Operation::new(("GET", path), ("Notifications", id), summary).by(Access::Anyone)
    };
    vec![
        call("/notifications", "listNotifications", "Lists notifications")
            .about("Newest first, without their bodies.")
            .walk()
            .query(
                "channel",
                json!(words::channel()),
                "Only mails, or only texts.",
            )
            .query("order_id", shapes::uuid(), "Only those of this order.")
            .query(
                "type",
                shapes::text(100),
                "Only these, such as `order_created`.",
            )
            .query(
                "status",
                json!(words::notification_status()),
                "Only those that have come so far.",
            )
            .scope()
            .answers::<List<'_>>(StatusCode::OK, "A part of the list.", &list()),
        call(
            "/notifications/{id}",
            "getNotification",
            "Tells of a notification",
        )
        .about("For whom it went to, admins and services; for others there is none.")
        .id("notification")
        .answers::<NotificationDto<'_>>(
            StatusCode::OK,
            "The notification.",
            &notification(),
        ),
        call(
            "/notifications/{id}/attempts",
            "listAttempts",
            "Tells how it was tried to send it",
        )
        .about("Oldest first. For admins and services.")
        .id("notification")
        .answers::<Attempts<'_>>(StatusCode::OK, "The calls of the provider.", &attempts())
        .refuses([&codes::FORBIDDEN]),
    ]
}

fn summary() -> Value {
    json!({
        "id": "0190f3a1-7c2e-7b1a-9d3e-2f4a6b8c0d1e",
        "user_id": "a1b2c3d4-e5f6-4890-abcd-ef1234567890",
        "order_id": "b2c3d4e5-f6a7-4901-bcde-f12345678901",
        "channel": "email",
        "type": "order_created",
        "recipient": "jane.doe@example.com",
        "subject": "Order Confirmation - #b2c3d4e5",
        "status": "sent",
        "sent_at": "2026-02-17T11:00:01.250Z",
        "created_at": "2026-02-17T11:00:00.900Z",
    })
}

fn list() -> Value {
    json!({
        "data": [summary()],
        "pagination": { "page": 1, "limit": 20, "total_items": 1, "total_pages": 1, "next_cursor": null },
    })
}

fn notification() -> Value {
    let mut notification = summary();
    notification["body"] = json!("<!doctype html><p>Your order #b2c3d4e5 has been placed.</p>");
    notification["provider_ref"] = json!("0100018f-6b2a-7c3d");
    notification["error_message"] = Value::Null;
    notification
}

fn attempts() -> Value {
    json!({ "data": [{
        "number": 1,
        "began_at": "2026-02-17T11:00:01.000Z",
        "ended_at": "2026-02-17T11:00:01.250Z",
        "outcome": "sent",
        "provider_ref": "0100018f-6b2a-7c3d",
        "reason": null,
    }] })
}
