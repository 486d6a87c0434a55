//! The document of the events (AsyncAPI 3.0), made from the types that are sent and the names that
//! are declared.

use std::collections::BTreeMap;

use core_auth::{OneTimeRequested, Purpose};
use core_kernel::Envelope;
use core_notify::{ORDER_EVENTS, USER_EVENTS, WORK_QUEUES};
use core_orders::{OrderCreated, OrderShipped};
use serde_json::{Map, Value, json};
use utoipa::{PartialSchema, ToSchema};

/// The document of all events: AsyncAPI 3.0 as JSON, the same text every time.
#[must_use]
pub fn asyncapi() -> String {
    format!("{:#}\n", document())
}

/// One kind of event.
struct Kind {
    event_type: &'static str,
    exchange: &'static str,
    routing_key: &'static str,
    summary: &'static str,
    payload: Value,
    example: &'static str,
}

fn document() -> Value {
    let mut schemas = BTreeMap::new();
    let kinds = kinds(&mut schemas);
    let channels: Map<String, Value> = kinds.iter().map(channel).collect();
    let operations: Map<String, Value> = kinds.iter().flat_map(operations).collect();
    let messages: Map<String, Value> = kinds.iter().map(message).collect();
    json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "ShopFlow events",
            "version": Envelope::<()>::VERSION,
            "description": "What happened to orders and accounts, on RabbitMQ. `event_id` is the same \
                however often an event is published, so a reader does its work once for each. Events \
                of one order come in the order in which they happened. New fields may come at any \
                time under the same major version; readers pass over what they do not know.",
            "license": { "name": "MIT", "url": "https://opensource.org/license/mit" },
        },
        "defaultContentType": "application/json",
        "channels": channels,
        "operations": operations,
        "components": { "messages": messages, "schemas": schemas },
    })
}

fn kinds(schemas: &mut BTreeMap<String, Value>) -> [Kind; 4] {
    // Those in the envelope itself; each payload brings its own.
    let mut found = Vec::new();
    <Envelope<OneTimeRequested> as ToSchema>::schemas(&mut found);
    schemas.extend(found.into_iter().map(|(name, shape)| (name, json!(shape))));
    let requested = schema_of::<OneTimeRequested>(schemas);
    let account = |purpose: Purpose, summary, example| Kind {
        event_type: purpose.event_type(),
        exchange: USER_EVENTS,
        routing_key: purpose.routing_key(),
        summary,
        payload: requested.clone(),
        example,
    };
    [
        Kind {
            event_type: OrderCreated::EVENT_TYPE,
            exchange: ORDER_EVENTS,
            routing_key: OrderCreated::ROUTING_KEY,
            summary: "An order was placed",
            payload: schema_of::<OrderCreated>(schemas),
            example: include_str!("../../../tests/contracts/event-order-created.json"),
        },
        Kind {
            event_type: OrderShipped::EVENT_TYPE,
            exchange: ORDER_EVENTS,
            routing_key: OrderShipped::ROUTING_KEY,
            summary: "An order went on its way",
            payload: schema_of::<OrderShipped>(schemas),
            example: include_str!("../../../tests/contracts/event-order-shipped.json"),
        },
        account(
            Purpose::PasswordReset,
            "Somebody has forgotten their password",
            include_str!("../../../tests/contracts/event-password-reset-requested.json"),
        ),
        account(
            Purpose::EmailVerification,
            "An address is to be shown to be its owner's",
            include_str!("../../../tests/contracts/event-email-verification-requested.json"),
        ),
    ]
}

