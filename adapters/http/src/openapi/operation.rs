//! One call: what it takes, and everything it may answer.

use std::collections::BTreeMap;

use http::StatusCode;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::parts::{header, problem};
use crate::error::Problem;
use crate::error::codes::{self, Code};

/// Whose token a call wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Nobody's.
    Open,
    /// A user's.
    Users,
    /// A user's or a service's.
    Anyone,
    /// A service's.
    Services,
}

/// A method of a path.
pub(crate) struct Operation {
    /// The method, in upper case.
    pub(crate) method: &'static str,
    /// The path as its route has it.
    pub(crate) path: &'static str,
    /// The group that it is told in.
    pub(super) tag: &'static str,
    id: &'static str,
    summary: &'static str,
    description: &'static str,
    access: Access,
    limited: bool,
    parameters: Vec<Value>,
    body: Option<Value>,
    answers: BTreeMap<u16, Value>,
    refusals: Vec<&'static Code>,
    schemas: BTreeMap<String, Value>,
}

impl Operation {
    /// A call that a handler answers; `id` is its name for programs.
    pub(crate) fn new(
        (method, path): (&'static str, &'static str),
        (tag, id): (&'static str, &'static str),
        summary: &'static str,
    ) -> Self {
        Self::bare((method, path), (tag, id), summary)
            .refuses([&codes::INTERNAL, &codes::UNAVAILABLE])
    }

    /// A call that meets no handler.
    pub(super) fn bare(
        (method, path): (&'static str, &'static str),
        (tag, id): (&'static str, &'static str),
        summary: &'static str,
    ) -> Self {
        let bare = Self {
            method,
            path,
            id,
            tag,
            summary,
            description: "",
            access: Access::Open,
            limited: false,
            parameters: Vec::new(),
            body: None,
            answers: BTreeMap::new(),
            refusals: vec![&codes::BAD_REQUEST],
            schemas: BTreeMap::new(),
        };
        let (bare, _) = bare.knowing::<Problem<'static>>();
        bare
    }

    /// More on what it does.
    pub(crate) fn about(mut self, description: &'static str) -> Self {
        self.description = description;
        self
    }

    /// Whose token it wants.
    pub(crate) fn by(mut self, access: Access) -> Self {
        self.access = access;
        match access {
            Access::Open => self,
            Access::Users | Access::Anyone | Access::Services => {
                self.refuses([&codes::INVALID_TOKEN])
            }
        }
    }

    /// It is counted.
    pub(crate) fn limited(mut self) -> Self {
        self.limited = true;
        self.refuses([&codes::RATE_LIMITED])
    }

    /// The id in its path.
    pub(crate) fn id(self, of: &str) -> Self {
        let schema = json!({ "type": "string", "format": "uuid" });
        let description = format!("The id of the {of}. What is no UUID is nobody's.");
        self.parameter("path", "id", schema, &description)
            .refuses([&codes::NOT_FOUND])
    }

    /// A parameter of its query.
    pub(crate) fn query(self, name: &str, schema: Value, description: &str) -> Self {
        self.parameter("query", name, schema, description)
            .refuses([&codes::VALIDATION_FAILED])
    }

    /// `page` and `limit` of a list.
    pub(crate) fn pages(self) -> Self {
        use super::shapes::integer;
        use core_kernel::PageRequest;
        let limit = integer(1, PageRequest::MAX_LIMIT);
        let about = format!("How many, {} unless told.", PageRequest::DEFAULT_LIMIT);
        self.query("page", integer(1, u32::MAX), "Which page, from 1.")
            .query("limit", limit, &about)
    }

    /// The same of a list that can be walked.
    pub(crate) fn walk(self) -> Self {
        self.pages().query(
            "cursor",
            json!({ "type": "string" }),
            "`pagination.next_cursor` of an answer with the same sort and filters: goes on after \
             it, at the same cost however long the list is. Not together with `page`. Nothing is \
             counted then.",
        )
    }

    /// `user_id` of a list.
    pub(crate) fn scope(self) -> Self {
        let schema =
            json!({ "anyOf": [{ "type": "string", "format": "uuid" }, { "const": "all" }] });
        self.query(
            "user_id",
            schema,
            "Whose. Another's, and `all`, is for admins and services; a service must tell.",
        )
        .refuses([&codes::FORBIDDEN])
    }

    /// A header that it reads.
    pub(crate) fn header(self, name: &str, schema: Value, description: &str) -> Self {
        self.parameter("header", name, schema, description)
    }

    fn parameter(mut self, place: &str, name: &str, schema: Value, description: &str) -> Self {
        let mut parameter = json!({
            "in": place, "name": name, "required": place == "path", "description": description,
        });
        parameter["schema"] = schema;
        self.parameters.push(parameter);
        self
    }

