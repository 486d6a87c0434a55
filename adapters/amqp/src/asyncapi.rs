//! The document of the events (AsyncAPI 3.0), made from the types that are sent and the names that
//! are declared.

use std::collections::BTreeMap;

use core_auth::{OneTimeRequested, Purpose};
use core_kernel::Envelope;
use core_notify::{ORDER_EVENTS, Resend, USER_EVENTS, WORK_QUEUES, WorkQueue};
use core_orders::{OrderCreated, OrderShipped};
use serde_json::{Map, Value, json};
use utoipa::{PartialSchema, ToSchema};

use crate::headers::PUBLISHED_AT;

/// The document of all events: AsyncAPI 3.0 as JSON, the same text every time.
#[must_use]
pub fn asyncapi() -> String {
    format!("{:#}\n", document())
}

/// Where events of a kind are put.
#[derive(Clone, Copy)]
enum Way {
    /// To an exchange, by a routing key, for all who want them.
    Exchange(&'static str, &'static str),
    /// Straight into a work queue.
    Queues,
}

/// One kind of event.
struct Kind {
    event_type: &'static str,
    way: Way,
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
            "tags": [{ "name": "orders" }, { "name": "accounts" }, { "name": "notifications" }],
        },
        "servers": { "broker": {
            "host": "localhost:5672", "protocol": "amqp", "protocolVersion": "0.9.1",
            "description": "RabbitMQ, as `RABBITMQ_URL` names it.",
        } },
        "defaultContentType": "application/json",
        "channels": channels,
        "operations": operations,
        "components": { "messages": messages, "schemas": schemas },
    })
}

fn kinds(schemas: &mut BTreeMap<String, Value>) -> [Kind; 5] {
    // Those in the envelope itself; each payload brings its own.
    let mut found = Vec::new();
    <Envelope<OneTimeRequested> as ToSchema>::schemas(&mut found);
    schemas.extend(found.into_iter().map(|(name, shape)| (name, json!(shape))));
    let requested = schema_of::<OneTimeRequested>(schemas);
    let account = |purpose: Purpose, summary, example| Kind {
        event_type: purpose.event_type(),
        way: Way::Exchange(USER_EVENTS, purpose.routing_key()),
        summary,
        payload: requested.clone(),
        example,
    };
    [
        Kind {
            event_type: OrderCreated::EVENT_TYPE,
            way: Way::Exchange(ORDER_EVENTS, OrderCreated::ROUTING_KEY),
            summary: "An order was placed",
            payload: schema_of::<OrderCreated>(schemas),
            example: include_str!("../../../tests/contracts/event-order-created.json"),
        },
        Kind {
            event_type: OrderShipped::EVENT_TYPE,
            way: Way::Exchange(ORDER_EVENTS, OrderShipped::ROUTING_KEY),
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
        Kind {
            event_type: Resend::EVENT_TYPE,
            way: Way::Queues,
            summary: "An operator wants a notification to be sent once more",
            payload: schema_of::<Resend>(schemas),
            example: include_str!(
                "../../../tests/contracts/event-notification-resend-requested.json"
            ),
        },
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
                "tracestate": { "type": "string", "description": "What tracers keep beside it (W3C)." },
                PUBLISHED_AT: {
                    "type": "integer",
                    "description": "When it was published, in microseconds since 1970. Its queue's \
                        waiting time is counted from here.",
                },
            },
        },
        "payload": envelope(kind),
        "bindings": { "amqp": { "messageType": kind.event_type, "bindingVersion": "0.3.0" } },
        "examples": [{ "name": kind.event_type, "payload": example }],
    });
    (kind.event_type.to_owned(), message)
}

fn channel(kind: &Kind) -> (String, Value) {
    let mut channel = json!({
        "summary": kind.summary,
        "messages": { kind.event_type: { "$ref": format!("#/components/messages/{}", kind.event_type) } },
    });
    match kind.way {
        Way::Exchange(exchange, routing_key) => {
            channel["address"] = json!(routing_key);
            channel["bindings"]["amqp"] = json!({
                "is": "routingKey",
                "exchange": {
                    "name": exchange, "type": "topic", "durable": true, "autoDelete": false, "vhost": "/",
                },
                "bindingVersion": "0.3.0",
            });
        }
        Way::Queues => {
            let names: Vec<&str> = Resend::queues().iter().map(|queue| queue.name).collect();
            channel["address"] = json!("{queue}");
            channel["parameters"]["queue"] = json!({
                "enum": names,
                "description": "The work queue of the event that led to the notification.",
            });
            channel["bindings"]["amqp"] = json!({
                "is": "queue",
                "queue": { "durable": true, "exclusive": false, "autoDelete": false, "vhost": "/" },
                "bindingVersion": "0.3.0",
            });
        }
    }
    (kind.event_type.to_owned(), channel)
}

impl Kind {
    /// Who publishes it, and how.
    fn source(&self) -> &'static str {
        match self.way {
            Way::Exchange(ORDER_EVENTS, _) => {
                "Published by order-service, with confirms, from its outbox"
            }
            Way::Exchange(..) => "Published by auth-service, with confirms, from its outbox",
            Way::Queues => "Put there by `shopflow notifications resend`, with confirms",
        }
    }

    /// The queues that the notification service takes it off.
    fn queues(&self) -> Vec<WorkQueue> {
        match self.way {
            Way::Queues => Resend::queues(),
            Way::Exchange(exchange, key) => {
                let takes = |queue: &WorkQueue| {
                    queue.exchange == exchange && queue.routing_keys.contains(&key)
                };
                WORK_QUEUES.into_iter().filter(takes).collect()
            }
        }
    }
}

/// It is published by one service, and taken off its queue by the notification service.
fn operations(kind: &Kind) -> Vec<(String, Value)> {
    let reference = json!({ "$ref": format!("#/channels/{}", kind.event_type) });
    let publish = json!({
        "action": "send",
        "channel": reference,
        "summary": kind.source(),
        "bindings": { "amqp": { "deliveryMode": 2, "mandatory": true, "timestamp": true, "bindingVersion": "0.3.0" } },
    });
    let mut all = vec![(format!("publish{}", kind.event_type), publish)];
    let queues = kind.queues();
    if !queues.is_empty() {
        let names = |name: fn(&WorkQueue) -> String| {
            let names: Vec<String> = queues.iter().map(name).collect();
            names.join(" or ")
        };
        let (work, dead) = (
            names(|queue| queue.name.to_owned()),
            names(WorkQueue::dead_letter_queue),
        );
        let consume = json!({
            "action": "receive",
            "channel": reference,
            "summary": format!(
                "Taken off {work} by notification-service; what fails for good goes to {dead}"
            ),
            "bindings": { "amqp": { "ack": true, "bindingVersion": "0.3.0" } },
        });
        all.push((format!("consume{}", kind.event_type), consume));
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
        assert_eq!(messages.len(), 5);
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
