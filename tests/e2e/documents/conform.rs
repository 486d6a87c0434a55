//! Holding answers against the document.

use http::Method;
use serde_json::Value;
use shopflow_testkit::Response;

use crate::world::run;

/// The JSON of a document.
#[track_caller]
pub(super) fn parse(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// A shape in its document.
pub(super) struct Schema(Value);

impl Schema {
    pub(super) fn new(document: &Value, schema: &Value) -> Self {
        let mut whole = schema.clone();
        whole["components"] = document["components"].clone();
        Self(whole)
    }

    /// Asserts that a value has it.
    #[track_caller]
    pub(super) fn assert(&self, what: &str, value: &Value) {
        let validator = jsonschema::options()
            .should_validate_formats(true)
            .build(&self.0)
            .unwrap_or_else(|error| panic!("{what}: no schema: {error}"));
        let faults: Vec<_> = validator
            .iter_errors(value)
            .map(|fault| format!("{}: {fault}", fault.instance_path()))
            .collect();
        assert!(faults.is_empty(), "{what}: {faults:#?}\n{value:#}");
    }
}

/// A service's document.
pub(super) struct Document(Value);

/// A call that it tells of.
#[derive(Clone)]
pub(super) struct Call {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) told: Value,
}

impl Document {
    /// As the program prints it.
    pub(super) async fn of(service: &str) -> Self {
        let (code, printed) = run(&["openapi", service], &[]).await;
        assert_eq!(code, Some(0), "{printed}");
        Self(parse(&printed))
    }

    /// All calls but those for operators.
    pub(super) fn calls(&self) -> Vec<Call> {
        let paths = self.0["paths"].as_object().unwrap();
        let calls = paths.iter().flat_map(|(path, methods)| {
            methods
                .as_object()
                .unwrap()
                .iter()
                .map(|(method, told)| Call {
                    method: method.to_uppercase().parse().unwrap(),
                    path: path.clone(),
                    told: told.clone(),
                })
        });
        calls
            .filter(|call| call.told["tags"][0] != "Operators")
            .collect()
    }

    /// Asserts that a call may be answered so.
    #[track_caller]
    pub(super) fn assert_told(&self, call: &Call, answer: &Response) {
        let what = format!("{} {} → {}", call.method, call.path, answer.status);
        let told = &call.told["responses"][answer.status.to_string()];
        assert!(told.is_object(), "{what} is not told: {}", answer.text());
        for header in told["headers"].as_object().unwrap().keys() {
            // Nothing is limited here, and nothing replayed.
            let sometimes = ["RateLimit", "RateLimit-Policy", "Idempotent-Replayed"];
            let there = answer.header(header).is_some() || sometimes.contains(&header.as_str());
            assert!(there, "{what} has no {header}");
        }
        let Some(content) = told.get("content") else {
            assert_eq!(answer.text(), "", "{what}");
            return;
        };
        let content_type = answer.header("content-type").unwrap_or_default();
        let content = &content[content_type];
        assert!(content.is_object(), "{what}: {content_type} is not told");
        Schema::new(&self.0, &content["schema"]).assert(&what, &answer.json());
    }
}

impl Call {
    /// Its name for programs.
    pub(super) fn name(&self) -> &str {
        self.told["operationId"].as_str().unwrap()
    }

    /// The example of its body.
    pub(super) fn example(&self) -> Option<&Value> {
        let body = &self.told["requestBody"]["content"]["application/json"];
        body["examples"]["example"].get("value")
    }

    /// Whether it wants a token.
    pub(super) fn is_guarded(&self) -> bool {
        self.told["security"] != Value::Array(Vec::new())
    }

    /// Whether a thing is named in its path.
    pub(super) fn has_id(&self) -> bool {
        self.path.contains("{id}")
    }

    /// The parameters of its query.
    pub(super) fn query(&self) -> Vec<&Value> {
        let all = self.told["parameters"].as_array().into_iter().flatten();
        all.filter(|one| one["in"] == "query").collect()
    }
}
