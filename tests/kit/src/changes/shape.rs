//! Comparing what is sent or answered, by its JSON Schema.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::Found;

/// Which way something goes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// From the client: it must be allowed at least what it was.
    In,
    /// To the client: it must get nothing that it did not know.
    Out,
}

/// A schema in its document, with references looked up and parts put together.
pub(super) struct Side<'a> {
    document: &'a Value,
    rules: BTreeMap<String, Value>,
    fields: BTreeMap<String, Value>,
    required: BTreeSet<String>,
}

impl<'a> Side<'a> {
    pub(super) fn new(document: &'a Value, schema: &Value) -> Self {
        let mut side = Self {
            document,
            rules: BTreeMap::new(),
            fields: BTreeMap::new(),
            required: BTreeSet::new(),
        };
        side.add(schema);
        side
    }

    fn add(&mut self, schema: &Value) {
        if let Some(reference) = schema["$ref"].as_str() {
            let target = reference.trim_start_matches('#');
            if let Some(schema) = self.document.pointer(target) {
                self.add(schema);
            }
        }
        for part in schema["allOf"].as_array().into_iter().flatten() {
            self.add(part);
        }
        for (name, value) in super::fields(schema) {
            match name.as_str() {
                "properties" => {
                    for (field, shape) in super::fields(value) {
                        self.fields.insert(field.clone(), shape.clone());
                    }
                }
                "required" => {
                    let names = value.as_array().into_iter().flatten();
                    let names = names.filter_map(Value::as_str).map(str::to_owned);
                    self.required.extend(names);
                }
                "const" => {
                    self.rules
                        .insert("enum".to_owned(), Value::from(vec![value.clone()]));
                }
                "$ref" | "allOf" | "description" | "examples" | "example" | "title" | "default" => {
                }
                rule => {
                    self.rules.insert(rule.to_owned(), value.clone());
                }
            }
        }
    }

    /// The values of a rule that lists them; `None` where everything is allowed.
    fn list(&self, rule: &str) -> Option<BTreeSet<String>> {
        match self.rules.get(rule)? {
            Value::Array(values) => Some(values.iter().map(Value::to_string).collect()),
            single => Some(BTreeSet::from([single.to_string()])),
        }
    }
}

/// Compares two shapes of the same thing.
pub(super) fn shapes(at: &str, way: Way, old: &Side<'_>, new: &Side<'_>, found: &mut Found) {
    for rule in ["type", "enum"] {
        lists(at, way, rule, (old.list(rule), new.list(rule)), found);
    }
    let rules: BTreeSet<&String> = old.rules.keys().chain(new.rules.keys()).collect();
    for rule in rules {
        if matches!(rule.as_str(), "type" | "enum" | "items") {
            continue;
        }
        let (before, now) = (old.rules.get(rule), new.rules.get(rule));
        if before != now {
            rule_changed(at, way, rule, (before, now), found);
        }
    }
    if let (Some(before), Some(now)) = (old.rules.get("items"), new.rules.get("items")) {
        let (before, now) = (
            Side::new(old.document, before),
            Side::new(new.document, now),
        );
        shapes(at, way, &before, &now, found);
    }
    fields(at, way, old, new, found);
}

fn lists(
    at: &str,
    way: Way,
    rule: &str,
    (old, new): (Option<BTreeSet<String>>, Option<BTreeSet<String>>),
    found: &mut Found,
) {
    if old == new {
        return;
    }
    let within =
        |inner: &Option<BTreeSet<String>>, outer: &Option<BTreeSet<String>>| match (inner, outer) {
            (_, None) => true,
            (None, Some(_)) => false,
            (Some(inner), Some(outer)) => inner.is_subset(outer),
        };
    let fine = match way {
        Way::In => within(&old, &new),
        // New problems may come at any time: clients know the status.
        Way::Out => within(&new, &old) || at.ends_with("/code"),
    };
    let text = |list: &Option<BTreeSet<String>>| match list {
        Some(list) => list.iter().cloned().collect::<Vec<_>>().join(", "),
        None => "anything".to_owned(),
    };
    let what = format!("{rule} was {} and is {}", text(&old), text(&new));
    found.add(!fine, at, what);
}

/// A rule that is there on one side, or says something else: where it cannot be told to be looser,
/// it is taken for stricter.
fn rule_changed(
    at: &str,
    way: Way,
    rule: &str,
    (old, new): (Option<&Value>, Option<&Value>),
    found: &mut Found,
) {
    let number = |value: Option<&Value>| value.and_then(Value::as_f64);
    let looser = match (number(old), number(new)) {
        _ if new.is_none() => true,
        (Some(old), Some(new)) if rule.starts_with("min") || rule.starts_with("exclusiveMin") => {
            new <= old
        }
        (Some(old), Some(new)) if rule.starts_with("max") || rule.starts_with("exclusiveMax") => {
            new >= old
        }
        _ => false,
    };
    let breaking = match way {
        Way::In => !looser,
        // What is told about its size matters to nobody; what it is does.
        Way::Out => rule == "format" && old.is_some(),
    };
    let text = |value: Option<&Value>| value.map_or_else(|| "nothing".to_owned(), Value::to_string);
    found.add(
        breaking,
        at,
        format!("{rule} was {} and is {}", text(old), text(new)),
    );
}

fn fields(at: &str, way: Way, old: &Side<'_>, new: &Side<'_>, found: &mut Found) {
    for (name, before) in &old.fields {
        let at = format!("{at}/{name}");
        let Some(now) = new.fields.get(name) else {
            found.breaking(&at, "is gone");
            continue;
        };
        match (
            way,
            old.required.contains(name),
            new.required.contains(name),
        ) {
            (Way::In, false, true) => found.breaking(&at, "is required now"),
            (Way::Out, true, false) => found.breaking(&at, "may be absent now"),
            (_, was, is) if was != is => found.additive(&at, "is required or not, unlike before"),
            _ => {}
        }
        let (before, now) = (
            Side::new(old.document, before),
            Side::new(new.document, now),
        );
        shapes(&at, way, &before, &now, found);
    }
    for name in new
        .fields
        .keys()
        .filter(|name| !old.fields.contains_key(*name))
    {
        let at = format!("{at}/{name}");
        match way == Way::In && new.required.contains(name) {
            true => found.breaking(&at, "is new, and required"),
            false => found.additive(&at, "is new"),
        }
    }
}