    /// Its body, by the name of its shape, with an example.
    pub(crate) fn reads(mut self, name: &str, shape: Value, example: &Value) -> Self {
        self.schemas.insert(name.to_owned(), shape);
        self.body = Some(json!({
            "required": true,
            "content": { "application/json": {
                "schema": { "$ref": format!("#/components/schemas/{name}") },
                "examples": { "example": { "value": example } },
            } },
        }));
        self.refuses([
            &codes::MALFORMED_JSON,
            &codes::VALIDATION_FAILED,
            &codes::REQUEST_TIMEOUT,
            &codes::PAYLOAD_TOO_LARGE,
            &codes::UNSUPPORTED_MEDIA_TYPE,
        ])
    }

    /// It may answer with this type.
    pub(crate) fn answers<T: ToSchema>(
        self,
        status: StatusCode,
        description: &str,
        example: &Value,
    ) -> Self {
        let (operation, schema) = self.knowing::<T>();
        operation.answer(
            status,
            description,
            "application/json",
            json!({ "schema": schema, "examples": { "example": { "value": example } } }),
        )
    }

    /// It may answer with a body of another type.
    pub(super) fn answer(
        mut self,
        status: StatusCode,
        description: &str,
        media_type: &str,
        content: Value,
    ) -> Self {
        let mut answer = empty(description);
        answer["content"][media_type] = content;
        self.answers.insert(status.as_u16(), answer);
        self
    }

    /// It may answer with nothing.
    pub(crate) fn done(mut self, status: StatusCode, description: &str) -> Self {
        self.answers.insert(status.as_u16(), empty(description));
        self
    }

    /// A header of that answer.
    pub(crate) fn telling(mut self, status: StatusCode, name: &str) -> Self {
        if let Some(answer) = self.answers.get_mut(&status.as_u16()) {
            answer["headers"][name] = header(name);
        }
        self
    }

    /// It may refuse so.
    pub(crate) fn refuses<const N: usize>(mut self, codes: [&'static Code; N]) -> Self {
        self.refusals.extend(codes);
        self
    }

    /// The same, with the shape of a type and those in it among its schemas; the reference to it.
    fn knowing<T: ToSchema>(mut self) -> (Self, Value) {
        let mut found = vec![(T::name().into_owned(), T::schema())];
        T::schemas(&mut found);
        let reference = json!({ "$ref": format!("#/components/schemas/{}", found[0].0) });
        self.schemas
            .extend(found.into_iter().map(|(name, shape)| (name, json!(shape))));
        (self, reference)
    }

    /// The shapes that it refers to.
    pub(super) fn take_schemas(&mut self) -> BTreeMap<String, Value> {
        std::mem::take(&mut self.schemas)
    }

    /// As the document has it.
    pub(super) fn into_value(self) -> Value {
        let mut responses = self.answers;
        let mut refusals: BTreeMap<u16, Vec<&Code>> = BTreeMap::new();
        // In the order of the list, and each once.
        for code in codes::ALL {
            let told = |known: &&Code| known.word == code.word && known.status == code.status;
            if self.refusals.iter().any(told) {
                refusals.entry(code.status.as_u16()).or_default().push(code);
            }
        }
        for (status, codes) in refusals {
            responses
                .entry(status)
                .or_insert_with(|| problem(status, &codes));
        }
        if self.limited {
            for response in responses.values_mut() {
                for name in ["RateLimit", "RateLimit-Policy"] {
                    response["headers"][name] = header(name);
                }
            }
        }
        let responses: Map<String, Value> = responses
            .into_iter()
            .map(|(status, response)| (status.to_string(), response))
            .collect();
        let mut value = json!({
            "operationId": self.id,
            "tags": [self.tag],
            "summary": self.summary,
            "security": security(self.access),
            "responses": responses,
        });
        if !self.description.is_empty() {
            value["description"] = json!(self.description);
        }
        if !self.parameters.is_empty() {
            value["parameters"] = json!(self.parameters);
        }
        if let Some(body) = self.body {
            value["requestBody"] = body;
        }
        value
    }
}

fn empty(description: &str) -> Value {
    json!({
        "description": description,
        "headers": { "X-Request-Id": header("X-Request-Id") },
    })
}

fn security(access: Access) -> Value {
    match access {
        Access::Open => json!([]),
        Access::Users => json!([{ "userToken": [] }]),
        Access::Anyone => json!([{ "userToken": [] }, { "serviceToken": [] }]),
        Access::Services => json!([{ "serviceToken": [] }]),
    }
}
