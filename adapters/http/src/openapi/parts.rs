//! What calls have in common: headers, tokens, and what problems look like.

use serde_json::{Value, json};

use crate::error::codes::{self, Code};

/// Headers of answers, by the name that calls refer to them by.
pub(super) fn headers() -> Value {
    let header =
        |description: &str, schema: Value| json!({ "description": description, "schema": schema });
    let text = || json!({ "type": "string" });
    let seconds = || json!({ "type": "integer", "minimum": 1 });
    json!({
        "X-Request-Id": header("What the request is known by in the logs.",
            json!({ "type": "string", "minLength": 1, "maxLength": 128 })),
        "RateLimit": header("What is left of the limit, and in how many seconds there will be more: \
            `\"auth\";r=42;t=17`. Absent where nothing is limited.", text()),
        "RateLimit-Policy": header("The limit: so many requests in so many seconds, \
            `\"auth\";q=100;w=60`. Absent where nothing is limited.", text()),
        "Retry-After": header("After how many seconds to try again.", seconds()),
        "WWW-Authenticate": header("How to authenticate (RFC 6750).", json!({ "const": "Bearer" })),
        "Location": header("The path of what was made.", json!({ "type": "string", "format": "uri-reference" })),
        "Idempotent-Replayed": header("Told when the answer was given before, for the same \
            `Idempotency-Key`.", json!({ "const": "true" })),
    })
}

/// A header of an answer by its name.
pub(super) fn header(name: &str) -> Value {
    json!({ "$ref": format!("#/components/headers/{name}") })
}

/// What a group of calls is about.
pub(super) fn group(tag: &str) -> &'static str {
    match tag {
        "Tokens" => "Logging in and out, and telling whether a token counts.",
        "Mails" => "What is done by a token that was mailed: another password, a verified address.",
        "Accounts" => "Who users are.",
        "For services" => "What only our own services ask.",
        "Orders" => "Placing orders, and moving them on.",
        "Notifications" => "Mails and texts, and what became of them.",
        _ => "What balancers, monitors and tools ask.",
    }
}

/// The tokens that calls show.
pub(super) fn security_schemes() -> Value {
    let bearer = |description: &str| {
        json!({
            "type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": description,
        })
    };
    json!({
        "userToken": bearer("An access token of `POST /auth/login`, good for an hour."),
        "serviceToken": bearer("A service's own token, made by `shopflow token service`."),
    })
}

/// The answer for problems of one status.
pub(super) fn problem(status: u16, codes: &[&Code]) -> Value {
    let mut words: Vec<&str> = codes.iter().map(|code| code.word).collect();
    words.dedup();
    let lines: Vec<String> = codes
        .iter()
        .map(|code| format!("`{}`: {}", code.word, code.meaning))
        .collect();
    let mut headers = json!({ "X-Request-Id": header("X-Request-Id") });
    // Who comes too early is told when to come again.
    let in_progress = words.contains(&codes::REQUEST_IN_PROGRESS.word);
    match status {
        401 => headers["WWW-Authenticate"] = header("WWW-Authenticate"),
        409 if in_progress => headers["Retry-After"] = header("Retry-After"),
        429 | 503 => headers["Retry-After"] = header("Retry-After"),
        _ => {}
    }
    json!({
        "description": lines.join("\n\n"),
        "headers": headers,
        "content": { "application/problem+json": { "schema": {
            "allOf": [
                { "$ref": "#/components/schemas/Problem" },
                { "properties": { "status": { "const": status }, "code": { "enum": words } } },
            ],
        } } },
    })
}
