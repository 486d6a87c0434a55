//! Comparing what is sent or answered, by its JSON Schema.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::Found;

/// Which way something goes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// From the client: it must be allowed at least what it was.
    In,
    /// To the client: it must get nothing that it did not know.
    Out,
}

/// Rules whose value is a schema for everything of a kind within.
const WITHIN: [&str; 2] = ["items", "additionalProperties"];

/// What says nothing of values.
const WORDS: [&str; 5] = ["description", "examples", "example", "title", "default"];

/// A schema in its document, with references looked up and parts put together.
pub(super) struct Side<'a> {
    document: &'a Value,
    rules: BTreeMap<String, Value>,
    fields: BTreeMap<String, Value>,
    required: BTreeSet<String>,
    /// Whether it may be null as well, by a choice.
    nullable: bool,
    /// Other choices than that: the value is as one of each says.
    choices: Vec<Vec<Value>>,
}

impl<'a> Side<'a> {
    pub(super) fn new(document: &'a Value, schema: &Value) -> Self {
        let mut side = Self {
            document,
            rules: BTreeMap::new(),
            fields: BTreeMap::new(),
            required: BTreeSet::new(),
            nullable: false,
            choices: Vec::new(),
        };
        side.add(schema);
        side
    }

    /// The same document's other schema.
    fn at(&self, schema: &Value) -> Self {
        Self::new(self.document, schema)
    }

    fn add(&mut self, schema: &Value) {
        for (name, value) in super::fields(schema) {
            match name.as_str() {
                "$ref" => {
                    let target = value.as_str().unwrap_or_default().trim_start_matches('#');
                    if let Some(schema) = self.document.pointer(target) {
                        self.add(schema);
                    }
                }
                "allOf" => value
                    .as_array()
                    .into_iter()
                    .flatten()
                    .for_each(|part| self.add(part)),
                "oneOf" | "anyOf" => self.choose(value),
                "properties" => {
                    for (field, shape) in super::fields(value) {
                        both(&mut self.fields, field, shape);
                    }
                }
                "required" => {
                    let names = value.as_array().into_iter().flatten();
                    let names = names.filter_map(Value::as_str).map(str::to_owned);
                    self.required.extend(names);
                }
                "const" => self.rule("enum", &json!([value])),
                word if WORDS.contains(&word) => {}
                within if WITHIN.contains(&within) => both(&mut self.rules, within, value),
                rule => self.rule(rule, value),
            }
        }
    }

    /// One of several, of which null makes the others nullable and nothing more.
    fn choose(&mut self, choices: &Value) {
        let choices = choices.as_array().into_iter().flatten();
        let (null, others): (Vec<&Value>, Vec<&Value>) =
            choices.partition(|choice| choice["type"] == "null");
        self.nullable |= !null.is_empty();
        match others.as_slice() {
            [single] => self.add(single),
            _ => self.choices.push(others.into_iter().cloned().collect()),
        }
    }

    /// Adds a rule to those that are there: all of them hold.
    fn rule(&mut self, name: &str, value: &Value) {
        let known = self.rules.get(name);
        let number = |value: &Value| value.as_f64();
        let together = match known {
            None => value.clone(),
            Some(known) if known == value => return,
            Some(known) if matches!(name, "type" | "enum") => {
                let allowed = listed(value);
                let mut left = listed(known);
                left.retain(|one| allowed.contains(one));
                json!(left)
            }
            Some(known) => match (number(known), number(value)) {
                (Some(old), Some(new)) if is_least(name) => json!(old.max(new)),
                (Some(old), Some(new)) if is_most(name) => json!(old.min(new)),
                _ => json!([known, value]),
            },
        };
        self.rules.insert(name.to_owned(), together);
    }

    /// The values of a rule that lists them; `None` where everything is allowed.
    fn list(&self, rule: &str) -> Option<BTreeSet<String>> {
        let mut values: BTreeSet<String> = listed(self.rules.get(rule)?)
            .iter()
            .map(Value::to_string)
            .collect();
        if self.nullable {
            let null = if rule == "type" {
                json!("null")
            } else {
                Value::Null
            };
            values.insert(null.to_string());
        }
        Some(values)
    }
}

