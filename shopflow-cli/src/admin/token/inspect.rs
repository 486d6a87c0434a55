//! `shopflow token inspect`.

use std::io::Read;

use anyhow::{Context, anyhow};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use core_auth::Keyring;
use core_kernel::{Clock, SystemClock, wire_time};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::dev_keys;
use crate::Failure;
use crate::admin::output::{facts, json, say, when_any};
use crate::cli::{InspectArgs, Output};

/// More than any token of ours has.
const MOST_BYTES: u64 = 64 * 1024;

/// Reads the token from standard input: as an argument everybody on the machine could see it.
pub(super) fn inspect(args: &InspectArgs) -> Result<(), Failure> {
    let keys = match &args.data_dir {
        Some(folder) => Some(dev_keys(folder)?),
        None if args.keys.is_given() => Some(args.keys.resolve()?),
        None => None,
    };
    let mut token = String::new();
    let read = std::io::stdin().take(MOST_BYTES).read_to_string(&mut token);
    read.context("no token can be read from standard input")?;
    let token = token.trim();
    let parts = part(token, 0).zip(part(token, 1));
    let (header, claims) = parts.ok_or_else(|| anyhow!("standard input holds no token"))?;
    let verdict = keys.map(|keys| verdict(&keys, token));
    let told = match &verdict {
        None => "not checked: JWT_SECRET is not set",
        Some(Ok(())) => "good",
        Some(Err(why)) => why,
    };
    tell(args.output.output, &header, &claims, told)?;
    match verdict {
        Some(Err(why)) => Err(anyhow!("the token is refused: {why}").into()),
        Some(Ok(())) | None => Ok(()),
    }
}

/// Signature, kind, claims and times, as a service checks them. What was revoked since only the auth
/// service knows.
fn verdict(keys: &Keyring, token: &str) -> Result<(), String> {
    let now = SystemClock.now();
    let Err(error) = keys.read_bearer(token, now) else {
        return Ok(());
    };
    let refresh = keys.read_refresh(token, now);
    refresh.map(drop).map_err(|_| error.to_string())
}

fn part(token: &str, index: usize) -> Option<Value> {
    let text = token.split('.').nth(index)?;
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).ok()?).ok()
}

fn tell(output: Output, header: &Value, claims: &Value, verdict: &str) -> Result<(), Failure> {
    let time = |name: &str| Timestamp::from_second(claims[name].as_i64()?).ok();
    if output == Output::Json {
        return json(&json!({
            "header": header,
            "claims": claims,
            "issued_at": time("iat").map(wire_time::format),
            "expires_at": time("exp").map(wire_time::format),
            "verdict": verdict,
        }));
    }
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let kind = match header["typ"].as_str() {
        Some("at+jwt") => "access token of a user",
        Some("rt+jwt") => "refresh token",
        _ => "service token",
    };
    say(&facts(&[
        ("Kind", kind.to_owned()),
        ("Subject", text(&claims["sub"])),
        ("Role", text(&claims["role"])),
        ("Session", text(&claims["sid"])),
        ("Id", text(&claims["jti"])),
        ("Key", text(&header["kid"])),
        ("Issued", when_any(time("iat"))),
        ("Expires", when_any(time("exp"))),
        ("Verdict", verdict.to_owned()),
    ]))
}
