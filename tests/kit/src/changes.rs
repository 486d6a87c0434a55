//! Tells changes of an API that break its clients from those that do not, by comparing two of its
//! documents (OpenAPI 3.1 or AsyncAPI 3).
//!
//! What a client sends may be allowed more and not less; what it gets may tell more and not less.
//! Texts and examples do not count.

mod shape;

use std::fmt;

use serde_json::{Map, Value};

use shape::{Side, Way, shapes};

/// One change between two documents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Whether a client of the old one may fail at the new one.
    pub breaking: bool,
    /// Where, for people: `POST /orders body items/quantity`.
    pub at: String,
    /// What, for people: `is required now`.
    pub what: String,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.breaking {
            "BREAKING"
        } else {
            "additive"
        };
        write!(f, "{kind}: {}: {}", self.at, self.what)
    }
}

/// All changes from one document to the other that clients can notice.
#[must_use]
pub fn changes(old: &Value, new: &Value) -> Vec<Change> {
    let mut found = Found::default();
    let sides = Sides { old, new };
    paths(&sides, &mut found);
    channels(&sides, &mut found);
    found.0
}

/// Both documents, to look references up in.
struct Sides<'a> {
    old: &'a Value,
    new: &'a Value,
}

impl<'a> Sides<'a> {
    fn shapes(&self, old: &Value, new: &Value) -> (Side<'a>, Side<'a>) {
        (Side::new(self.old, old), Side::new(self.new, new))
    }
}

/// The changes found so far.
#[derive(Default)]
struct Found(Vec<Change>);

impl Found {
    fn breaking(&mut self, at: &str, what: impl Into<String>) {
        self.add(true, at, what.into());
    }

    fn additive(&mut self, at: &str, what: impl Into<String>) {
        self.add(false, at, what.into());
    }

    fn add(&mut self, breaking: bool, at: &str, what: String) {
        let at = at.to_owned();
        self.0.push(Change { breaking, at, what });
    }
}

/// What both have, with what only one of them has told as gone or new.
fn common<'a>(
    old: &'a Value,
    new: &'a Value,
    at: &str,
    found: &mut Found,
) -> Vec<(&'a str, &'a Value, &'a Value)> {
    let (old, new) = (fields(old), fields(new));
    for name in new.keys().filter(|name| !old.contains_key(*name)) {
        found.additive(&format!("{at}{name}"), "is new");
    }
    let mut both = Vec::new();
    for (name, value) in old {
        match new.get(name) {
            Some(other) => both.push((name.as_str(), value, other)),
            None => found.breaking(&format!("{at}{name}"), "is gone"),
        }
    }
    both
}

fn fields(value: &Value) -> &Map<String, Value> {
    static NONE: std::sync::LazyLock<Map<String, Value>> = std::sync::LazyLock::new(Map::new);
    value.as_object().unwrap_or(&NONE)
}

fn paths(sides: &Sides<'_>, found: &mut Found) {
    for (path, old, new) in common(&sides.old["paths"], &sides.new["paths"], "", found) {
        for (method, old, new) in common(old, new, &format!("{path} "), found) {
            let at = format!("{} {path}", method.to_uppercase());
            operation(sides, &at, old, new, found);
        }
    }
}

fn operation(sides: &Sides<'_>, at: &str, old: &Value, new: &Value, found: &mut Found) {
    if old["operationId"] != new["operationId"] {
        found.breaking(at, "has another operationId");
    }
    security(at, &old["security"], &new["security"], found);
    parameters(sides, at, old, new, found);
    let json = |value: &'_ Value| value["content"]["application/json"]["schema"].clone();
    let (old_body, new_body) = (json(&old["requestBody"]), json(&new["requestBody"]));
    match (old_body.is_null(), new_body.is_null()) {
        (true, false) => found.breaking(at, "wants a body now"),
        (false, true) => found.breaking(at, "does not read a body any more"),
        (false, false) => {
            let (old, new) = sides.shapes(&old_body, &new_body);
            shapes(&format!("{at} body"), Way::In, &old, &new, found);
        }
        (true, true) => {}
    }
    answers(sides, at, &old["responses"], &new["responses"], found);
}

