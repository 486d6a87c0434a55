//! Between services: one golden example a call or event. The provider must produce it, the consumer
//! must read it; so neither can change alone.

use std::collections::BTreeMap;
use std::path::Path;

use core_notify::{Contact, Event, EventKind, OrderDetails, Subject};
use serde_json::Value;

use crate::world::{Backend, SOON, World};

back_ends! {
    both:
        providers_produce_what_the_contracts_show;
}

fn golden(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../tests/contracts")
        .join(name);
    let text = std::fs::read_to_string(&path).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// The shape of a document: every field with the type of its value.
fn shape(value: &Value, at: &str, found: &mut BTreeMap<String, &'static str>) {
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(items) => {
            items
                .iter()
                .for_each(|item| shape(item, &format!("{at}/*"), found));
            "array"
        }
        Value::Object(fields) => {
            fields
                .iter()
                .for_each(|(name, value)| shape(value, &format!("{at}/{name}"), found));
            "object"
        }
    };
    found.insert(at.to_owned(), kind);
}

#[track_caller]
fn assert_same_shape(name: &str, produced: &Value) {
    let (mut expected, mut actual) = (BTreeMap::new(), BTreeMap::new());
    shape(&golden(name), "", &mut expected);
    shape(produced, "", &mut actual);
    assert_eq!(actual, expected, "{name}");
}

async fn providers_produce_what_the_contracts_show(on: Backend) {
    let world = World::start(on).await;
    let jane = world.customer("jane").await;
    let admin = world.admin().await;
    let mut tap = world.events().await;
    let validated = world
        .auth
        .with_token(&jane.access)
        .post("/auth/validate", &Value::Null)
        .await;
    assert_same_shape("auth-validate.json", &validated.json());
    let user = world
        .auth
        .with_token(&jane.access)
        .get(&format!("/auth/users/{}", jane.id))
        .await;
    assert_same_shape("auth-user.json", &user.json());
    let order = world.place(&jane).await;
    let id = order["id"].as_str().unwrap();
    world.advance(&admin, id, &["confirmed", "shipped"]).await;
    let shipped = world
        .orders
        .with_token(&jane.access)
        .get(&format!("/orders/{id}"))
        .await;
    assert_same_shape("order.json", &shipped.json());
    let events = tap.collect(2, SOON).await;
    assert_same_shape("event-order-created.json", &events[0].json());
    assert_same_shape("event-order-shipped.json", &events[1].json());
}

#[test]
fn consumers_read_what_the_contracts_show() {
    let order = golden("order.json").to_string();
    let order: OrderDetails = serde_json::from_str(&order).unwrap();
    assert_eq!(order.total_amount.to_string(), "112.97");
    let contact: Contact = serde_json::from_value(golden("auth-user.json")).unwrap();
    assert_eq!(contact.email, "jane.doe@example.com");
    for name in [
        "event-order-created.json",
        "event-order-shipped.json",
        "event-notification-resend-requested.json",
    ] {
        let event = Event::parse(golden(name).to_string().as_bytes()).unwrap();
        assert_eq!(event.order_id(), Some(order.id));
    }
    for (name, kind) in [
        (
            "event-password-reset-requested.json",
            EventKind::PasswordResetRequested,
        ),
        (
            "event-email-verification-requested.json",
            EventKind::EmailVerificationRequested,
        ),
    ] {
        let golden = golden(name);
        let event = Event::parse(golden.to_string().as_bytes()).unwrap();
        assert_eq!(event.kind, kind);
        let Subject::Account(token) = event.subject else {
            panic!("{name} is about {:?}", event.subject);
        };
        assert_eq!(
            token.to_string(),
            golden["payload"]["token_id"].as_str().unwrap()
        );
    }
}
