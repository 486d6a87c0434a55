//! What every service answers its operators, and this document.

use http::StatusCode;
use serde_json::{Value, json};

use super::operation::Operation;
use crate::error::codes;

/// Its operations.
pub(super) fn operations() -> Vec<Operation> {
    let get = |path, id, summary| Operation::bare(("GET", path), ("Operators", id), summary);
    let alive = || {
        let shape = json!({
            "type": "object", "required": ["status"],
            "properties": { "status": { "const": "ok" } },
        });
        json!({ "schema": shape, "examples": { "example": { "value": { "status": "ok" } } } })
    };
    let up = "The process is up.";
    vec![
        get("/health", "health", "Tells that the process is up").answer(
            StatusCode::OK,
            up,
            JSON,
            alive(),
        ),
        get("/health/live", "live", "The same").answer(StatusCode::OK, up, JSON, alive()),
        get(
            "/health/ready",
            "ready",
            "Tells whether the service can do its work",
        )
        .about("Send it requests only while it is ready.")
        .answer(StatusCode::OK, "All it needs is there.", JSON, ready("ok"))
        .answer(
            StatusCode::SERVICE_UNAVAILABLE,
            "Something that it needs is away, or it is about to stop.",
            JSON,
            ready("unavailable"),
        )
        .telling(StatusCode::SERVICE_UNAVAILABLE, "Retry-After"),
        get("/metrics", "metrics", "Tells its figures (Prometheus)")
            .about("Where `METRICS_PORT` is set, they are told there, and are not found here.")
            .answer(
                StatusCode::OK,
                "The text format of Prometheus.",
                "text/plain",
                json!({ "schema": { "type": "string" } }),
            )
            .refuses([&codes::NOT_FOUND]),
        get(
            "/openapi.json",
            "openapi",
            "Tells what the service answers (OpenAPI 3.1)",
        )
        .answer(
            StatusCode::OK,
            "This document.",
            JSON,
            json!({ "schema": {
                "type": "object", "required": ["openapi", "info", "paths"],
                "properties": {
                    "openapi": { "type": "string" },
                    "info": { "type": "object" },
                    "paths": { "type": "object" },
                },
            } }),
        ),
    ]
}

const JSON: &str = "application/json";

fn ready(word: &str) -> Value {
    json!({
        "schema": {
            "type": "object", "required": ["status", "checks"],
            "properties": {
                "status": { "const": word },
                "checks": {
                    "type": "object",
                    "additionalProperties": { "enum": ["ok", "unavailable"] },
                },
            },
        },
        "examples": { "example": { "value": {
            "status": word, "checks": { "database": word, "broker": "ok" },
        } } },
    })
}
