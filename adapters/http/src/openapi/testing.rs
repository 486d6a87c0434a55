//! Holding the shapes of bodies against those who read them.

use std::collections::BTreeSet;

use core_kernel::At;
use serde_json::{Value, json};

use crate::error::ApiError;
use crate::fields::{self, Object};

/// Asserts that a body is read as its shape says: the same fields are required, and each field of
/// the shape is looked at, under this name and in this place.
#[track_caller]
pub(crate) fn assert_read_so(shape: &Value, read: impl Fn(&Object<'_>) -> Option<ApiError>) {
    let faults = |body: &Value| -> BTreeSet<(String, &'static str)> {
        let body = body.to_string();
        let error = read(&fields::object(body.as_bytes()).unwrap());
        let faults = error.iter().flat_map(|error| error.faults().as_slice());
        faults
            .map(|fault| match &fault.at {
                At::Pointer(pointer) => (pointer.clone(), fault.violation.code),
                At::Parameter(name) | At::Header(name) => ((*name).to_owned(), "misplaced"),
            })
            .collect()
    };
    let mut required = BTreeSet::new();
    let empty = empty(shape, "", &mut required);
    assert_eq!(faults(&empty), required, "required");
    let mut mistyped = BTreeSet::new();
    let wrong = wrong(shape, "", &mut mistyped);
    let found: BTreeSet<_> = faults(&wrong).into_iter().map(|(at, _)| at).collect();
    assert_eq!(found, mistyped, "looked at");
}

/// A body with nothing in it but the objects that hold others; what is then missing.
fn empty(shape: &Value, at: &str, missing: &mut BTreeSet<(String, &'static str)>) -> Value {
    let mut body = json!({});
    let required = shape["required"].as_array().unwrap();
    for (name, field) in shape["properties"].as_object().unwrap() {
        let at = format!("{at}/{name}");
        if field["type"] == "object" {
            body[name] = empty(field, &at, missing);
        } else if field["type"] == "array" {
            body[name] = json!([empty(&field["items"], &format!("{at}/0"), missing)]);
        } else if required.contains(&json!(name)) {
            missing.insert((at, "required"));
        }
    }
    body
}

/// A body in which every leaf is of a wrong type; where they are.
fn wrong(shape: &Value, at: &str, leaves: &mut BTreeSet<String>) -> Value {
    let mut body = json!({});
    for (name, field) in shape["properties"].as_object().unwrap() {
        let at = format!("{at}/{name}");
        body[name] = if field["type"] == "object" {
            wrong(field, &at, leaves)
        } else if field["type"] == "array" {
            json!([wrong(&field["items"], &format!("{at}/0"), leaves)])
        } else {
            leaves.insert(at);
            json!({})
        };
    }
    body
}
