//! What the order service answers, for its document.

use core_kernel::schema::words;
use core_orders::OrderStatus;
use http::StatusCode;
use serde_json::{Value, json};
use utoipa::PartialSchema;

use super::dto::{History, List, OrderDto, Transitioned};
use super::list::{DIRECTIONS, FIELDS, field};
use super::{KEY, shape};
use crate::error::codes;
use crate::openapi::{Access, Document, Operation};

/// The document of the order service.
pub(crate) static DOCUMENT: Document = Document::new(
    "ShopFlow orders",
    "Places orders, and moves them through their states: `pending`, `confirmed`, `shipped`, \
     `delivered`, each followed by the next one and no other.",
    operations,
);

fn operations() -> Vec<Operation> {
    let call = |at, id, summary| Operation::new(at, ("Orders", id), summary).limited();
    vec![
        call(("POST", "/orders"), "placeOrder", "Places an order")
            .about(
                "For customers and admins. With an `Idempotency-Key`, the same request sent again \
                 within 24 hours gets the same answer and makes nothing new. Only orders that were \
                 placed are remembered: a request that failed may be sent again with its key.",
            )
            .by(Access::Users)
            .header(
                KEY,
                json!({ "type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[ -~]+$" }),
                "The client's own name for this request.",
            )
            .reads("NewOrder", shape::new_order(), &new_order())
            .answers::<OrderDto<'_>>(StatusCode::CREATED, "The order.", &order("pending"))
            .telling(StatusCode::CREATED, "Location")
            .telling(StatusCode::CREATED, "Idempotent-Replayed")
            .refuses([
                &codes::FORBIDDEN,
                &codes::REQUEST_IN_PROGRESS,
                &codes::IDEMPOTENCY_KEY_REUSED,
            ]),
        list(call(("GET", "/orders"), "listOrders", "Lists orders")),
        call(("GET", "/orders/{id}"), "getOrder", "Tells of an order")
            .about("For its owner, admins and services.")
            .by(Access::Anyone)
            .id("order")
            .answers::<OrderDto<'_>>(StatusCode::OK, "The order.", &order("shipped"))
            .refuses([&codes::FORBIDDEN]),
        call(("PATCH", "/orders/{id}/status"), "moveOrder", "Moves an order to its next state")
            .about("For admins. Of two who do it at the same time, one is told 409 or 400.")
            .by(Access::Users)
            .id("order")
            .reads("OrderStatusChange", shape::transition(), &json!({ "status": "confirmed" }))
            .answers::<Transitioned>(StatusCode::OK, "The new state, with its own time.", &moved())
            .refuses([
                &codes::FORBIDDEN,
                &codes::INVALID_TRANSITION,
                &codes::ALREADY_IN_STATE,
            ]),
        call(("GET", "/orders/{id}/history"), "getOrderHistory", "Tells how an order moved")
            .about("Oldest first. For its owner, admins and services.")
            .by(Access::Anyone)
            .id("order")
            .answers::<History<'_>>(StatusCode::OK, "Its steps.", &history())
            .refuses([&codes::FORBIDDEN]),
    ]
}

fn list(operation: Operation) -> Operation {
    operation
        .about("Newest first unless told. Of equal ones the id decides, so that none is missed.")
        .by(Access::Anyone)
        .walk()
        .query("status", json!(OrderStatus::schema()), "Only those in it.")
        .query(
            "sort_by",
            json!(words(FIELDS.map(field))),
            "`created_at` unless told.",
        )
        .query("sort_dir", json!(words(DIRECTIONS)), "`desc` unless told.")
        .scope()
        .answers::<List>(StatusCode::OK, "A part of the list.", &summaries())
}

fn new_order() -> Value {
    json!({
        "items": [
            { "product_id": "f47ac10b-58cc-4372-a567-0e02b2c3d479", "product_name": "Wireless Headphones", "quantity": 2, "unit_price": 49.99 },
            { "product_id": "6ba7b810-9dad-11d1-80b4-00c04fd430c8", "product_name": "USB-C Cable", "quantity": 1, "unit_price": "12.99" },
        ],
        "shipping_address": { "street": "742 Evergreen Terrace", "city": "Springfield", "state": "IL", "zip_code": "62704", "country": "US" },
        "currency": "USD",
        "notes": "Please leave at the front door.",
    })
}

fn order(status: &str) -> Value {
    let later = |at: &str| match status {
        "pending" => Value::Null,
        _ => json!(at),
    };
    json!({
        "id": "b2c3d4e5-f6a7-4901-bcde-f12345678901",
        "user_id": "a1b2c3d4-e5f6-4890-abcd-ef1234567890",
        "status": status,
        "items": [
            { "product_id": "f47ac10b-58cc-4372-a567-0e02b2c3d479", "product_name": "Wireless Headphones", "quantity": 2, "unit_price": 49.99, "subtotal": 99.98 },
            { "product_id": "6ba7b810-9dad-11d1-80b4-00c04fd430c8", "product_name": "USB-C Cable", "quantity": 1, "unit_price": 12.99, "subtotal": 12.99 },
        ],
        "shipping_address": { "street": "742 Evergreen Terrace", "city": "Springfield", "state": "IL", "zip_code": "62704", "country": "US" },
        "total_amount": 112.97,
        "currency": "USD",
        "notes": "Please leave at the front door.",
        "confirmed_at": later("2026-02-17T14:00:00.000Z"),
        "shipped_at": later("2026-02-18T09:30:00.000Z"),
        "delivered_at": null,
        "created_at": "2026-02-17T11:00:00.000Z",
        "updated_at": match status {
            "pending" => "2026-02-17T11:00:00.000Z",
            _ => "2026-02-18T09:30:00.000Z",
        },
    })
}

fn summaries() -> Value {
    json!({
        "data": [{
            "id": "b2c3d4e5-f6a7-4901-bcde-f12345678901",
            "status": "pending",
            "total_amount": 112.97,
            "currency": "USD",
            "created_at": "2026-02-17T11:00:00.000Z",
        }],
        "pagination": { "page": 1, "limit": 20, "total_items": 1, "total_pages": 1, "next_cursor": null },
    })
}

fn moved() -> Value {
    json!({
        "id": "b2c3d4e5-f6a7-4901-bcde-f12345678901",
        "status": "confirmed",
        "confirmed_at": "2026-02-17T14:00:00.000Z",
        "updated_at": "2026-02-17T14:00:00.000Z",
    })
}

fn history() -> Value {
    json!({ "data": [{
        "from": null,
        "to": "pending",
        "actor": { "id": "a1b2c3d4-e5f6-4890-abcd-ef1234567890", "role": "customer" },
        "at": "2026-02-17T11:00:00.000Z",
        "request_id": "0190f3a1-7c2e-7b1a-9d3e-2f4a6b8c0d1e",
    }] })
}
