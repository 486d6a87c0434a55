//! `api_changes OLD NEW`: the changes between two documents of an API, one a line; exit code 1 when
//! one of them breaks clients.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "its output is what it is for"
)]

use std::process::ExitCode;

use anyhow::Context;
use serde_json::Value;
use shopflow_testkit::changes;

fn main() -> anyhow::Result<ExitCode> {
    let [old, new] = std::env::args()
        .skip(1)
        .collect::<Vec<_>>()
        .try_into()
        .map_err(|_| anyhow::anyhow!("usage: api_changes OLD NEW"))?;
    let found = changes(&read(&old)?, &read(&new)?);
    for change in &found {
        println!("{change}");
    }
    let breaking = found.iter().filter(|change| change.breaking).count();
    eprintln!("{new}: {} changes, {breaking} breaking", found.len());
    Ok(ExitCode::from(u8::from(breaking > 0)))
}

fn read(path: &String) -> anyhow::Result<Value> {
    let text = std::fs::read_to_string(path).with_context(|| format!("{path} cannot be read"))?;
    serde_json::from_str(&text).with_context(|| format!("{path} is no JSON"))
}
