//! Which changes of an API break its clients.

use serde_json::{Value, json};
use shopflow_testkit::changes;

fn api() -> Value {
    json!({
        "paths": { "/orders": { "post": {
            "operationId": "placeOrder",
            "security": [{ "userToken": [] }],
            "parameters": [{ "in": "query", "name": "limit", "schema": { "type": "integer", "maximum": 100 } }],
            "requestBody": { "content": { "application/json": { "schema": { "$ref": "#/components/schemas/NewOrder" } } } },
            "responses": {
                "201": { "description": "The order.", "headers": { "Location": {} }, "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Order" } } } },
                "409": { "description": "Not now." },
            },
        } } },
        "components": { "schemas": {
            "NewOrder": { "type": "object", "required": ["items"], "properties": {
                "items": { "type": "array", "items": { "type": "object", "required": ["quantity"], "properties": {
                    "quantity": { "type": "integer", "minimum": 1 },
                } } },
                "notes": { "type": ["string", "null"], "maxLength": 500 },
            } },
            "Order": { "type": "object", "required": ["id", "status"], "properties": {
                "id": { "type": "string", "format": "uuid" },
                "status": { "type": "string", "enum": ["pending", "confirmed"] },
                "parent": { "oneOf": [{ "$ref": "#/components/schemas/Id" }, { "type": "null" }] },
                "code": { "allOf": [{ "$ref": "#/components/schemas/Code" }, { "enum": ["a", "b"] }] },
                "price": { "anyOf": [{ "type": "number" }, { "type": "string", "pattern": "^[0-9]+$" }] },
                "more": { "type": "object", "additionalProperties": { "type": "string" } },
            } },
            "Id": { "type": "string", "format": "uuid" },
            "Code": { "type": "string" },
        } },
    })
}

fn events() -> Value {
    json!({
        "channels": { "OrderCreated": { "address": "order.created" } },
        "components": { "messages": { "OrderCreated": { "payload": {
            "type": "object", "required": ["event_id"],
            "properties": { "event_id": { "type": "string" } },
        } } } },
    })
}

const ORDERS: &str = "/paths/~1orders/post";
const NEW: &str = "/components/schemas/NewOrder";
const ORDER: &str = "/components/schemas/Order";

/// What it says of one change of a document: whether it breaks, and in which words.
fn verdict(old: &Value, at: &str, value: Value) -> (bool, String) {
    let mut new = old.clone();
    let (parent, name) = at.rsplit_once('/').unwrap();
    let name = name.replace("~1", "/");
    let parent = new.pointer_mut(parent).unwrap().as_object_mut().unwrap();
    match value.is_null() {
        true => parent.remove(&name),
        false => parent.insert(name, value),
    };
    let found = changes(old, &new);
    assert_eq!(found.len(), 1, "{at}: {found:#?}");
    (found[0].breaking, found[0].to_string())
}

#[test]
fn the_same_document_has_no_changes() {
    assert_eq!(changes(&api(), &api()), []);
    assert_eq!(changes(&events(), &events()), []);
}

#[test]
fn what_a_client_rests_on_breaks_it_when_it_goes() {
    let gone = [
        "/paths/~1orders".to_owned(),
        format!("{ORDERS}/parameters"),
        format!("{ORDERS}/responses/201"),
        format!("{ORDERS}/responses/201/headers/Location"),
        format!("{NEW}/properties/notes"),
        format!("{ORDER}/properties/status"),
    ];
    for at in gone {
        let (breaking, text) = verdict(&api(), &at, Value::Null);
        assert!(breaking, "{text}");
    }
}

#[test]
fn what_is_new_and_need_not_be_used_breaks_nobody() {
    let new = [
        ("/paths/~1returns", json!({})),
        (
            "/paths/~1orders/get",
            json!({ "operationId": "listOrders" }),
        ),
        (
            &format!("{ORDERS}/responses/429"),
            json!({ "description": "Too often." }),
        ),
        (
            &format!("{NEW}/properties/gift"),
            json!({ "type": "boolean" }),
        ),
        (
            &format!("{ORDER}/properties/gift"),
            json!({ "type": "boolean" }),
        ),
    ];
    for (at, value) in new {
        let (breaking, text) = verdict(&api(), at, value);
        assert!(!breaking, "{text}");
    }
}