/// A reference to the shape of a type, which is added to `schemas` with those in it.
fn schema_of<T: ToSchema>(schemas: &mut BTreeMap<String, Value>) -> Value {
    let mut found = vec![(T::name().into_owned(), T::schema())];
    T::schemas(&mut found);
    let name = found[0].0.clone();
    schemas.extend(found.into_iter().map(|(name, shape)| (name, json!(shape))));
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

/// The envelope around a payload.
fn envelope(kind: &Kind) -> Value {
    // What the payload is made of comes from the kind, so that of the envelope's own is left out.
    let mut envelope = json!(<Envelope<OrderCreated> as PartialSchema>::schema());
    envelope["properties"]["payload"] = kind.payload.clone();
    envelope["properties"]["event_type"] = json!({ "const": kind.event_type });
    envelope
}

fn message(kind: &Kind) -> (String, Value) {
    let example: Value = serde_json::from_str(kind.example).unwrap_or_default();
    let message = json!({
        "name": kind.event_type,
        "summary": kind.summary,
        "contentType": "application/json",
        "headers": {
            "type": "object",
            "required": ["traceparent"],
            "properties": {
                "traceparent": { "type": "string", "description": "The trace it came of (W3C)." },
                "tracestate": { "type": "string" },
            },
        },
        "payload": envelope(kind),
        "bindings": { "amqp": { "messageType": kind.event_type, "bindingVersion": "0.3.0" } },
        "examples": [{ "name": kind.event_type, "payload": example }],
    });
    (kind.event_type.to_owned(), message)
}

fn channel(kind: &Kind) -> (String, Value) {
    let channel = json!({
        "address": kind.routing_key,
        "summary": kind.summary,
        "messages": { kind.event_type: { "$ref": format!("#/components/messages/{}", kind.event_type) } },
        "bindings": { "amqp": {
            "is": "routingKey",
            "exchange": {
                "name": kind.exchange, "type": "topic", "durable": true, "autoDelete": false, "vhost": "/",
            },
            "bindingVersion": "0.3.0",
        } },
    });
    (kind.event_type.to_owned(), channel)
}

/// It is published by one service, and taken off its queue by the notification service.
fn operations(kind: &Kind) -> Vec<(String, Value)> {
    let reference = json!({ "$ref": format!("#/channels/{}", kind.event_type) });
    let source = match kind.exchange {
        ORDER_EVENTS => "order-service",
        _ => "auth-service",
    };
    let publish = json!({
        "action": "send",
        "channel": reference,
        "summary": format!("Published by {source}, with confirms, from its outbox"),
        "bindings": { "amqp": { "deliveryMode": 2, "mandatory": true, "timestamp": true, "bindingVersion": "0.3.0" } },
    });
    let mut all = vec![(format!("publish{}", kind.event_type), publish)];
    for queue in WORK_QUEUES {
        if queue.exchange == kind.exchange && queue.routing_keys.contains(&kind.routing_key) {
            let consume = json!({
                "action": "receive",
                "channel": reference,
                "summary": format!(
                    "Taken off {} by notification-service; what fails for good goes to {}",
                    queue.name,
                    queue.dead_letter_queue(),
                ),
                "bindings": { "amqp": { "ack": true, "bindingVersion": "0.3.0" } },
            });
            all.push((format!("consume{}", kind.event_type), consume));
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_example_is_of_its_shape() {
        let document = document();
        let messages = document["components"]["messages"].as_object().unwrap();
        assert_eq!(messages.len(), 4);
        for (name, message) in messages {
            let mut schema = message["payload"].clone();
            schema["components"] = document["components"].clone();
            let validator = jsonschema::options()
                .should_validate_formats(true)
                .build(&schema)
                .unwrap();
            let faults: Vec<_> = validator
                .iter_errors(&message["examples"][0]["payload"])
                .map(|fault| fault.to_string())
                .collect();
            assert!(faults.is_empty(), "{name}: {faults:#?}");
        }
    }

    #[test]
    fn every_event_is_taken_off_a_queue() {
        let document = document();
        for name in document["channels"].as_object().unwrap().keys() {
            let consume = &document["operations"][format!("consume{name}")];
            assert_eq!(consume["action"], "receive", "{name}");
        }
    }
}
