//! The development inbox, over HTTP.

#![expect(
    clippy::unwrap_used,
    reason = "clippy knows tests, but not what helps them"
)]

mod fake;
mod faults;
mod pages;
mod programs;

use fake::Held;
use serde_json::Value;

const JANE: &str = "jane@example.com";

/// A mail, a text and a mail.
fn three() -> Held {
    Held::default()
        .mail(1, JANE, "First")
        .text(1, "+15551234567", "Second")
        .mail(2, "joe+1@example.com", "Third")
}

/// Where the faults of a request are, and which.
fn faults(problem: &Value) -> Vec<(&str, &str)> {
    let errors = problem["errors"].as_array().unwrap();
    errors
        .iter()
        .map(|error| {
            let place = error["pointer"].as_str().or(error["parameter"].as_str());
            (place.unwrap(), error["code"].as_str().unwrap())
        })
        .collect()
}
