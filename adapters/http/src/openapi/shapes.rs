//! What is read, as JSON Schema: parameters and the parts of bodies.

use core_auth::{Email, Password};
use serde_json::{Value, json};

/// White space and control characters as a class of regular expressions that all dialects know.
const CONTROL: &str = r"\u0000-\u001f\u007f-\u009f";

/// A text of 1 to `max` characters that is not blank and has no control characters.
pub(crate) fn text(max: usize) -> Value {
    let pattern = format!(r"^[^{CONTROL}]*[^\s{CONTROL}][^{CONTROL}]*$");
    json!({ "type": "string", "minLength": 1, "maxLength": max, "pattern": pattern })
}

/// Any text.
pub(crate) fn string(description: &str) -> Value {
    json!({ "type": "string", "description": description })
}

/// An id.
pub(crate) fn uuid() -> Value {
    json!({ "type": "string", "format": "uuid" })
}

/// A whole number.
pub(crate) fn integer(min: u32, max: u32) -> Value {
    json!({ "type": "integer", "minimum": min, "maximum": max })
}

/// An email address.
pub(crate) fn email() -> Value {
    json!({ "type": "string", "format": "email", "maxLength": Email::MAX })
}

/// A password that somebody chooses.
pub(crate) fn new_password() -> Value {
    json!({
        "type": "string", "format": "password", "minLength": Password::MIN, "maxLength": Password::MAX,
        "description": "With an upper-case letter, a lower-case letter, a digit and a special \
            character, which is anything else that is not white space.",
    })
}

/// A phone number (E.164).
pub(crate) fn phone() -> Value {
    json!({ "type": "string", "pattern": r"^\+[1-9][0-9]{6,14}$" })
}

/// An object with these fields, of which the first `required` must be there.
pub(crate) fn object<const N: usize>(required: usize, fields: [(&str, Value); N]) -> Value {
    let names: Vec<&str> = fields
        .iter()
        .take(required)
        .map(|(name, _)| *name)
        .collect();
    let properties: serde_json::Map<String, Value> = fields
        .into_iter()
        .map(|(name, shape)| (name.to_owned(), shape))
        .collect();
    json!({ "type": "object", "required": names, "properties": properties })
}

/// The same, or `null`.
pub(crate) fn or_null(mut shape: Value) -> Value {
    let kind = shape["type"].take();
    shape["type"] = json!([kind, "null"]);
    if let Some(words) = shape.get_mut("enum").and_then(Value::as_array_mut) {
        words.push(Value::Null);
    }
    shape
}

/// The same, with words on what it is.
pub(crate) fn about(mut shape: Value, description: &str) -> Value {
    shape["description"] = json!(description);
    shape
}