fn listed(value: &Value) -> Vec<Value> {
    match value {
        Value::Array(values) => values.clone(),
        single => vec![single.clone()],
    }
}

fn is_least(rule: &str) -> bool {
    rule.starts_with("min") || rule.starts_with("exclusiveMin")
}

fn is_most(rule: &str) -> bool {
    rule.starts_with("max") || rule.starts_with("exclusiveMax")
}

/// Adds a schema to the one that is there: both hold.
fn both(known: &mut BTreeMap<String, Value>, name: &str, schema: &Value) {
    let together = match known.get(name) {
        Some(known) => json!({ "allOf": [known, schema] }),
        None => schema.clone(),
    };
    known.insert(name.to_owned(), together);
}

/// Compares two shapes of the same thing.
pub(super) fn shapes(at: &str, way: Way, old: &Side<'_>, new: &Side<'_>, found: &mut Found) {
    for rule in ["type", "enum"] {
        lists(at, way, rule, (old.list(rule), new.list(rule)), found);
    }
    let rules: BTreeSet<&String> = old.rules.keys().chain(new.rules.keys()).collect();
    for rule in rules {
        let (before, now) = (old.rules.get(rule), new.rules.get(rule));
        match (rule.as_str(), before, now) {
            ("type" | "enum", ..) => {}
            (rule, Some(before), Some(now))
                if WITHIN.contains(&rule) && before.is_object() && now.is_object() =>
            {
                let at = if rule == "items" {
                    at.to_owned()
                } else {
                    format!("{at}/*")
                };
                shapes(&at, way, &old.at(before), &new.at(now), found);
            }
            _ if before != now => rule_changed(at, way, rule, (before, now), found),
            _ => {}
        }
    }
    choices(at, way, old, new, found);
    fields(at, way, old, new, found);
}

/// A choice is fine if whatever one side may say is something that the other knows.
fn choices(at: &str, way: Way, old: &Side<'_>, new: &Side<'_>, found: &mut Found) {
    if old.choices.len() != new.choices.len() {
        found.breaking(at, "is a choice, or not, unlike before");
        return;
    }
    for (before, now) in old.choices.iter().zip(&new.choices) {
        let compare = |before: &Value, now: &Value| {
            let mut changes = Found::default();
            shapes(at, way, &old.at(before), &new.at(now), &mut changes);
            changes.0
        };
        let (said, known) = match way {
            Way::In => (before, now),
            Way::Out => (now, before),
        };
        let mut alike = 0;
        for one in said {
            let pairs = known.iter().map(|other| match way {
                Way::In => compare(one, other),
                Way::Out => compare(other, one),
            });
            let least =
                pairs.min_by_key(|all| (all.iter().filter(|one| one.breaking).count(), all.len()));
            match least {
                Some(changes) if changes.iter().all(|one| !one.breaking) => {
                    alike += 1;
                    found.0.extend(changes);
                }
                _ => found.breaking(
                    at,
                    format!("a choice is not known on the other side: {one}"),
                ),
            }
        }
        if known.len() > alike {
            found.additive(at, "has another choice");
        }
    }
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
            // A whole number is a number.
            (Some(inner), Some(outer)) => inner.iter().all(|one| {
                outer.contains(one) || one == "\"integer\"" && outer.contains("\"number\"")
            }),
        };
    let fine = match way {
        Way::In => within(&old, &new),
        // New problems may come at any time: clients know the status.
        Way::Out => within(&new, &old) || rule == "enum" && at.ends_with("/code"),
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
        (Some(old), Some(new)) if is_least(rule) => new <= old,
        (Some(old), Some(new)) if is_most(rule) => new >= old,
        _ => false,
    };
    let breaking = match way {
        Way::In => !looser,
        // What is told about its size matters to nobody; what it is does.
        Way::Out => (rule == "format" || WITHIN.contains(&rule)) && old.is_some(),
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
        shapes(&at, way, &old.at(before), &new.at(now), found);
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
