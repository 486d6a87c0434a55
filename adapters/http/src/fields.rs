//! Reading a JSON body field by field, so that one answer names every fault with its JSON Pointer.
//!
//! Deriving `Deserialize` would stop at the first wrong type, and would carry amounts through
//! binary floats; here each value keeps its own text until its rule reads it.

use std::collections::HashMap;

use core_kernel::{Faults, Money, Violation};
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::error::ApiError;

/// A JSON value and where it stands.
#[derive(Clone)]
pub(crate) struct Value<'a> {
    raw: &'a RawValue,
    pointer: String,
}

/// A JSON object and where it stands.
pub(crate) struct Object<'a> {
    fields: HashMap<String, &'a RawValue>,
    pointer: String,
}

/// The body as an object.
///
/// # Errors
/// 400: no JSON, or JSON that is no object.
pub(crate) fn object(body: &[u8]) -> Result<Object<'_>, ApiError> {
    let raw: &RawValue = serde_json::from_slice(body).map_err(|e| ApiError::malformed(&e))?;
    Value {
        raw,
        pointer: String::new(),
    }
    .object()
    .map_err(|violation| {
        let mut faults = Faults::new();
        faults.add("", violation);
        ApiError::validation(faults)
    })
}

fn wrong_type(wanted: &'static str) -> Violation {
    Violation::new("type", format!("must be {wanted}"))
}

impl<'a> Value<'a> {
    pub(crate) fn pointer(&self) -> &str {
        &self.pointer
    }

    pub(crate) fn string(&self) -> Result<String, Violation> {
        serde_json::from_str(self.raw.get()).map_err(|_| wrong_type("a string"))
    }

    pub(crate) fn boolean(&self) -> Result<bool, Violation> {
        serde_json::from_str(self.raw.get()).map_err(|_| wrong_type("true or false"))
    }

    pub(crate) fn is_null(&self) -> bool {
        self.raw.get() == "null"
    }

    /// A whole number by its value: `2`, and `2.0` too.
    pub(crate) fn integer(&self) -> Result<i64, Violation> {
        let text = self.raw.get();
        if let Ok(number) = text.parse() {
            return Ok(number);
        }
        let digits = text.strip_prefix('-').unwrap_or(text);
        if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Ok(if text.starts_with('-') {
                i64::MIN
            } else {
                i64::MAX
            });
        }
        match text.split_once('.') {
            Some((whole, zeros)) if zeros.bytes().all(|byte| byte == b'0') => {
                whole.parse().map_err(|_| wrong_type("an integer"))
            }
            _ => Err(wrong_type("an integer")),
        }
    }

    pub(crate) fn money(&self) -> Result<Money, Violation> {
        Ok(Money::from_json(self.raw)?)
    }

    pub(crate) fn uuid(&self) -> Result<Uuid, Violation> {
        self.string()?
            .parse::<uuid::fmt::Hyphenated>()
            .map(Uuid::from)
            .map_err(|_| Violation::new("format", "must be a UUID"))
    }

    pub(crate) fn object(&self) -> Result<Object<'a>, Violation> {
        let fields = serde_json::from_str(self.raw.get()).map_err(|_| wrong_type("an object"))?;
        Ok(Object {
            fields,
            pointer: self.pointer.clone(),
        })
    }

    pub(crate) fn array(&self) -> Result<Vec<Value<'a>>, Violation> {
        let items: Vec<&RawValue> =
            serde_json::from_str(self.raw.get()).map_err(|_| wrong_type("an array"))?;
        let place = |index| format!("{}/{index}", self.pointer);
        Ok(items
            .into_iter()
            .enumerate()
            .map(|(index, raw)| Value {
                raw,
                pointer: place(index),
            })
            .collect())
    }
}

impl<'a> Object<'a> {
    /// The field, unless it is absent or `null`.
    fn get(&self, name: &str) -> Option<Value<'a>> {
        let raw = *self.fields.get(name)?;
        (raw.get() != "null").then(|| Value {
            raw,
            pointer: self.at(name),
        })
    }

    /// Whether the field is there, `null` or not.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.fields.contains_key(name)
    }

    /// What `read` makes of a field that may be absent, but is read even if it is `null`; its fault
    /// is added to `faults`.
    pub(crate) fn given<T>(
        &self,
        faults: &mut Faults,
        name: &str,
        read: impl FnOnce(&Value<'a>) -> Result<T, Violation>,
    ) -> Option<T> {
        let raw = *self.fields.get(name)?;
        let pointer = self.at(name);
        let value = Value { raw, pointer };
        faults.take(value.pointer(), read(&value))
    }

    fn at(&self, name: &str) -> String {
        format!("{}/{name}", self.pointer)
    }

    /// What `read` makes of a field that must be there; its fault is added to `faults`.
    pub(crate) fn required<T>(
        &self,
        faults: &mut Faults,
        name: &str,
        read: impl FnOnce(&Value<'a>) -> Result<T, Violation>,
    ) -> Option<T> {
        let result = match self.get(name) {
            Some(value) => read(&value),
            None => Err(Violation::new("required", "is required")),
        };
        faults.take(&self.at(name), result)
    }

    /// What `read` makes of a field that may be absent or `null`; its fault is added to `faults`.
    pub(crate) fn optional<T>(
        &self,
        faults: &mut Faults,
        name: &str,
        read: impl FnOnce(&Value<'a>) -> Result<T, Violation>,
    ) -> Option<T> {
        let value = self.get(name)?;
        faults.take(value.pointer(), read(&value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(json: &str) -> Object<'_> {
        object(json.as_bytes()).unwrap()
    }

    #[test]
    fn every_fault_is_found_with_its_pointer() {
        let body = body(r#"{"a": 1, "b": null, "items": [{"n": "x"}, {"n": 1.5}]}"#);
        let mut faults = Faults::new();
        body.required(&mut faults, "a", Value::string);
        body.required(&mut faults, "b", Value::string);
        assert_eq!(body.optional(&mut faults, "b", Value::string), None);
        for item in body.required(&mut faults, "items", Value::array).unwrap() {
            let item = item.object().unwrap();
            item.required(&mut faults, "n", Value::integer);
        }
        let pointers: Vec<_> = faults
            .as_slice()
            .iter()
            .map(|fault| match &fault.at {
                core_kernel::At::Pointer(pointer) => (pointer.as_str(), fault.violation.code),
                core_kernel::At::Parameter(name) | core_kernel::At::Header(name) => (*name, ""),
            })
            .collect();
        assert_eq!(
            pointers,
            [
                ("/a", "type"),
                ("/b", "required"),
                ("/items/0/n", "type"),
                ("/items/1/n", "type")
            ]
        );
    }

    #[test]
    fn a_whole_number_counts_by_its_value() {
        let number = |json: &str| {
            let text = format!(r#"{{"n": {json}}}"#);
            let mut faults = Faults::new();
            body(&text).required(&mut faults, "n", Value::integer)
        };
        assert_eq!(number("2"), Some(2));
        assert_eq!(number("2.0"), Some(2));
        assert_eq!(number("-7"), Some(-7));
        assert_eq!(number("99999999999999999999"), Some(i64::MAX));
        for bad in ["2.5", "\"2\"", "true", "1e2", "[]"] {
            assert_eq!(number(bad), None, "{bad}");
        }
    }

    #[test]
    fn what_is_no_object_is_refused() {
        for bad in ["", "{", "{\"a\": }", "[1]", "7", "\"x\"", "{} {}"] {
            assert!(object(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
