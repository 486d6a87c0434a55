//! Every call that the documents tell of, made.

use serde_json::Value;
use shopflow_testkit::Service;

use super::conform::{Call, Document};
use super::stage::{NOTHING, Stage, send};
use crate::world::Backend;

/// In the order in which one leads to the other: an account, a session, a mail; the rest as it comes.
const FIRST: [&str; 5] = [
    "register",
    "login",
    "refresh",
    "verifyEmail",
    "forgotPassword",
];

fn in_order(document: &Document) -> Vec<Call> {
    let mut calls = document.calls();
    calls.sort_by_key(|call| {
        let place = FIRST.iter().position(|name| *name == call.name());
        place.unwrap_or(FIRST.len())
    });
    calls
}

pub(super) async fn every_example_is_answered_as_the_document_says(on: Backend) {
    let stage = Stage::set(on).await;
    for service in Service::ALL {
        let document = Document::of(service.name()).await;
        for call in in_order(&document) {
            let answer = stage.make(service, &call, "").await;
            document.assert_told(&call, &answer);
            assert_eq!(answer.status / 100, 2, "{}: {}", call.name(), answer.text());
        }
    }
}

pub(super) async fn every_choice_of_a_list_is_answered_as_the_document_says(on: Backend) {
    let stage = Stage::set(on).await;
    for service in Service::ALL {
        let document = Document::of(service.name()).await;
        for call in document.calls() {
            for parameter in call.query() {
                for value in choices(&parameter["schema"]) {
                    let name = parameter["name"].as_str().unwrap();
                    let answer = stage
                        .make(service, &call, &format!("?{name}={value}"))
                        .await;
                    document.assert_told(&call, &answer);
                    let what = format!("{}?{name}={value}", call.path);
                    assert_eq!(answer.status, 200, "{what}: {}", answer.text());
                }
            }
        }
    }
}

/// Values that a parameter may have, as far as its shape names them.
fn choices(schema: &Value) -> Vec<String> {
    let words = schema["enum"].as_array().into_iter().flatten();
    let mut choices: Vec<String> = words.filter_map(Value::as_str).map(str::to_owned).collect();
    choices.extend(
        ["minimum", "maximum"]
            .iter()
            .filter_map(|bound| Some(schema[bound].as_u64()?.to_string())),
    );
    if schema["type"] == "boolean" {
        choices.extend(["true".to_owned(), "false".to_owned()]);
    }
    for one in schema["anyOf"].as_array().into_iter().flatten() {
        choices.extend(one["const"].as_str().map(str::to_owned));
    }
    if schema["format"] == "uuid" {
        choices.push(NOTHING.to_owned());
    }
    choices
}

pub(super) async fn every_refusal_is_one_that_the_document_tells(on: Backend) {
    let stage = Stage::set(on).await;
    for service in Service::ALL {
        let document = Document::of(service.name()).await;
        for call in document.calls() {
            let (token, id) = stage.cast(&call);
            let path = call.path.replace("{id}", id);
            let stranger = stage.client(service);
            let caller = match token {
                Some(token) => &stranger.with_token(token),
                None => stranger,
            };
            let mut refusals = Vec::new();
            if call.is_guarded() {
                let answer = send(stranger, &call, &path, body(&call)).await;
                refusals.push(("no token", 401, answer));
            }
            if call.has_id() {
                for nothing in [NOTHING, "no-uuid"] {
                    let path = call.path.replace("{id}", nothing);
                    let answer = send(caller, &call, &path, body(&call)).await;
                    // One's own password only.
                    let status = if call.name() == "changePassword" && nothing == NOTHING {
                        403
                    } else {
                        404
                    };
                    refusals.push(("nothing", status, answer));
                }
            }
            if call.example().is_some() {
                for (what, status, text) in [
                    ("no JSON", 400, "{".to_owned()),
                    ("no object", 400, "[]".to_owned()),
                    ("too much", 413, "x".repeat(256 * 1024 + 1)),
                ] {
                    refusals.push((what, status, send(caller, &call, &path, text).await));
                }
                let plain = &[("content-type", "text/plain")][..];
                let answer = caller
                    .request(call.method.clone(), &path, plain, body(&call))
                    .await;
                refusals.push(("no JSON type", 415, answer.unwrap()));
            }
            for parameter in call.query() {
                if choices(&parameter["schema"]).is_empty() {
                    continue;
                }
                let name = parameter["name"].as_str().unwrap();
                let path = format!("{path}?{name}=%20");
                refusals.push((name, 400, send(caller, &call, &path, body(&call)).await));
            }
            for (what, status, answer) in refusals {
                let what = format!("{} {what}: {}", call.name(), answer.text());
                assert_eq!(answer.status, status, "{what}");
                document.assert_told(&call, &answer);
            }
        }
    }
}

fn body(call: &Call) -> String {
    call.example().map_or_else(String::new, Value::to_string)
}