/// Each entry is a way to be let in; where there is none, everybody is.
fn security(at: &str, old: &Value, new: &Value, found: &mut Found) {
    let ways = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let (old, new) = (ways(old), ways(new));
    match (old.is_empty(), new.is_empty()) {
        (true, false) => found.breaking(at, "wants a token now"),
        (false, true) => found.additive(at, "wants no token any more"),
        _ => {
            for way in old.iter().filter(|way| !new.contains(way)) {
                found.breaking(at, format!("does not take {way} any more"));
            }
        }
    }
}

fn parameters(sides: &Sides<'_>, at: &str, old: &Value, new: &Value, found: &mut Found) {
    let list = |value: &'_ Value| value["parameters"].as_array().cloned().unwrap_or_default();
    let (old, new) = (list(old), list(new));
    let same =
        |one: &Value, other: &Value| one["in"] == other["in"] && one["name"] == other["name"];
    for parameter in &old {
        let at = format!("{at} {}", parameter["name"].as_str().unwrap_or_default());
        let Some(now) = new.iter().find(|other| same(parameter, other)) else {
            found.breaking(&at, "is not read any more");
            continue;
        };
        if now["required"] == true && parameter["required"] != true {
            found.breaking(&at, "is required now");
        }
        let (old, new) = sides.shapes(&parameter["schema"], &now["schema"]);
        shapes(&at, Way::In, &old, &new, found);
    }
    for parameter in new
        .iter()
        .filter(|one| !old.iter().any(|other| same(one, other)))
    {
        let at = format!("{at} {}", parameter["name"].as_str().unwrap_or_default());
        match parameter["required"] == true {
            true => found.breaking(&at, "is new, and required"),
            false => found.additive(&at, "is new"),
        }
    }
}

fn answers(sides: &Sides<'_>, at: &str, old: &Value, new: &Value, found: &mut Found) {
    for status in fields(new)
        .keys()
        .filter(|status| old.get(*status).is_none())
    {
        found.additive(&format!("{at} {status}"), "is new");
    }
    for (status, old) in fields(old) {
        let at = format!("{at} {status}");
        let Some(new) = new.get(status) else {
            // One refusal less harms nobody; an answer that was waited for does.
            match status.starts_with('2') {
                true => found.breaking(&at, "is gone"),
                false => found.additive(&at, "is gone"),
            }
            continue;
        };
        for header in fields(&old["headers"]).keys() {
            if new["headers"].get(header).is_none() {
                found.breaking(&at, format!("does not tell {header} any more"));
            }
        }
        for (media_type, old, new) in
            common(&old["content"], &new["content"], &format!("{at} "), found)
        {
            let at = format!("{at} {media_type}");
            let (old, new) = sides.shapes(&old["schema"], &new["schema"]);
            shapes(&at, Way::Out, &old, &new, found);
        }
    }
}

fn channels(sides: &Sides<'_>, found: &mut Found) {
    for (name, old, new) in common(
        &sides.old["channels"],
        &sides.new["channels"],
        "event ",
        found,
    ) {
        let at = format!("event {name}");
        if old["address"] != new["address"] {
            found.breaking(&at, "has another routing key");
        }
        if old["bindings"]["amqp"]["exchange"] != new["bindings"]["amqp"]["exchange"] {
            found.breaking(&at, "has another exchange");
        }
        let message =
            |document: &'_ Value| document["components"]["messages"][name]["payload"].clone();
        let (old, new) = (message(sides.old), message(sides.new));
        let (old, new) = sides.shapes(&old, &new);
        shapes(&at, Way::Out, &old, &new, found);
    }
}
