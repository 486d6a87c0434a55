//! The document of each service (OpenAPI 3.1), made from what the service is made of: the types of
//! its answers, the list of its problems, the limits of its lists. What no type tells (which
//! problems a call can meet, what a body must look like) is told beside the handlers, in
//! `<service>/openapi.rs` and `<service>/shape.rs`, and held against the code by tests.

mod health;
mod operation;
mod parts;
pub(crate) mod shapes;
pub(crate) mod words;

use std::collections::BTreeMap;
use std::sync::OnceLock;

use serde_json::{Map, Value, json};

pub(crate) use operation::{Access, Operation};

use crate::error::codes;

/// A service that has a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// Accounts and tokens.
    Auth,
    /// Orders.
    Orders,
    /// Notifications.
    Notify,
}

/// The document of a service: OpenAPI 3.1 as JSON, the same text every time. `GET /openapi.json`
/// of the service answers it.
#[must_use]
pub fn openapi(service: Service) -> &'static str {
    let document = match service {
        Service::Auth => &crate::auth::openapi::DOCUMENT,
        Service::Orders => &crate::orders::openapi::DOCUMENT,
        Service::Notify => &crate::notify::openapi::DOCUMENT,
    };
    document.text()
}

/// A service's document, made when it is first asked for.
pub(crate) struct Document {
    title: &'static str,
    description: &'static str,
    operations: fn() -> Vec<Operation>,
    text: OnceLock<String>,
}

impl Document {
    pub(crate) const fn new(
        title: &'static str,
        description: &'static str,
        operations: fn() -> Vec<Operation>,
    ) -> Self {
        Self {
            title,
            description,
            operations,
            text: OnceLock::new(),
        }
    }

    /// The document as JSON text.
    pub(crate) fn text(&self) -> &str {
        self.text.get_or_init(|| format!("{:#}\n", self.value()))
    }

    fn value(&self) -> Value {
        let mut schemas = BTreeMap::new();
        let mut paths: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
        let mut operations = (self.operations)();
        operations.extend(health::operations());
        let tags = tags(&operations);
        for mut operation in operations {
            schemas.append(&mut operation.take_schemas());
            let path = paths.entry(operation.path).or_default();
            path.insert(operation.method.to_lowercase(), operation.into_value());
        }
        let headers = used(&parts::headers(), &json!(paths));
        json!({
            "openapi": "3.1.1",
            "jsonSchemaDialect": "https://json-schema.org/draft/2020-12/schema",
            "info": {
                "title": self.title,
                "version": env!("CARGO_PKG_VERSION"),
                "description": format!("{}\n\n{COMMON}\n\n{}", self.description, problems()),
                "license": { "name": "MIT", "identifier": "MIT" },
            },
            "servers": [{ "url": "/", "description": "Where this document comes from." }],
            "tags": tags,
            "paths": paths,
            "components": {
                "schemas": schemas,
                "headers": headers,
                "securitySchemes": parts::security_schemes(),
            },
        })
    }
}

/// The groups of calls, in the order in which they come.
fn tags(operations: &[Operation]) -> Vec<Value> {
    let mut names: Vec<&str> = Vec::new();
    for operation in operations {
        if !names.contains(&operation.tag) {
            names.push(operation.tag);
        }
    }
    let tag = |name: &&str| json!({ "name": name, "description": parts::group(name) });
    names.iter().map(tag).collect()
}

/// Those parts that are referred to.
fn used(parts: &Value, paths: &Value) -> Value {
    let told = paths.to_string();
    let all = parts.as_object().into_iter().flatten();
    let used = all.filter(|(name, _)| told.contains(&format!("#/components/headers/{name}\"")));
    used.map(|(name, part)| (name.clone(), part.clone()))
        .collect()
}

/// What is true of every call.
const COMMON: &str = "Bodies are JSON in UTF-8; unknown fields are ignored, and absent optional \
    fields come back as `null`. Times are RFC 3339 in UTC with three fraction digits. Amounts are \
    exact decimals: JSON numbers with at most two fraction digits. Every answer has an \
    `X-Request-Id`: the caller's own, when it is 1 to 128 visible ASCII characters, else a new one. \
    A W3C `traceparent` is continued. `HEAD` works wherever `GET` does. \
    An unknown path is 404, another method 405 with `Allow`.\n\n\
    What is checked first is told first: path and method, rate limit, token (401), role (403), \
    body and parameters (413, 415, 400), whether it exists (404), whose it is (403), conflicts (409).";

/// The table of all problems.
fn problems() -> String {
    let mut table = String::from(
        "Refusals are `application/problem+json` (RFC 9457). `code` tells programs what happened:\n\n\
         | Status | Code | Meaning |\n|---|---|---|",
    );
    for code in codes::ALL {
        let (status, word, meaning) = (code.status.as_u16(), code.word, code.meaning);
        table.push_str(&format!("\n| {status} | `{word}` | {meaning} |"));
    }
    table
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
