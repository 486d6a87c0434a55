//! How good secrets are, and for how long.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};

use super::verdict::{Finding, fail, ok, warn};
use crate::config::{KeyConfig, Secret};
use crate::serve::{due, expiry};

/// Fewer bits, as far as letters tell, can be guessed in the end.
const ENOUGH_BITS: f64 = 100.0;

/// Words of examples that were never replaced.
const PLACEHOLDERS: [&str; 4] = ["changeme", "change-me", "example", "password"];

/// A token with less left should have been renewed.
const SHORT: SignedDuration = SignedDuration::from_hours(1);

const ROTATE: &str = "make another: openssl rand -hex 32; and let the old one verify for a while (JWT_SECRET_PREVIOUS)";

/// The secrets that sign and verify.
pub(super) fn keys(keys: &KeyConfig, now: Timestamp) -> Vec<Finding> {
    let mut all = vec![current(&keys.current, now)];
    if let Some(previous) = &keys.previous {
        let weak = previous.expose().split(',').map(str::trim);
        let weak = weak.filter(|secret| !secret.is_empty()).any(is_weak);
        let name = "JWT_SECRET_PREVIOUS";
        all.push(match weak {
            true => warn(
                name,
                "one looks as if it could be guessed",
                "take it out as soon as no token needs it",
            ),
            false => ok(name, "looks random"),
        });
    }
    all
}

fn current(secret: &Secret, now: Timestamp) -> Finding {
    let name = "JWT_SECRET";
    if is_weak(secret.expose()) {
        return warn(name, "looks as if it could be guessed", ROTATE);
    }
    let left = secret.file.as_deref().and_then(due);
    match left.map(|due| due - now.as_second()) {
        None => ok(name, "looks random"),
        Some(left) if left < 0 => warn(name, "looks random, but is older than 90 days", ROTATE),
        Some(left) => ok(
            name,
            format!("looks random; to be replaced in {} days", left / 86_400),
        ),
    }
}

/// Whether a secret looks as if somebody had made it up. What is random has letters in about equal
/// shares, which Shannon's measure tells; it cannot tell that words are words.
pub(super) fn is_weak(secret: &str) -> bool {
    let lower = secret.to_lowercase();
    if PLACEHOLDERS.iter().any(|word| lower.contains(word)) {
        return true;
    }
    // Keys in a row, 123456...: many different letters, and nothing random.
    let codes: Vec<u32> = secret.chars().map(u32::from).collect();
    let steps = codes
        .windows(2)
        .filter(|pair| pair[0].abs_diff(pair[1]) <= 1);
    if steps.count() * 2 > codes.len() {
        return true;
    }
    let mut counts: HashMap<char, u32> = HashMap::new();
    for letter in secret.chars() {
        *counts.entry(letter).or_default() += 1;
    }
    let length: u32 = counts.values().sum();
    let bits = |count: u32| -f64::from(count) * (f64::from(count) / f64::from(length)).log2();
    let bits: f64 = counts.values().map(|count| bits(*count)).sum();
    bits < ENOUGH_BITS
}

/// How long a service token is still good, as it says itself.
pub(super) fn token(name: &str, token: &Secret, now: Timestamp) -> Finding {
    const ADVICE: &str = "make another: shopflow token service --subject NAME";
    let Some(expires) = expiry(token.expose()) else {
        return fail(name, "is no service token", ADVICE);
    };
    let left = SignedDuration::from_secs(expires - now.as_second());
    match left {
        left if left <= SignedDuration::ZERO => fail(name, "has expired", ADVICE),
        left if left < SHORT => warn(name, format!("expires in {}", span(left)), ADVICE),
        left => ok(name, format!("expires in {}", span(left))),
    }
}

/// In whole minutes, `23h 59m`.
fn span(left: SignedDuration) -> String {
    format!("{:#}", SignedDuration::from_mins(left.as_mins()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    #[test]
    fn a_secret_that_somebody_made_up_is_weak_and_a_random_one_is_not() {
        for weak in [
            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            "12345678901234567890123456789012",
            "please-changeme-before-production-0123456789",
        ] {
            assert!(is_weak(weak), "{weak}");
        }
        for random in [
            "9f86d081884c7d659a2feaa0c55ad015",
            "b5bb9d8014a0f9b1d61e21e796d78dccdf1352f23cd32812f4850b878ae4944c",
            "Zm9vYmFyYmF6cXV4MTIzNDU2Nzg5MGFiY2Rl",
        ] {
            assert!(!is_weak(random), "{random}");
        }
    }

    #[test]
    fn a_token_fails_once_it_has_expired_and_warns_an_hour_before() {
        use super::super::verdict::Verdict;
        let now = Timestamp::from_second(1_000_000).unwrap();
        let of = |expires: i64| {
            let claims = URL_SAFE_NO_PAD.encode(format!(r#"{{"exp":{expires}}}"#));
            let secret = Secret {
                value: format!("x.{claims}.x").into(),
                file: None,
            };
            token("AUTH_SERVICE_TOKEN", &secret, now)
        };
        assert_eq!(of(1_000_000).verdict, Verdict::Fail);
        assert_eq!(of(1_000_000 + 3599).verdict, Verdict::Warn);
        let good = of(1_000_000 + 86_399);
        assert_eq!(good, ok("AUTH_SERVICE_TOKEN", "expires in 23h 59m"));
    }
}