#[test]
fn what_is_sent_may_be_allowed_more_and_not_less() {
    let quantity = format!("{NEW}/properties/items/items/properties/quantity");
    for (at, value, breaks) in [
        (format!("{quantity}/minimum"), json!(0), false),
        (format!("{quantity}/minimum"), json!(2), true),
        (
            format!("{quantity}/type"),
            json!(["integer", "string"]),
            false,
        ),
        (format!("{quantity}/type"), json!("string"), true),
        (
            format!("{NEW}/properties/notes/maxLength"),
            json!(1000),
            false,
        ),
        (
            format!("{NEW}/properties/notes/maxLength"),
            json!(100),
            true,
        ),
        (format!("{NEW}/properties/notes/pattern"), json!("^a"), true),
        (format!("{NEW}/required"), json!(["items", "notes"]), true),
        (format!("{NEW}/required"), json!([]), false),
        (format!("{ORDERS}/requestBody"), Value::Null, true),
        (format!("{ORDERS}/security"), json!([]), false),
        (
            format!("{ORDERS}/security"),
            json!([{ "serviceToken": [] }]),
            true,
        ),
    ] {
        let (breaking, text) = verdict(&api(), &at, value);
        assert_eq!(breaking, breaks, "{text}");
    }
}

#[test]
fn what_is_answered_may_not_be_what_clients_do_not_know() {
    for (at, value, breaks) in [
        (
            format!("{ORDER}/properties/status/enum"),
            json!(["pending"]),
            false,
        ),
        (
            format!("{ORDER}/properties/status/enum"),
            json!(["pending", "confirmed", "lost"]),
            true,
        ),
        (
            format!("{ORDER}/properties/id/type"),
            json!(["string", "null"]),
            true,
        ),
        (
            format!("{ORDER}/properties/id/type"),
            json!("integer"),
            true,
        ),
        (format!("{ORDER}/required"), json!(["id"]), true),
    ] {
        let (breaking, text) = verdict(&api(), &at, value);
        assert_eq!(breaking, breaks, "{text}");
    }
}

#[test]
fn what_is_chosen_or_put_together_is_looked_into() {
    let id = "/components/schemas/Id";
    let [parent, code, price, more] =
        ["parent", "code", "price", "more"].map(|name| format!("{ORDER}/properties/{name}"));
    for (at, value, breaks) in [
        (format!("{id}/type"), json!("integer"), true),
        (format!("{id}/format"), Value::Null, true),
        (
            format!("{parent}/oneOf"),
            json!([{ "$ref": format!("#{id}") }]),
            false,
        ),
        (
            parent,
            json!({ "type": ["string", "null"], "format": "uuid", "maxLength": 36 }),
            false,
        ),
        (
            "/components/schemas/Code/type".to_owned(),
            json!("integer"),
            true,
        ),
        (format!("{code}/allOf/1/enum"), json!(["a"]), false),
        (format!("{price}/anyOf/1/type"), json!("boolean"), true),
        (format!("{price}/anyOf/1/pattern"), json!("^[0-9]$"), false),
        (
            format!("{more}/additionalProperties/type"),
            json!("integer"),
            true,
        ),
    ] {
        let mut new = api();
        *new.pointer_mut(&at).unwrap() = value;
        let found = changes(&api(), &new);
        assert!(!found.is_empty(), "{at} is not seen");
        let broken = found.iter().any(|change| change.breaking);
        assert_eq!(broken, breaks, "{at}: {found:#?}");
    }
}

#[test]
fn what_may_be_chosen_to_be_sent_may_not_become_less() {
    let of = |choices: [&str; 2]| {
        let choices = choices.map(|kind| json!({ "type": kind }));
        let mut api = api();
        *api.pointer_mut(&format!("{NEW}/properties/notes")).unwrap() = json!({ "anyOf": choices });
        api
    };
    let old = of(["integer", "string"]);
    for (new, breaks) in [
        (["string", "integer"], false),
        (["number", "string"], false),
        (["boolean", "string"], true),
    ] {
        let found = changes(&old, &of(new));
        let broken = found.iter().any(|change| change.breaking);
        assert_eq!(broken, breaks, "{new:?}: {found:#?}");
    }
}

#[test]
fn events_are_answers_to_whoever_reads_them() {
    let payload = "/components/messages/OrderCreated/payload";
    for (at, value, breaks) in [
        (
            format!("{payload}/properties/more"),
            json!({ "type": "string" }),
            false,
        ),
        (format!("{payload}/properties/event_id"), Value::Null, true),
        (format!("{payload}/required"), json!([]), true),
        (
            "/channels/OrderCreated/address".to_owned(),
            json!("order.made"),
            true,
        ),
        ("/channels/OrderCreated".to_owned(), Value::Null, true),
    ] {
        let (breaking, text) = verdict(&events(), &at, value);
        assert_eq!(breaking, breaks, "{text}");
    }
}

#[test]
fn a_change_is_told_with_its_place() {
    let (_, text) = verdict(&api(), &format!("{ORDER}/properties/status"), Value::Null);
    assert_eq!(
        text,
        "BREAKING: POST /orders 201 application/json/status: is gone"
    );
}
