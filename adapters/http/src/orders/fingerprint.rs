//! What makes two bodies the same request: the same JSON value, however it is written.

use std::borrow::Cow;
use std::collections::BTreeMap;

use core_orders::Fingerprint;
use ring::digest::{SHA256, digest};
use serde_json::value::RawValue;

/// An order is three levels deep. Each level is read anew, so a body that is all brackets would
/// cost its length times its depth; what is deeper counts by its text.
const MAX_DEPTH: usize = 16;

/// The fingerprint of a JSON body: white space, the order of fields, escapes and the spelling of
/// numbers make no difference. Of a repeated field the last counts, as in reading the order.
pub(super) fn of(body: &[u8]) -> Fingerprint {
    let mut canonical = String::with_capacity(body.len());
    // The body was read as JSON before, so there is nothing to refuse here.
    match serde_json::from_slice(body) {
        Ok(value) => write(value, 0, &mut canonical),
        Err(_) => canonical.push_str(&String::from_utf8_lossy(body)),
    }
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, canonical.as_bytes()).as_ref());
    Fingerprint(hash)
}

fn write(value: &RawValue, depth: usize, out: &mut String) {
    let text = value.get();
    let done = match text.as_bytes().first() {
        Some(b'{') if depth < MAX_DEPTH => object(text, depth, out),
        Some(b'[') if depth < MAX_DEPTH => array(text, depth, out),
        Some(b'"') => string(text, out),
        Some(b'-' | b'0'..=b'9') => number(text, out),
        _ => None,
    };
    if done.is_none() {
        out.push_str(text);
    }
}

fn object(text: &str, depth: usize, out: &mut String) -> Option<()> {
    let fields: BTreeMap<String, &RawValue> = serde_json::from_str(text).ok()?;
    out.push('{');
    for (name, value) in fields {
        out.push_str(&serde_json::to_string(&name).ok()?);
        out.push(':');
        write(value, depth + 1, out);
        out.push(',');
    }
    out.push('}');
    Some(())
}

fn array(text: &str, depth: usize, out: &mut String) -> Option<()> {
    let items: Vec<&RawValue> = serde_json::from_str(text).ok()?;
    out.push('[');
    for item in items {
        write(item, depth + 1, out);
        out.push(',');
    }
    out.push(']');
    Some(())
}

fn string(text: &str, out: &mut String) -> Option<()> {
    let text: Cow<'_, str> = serde_json::from_str(text).ok()?;
    out.push_str(&serde_json::to_string(&text).ok()?);
    Some(())
}

/// A number by its exact value: its digits without zeros at either end, and a power of ten.
fn number(text: &str, out: &mut String) -> Option<()> {
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let digits = mantissa.strip_prefix('-');
    let negative = digits.is_some();
    let digits = digits.unwrap_or(mantissa);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let digits = format!("{whole}{fraction}");
    let significant = digits.trim_end_matches('0');
    let dropped = i64::try_from(digits.len() - significant.len()).ok()?;
    let significant = significant.trim_start_matches('0');
    if significant.is_empty() {
        out.push('0');
        return Some(());
    }
    let power = exponent
        .parse::<i64>()
        .ok()?
        .checked_add(dropped)?
        .checked_sub(i64::try_from(fraction.len()).ok()?)?;
    let sign = if negative { "-" } else { "" };
    out.push_str(&format!("{sign}{significant}e{power}"));
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same(one: &str, other: &str) -> bool {
        of(one.as_bytes()) == of(other.as_bytes())
    }

    #[test]
    fn the_same_value_has_the_same_fingerprint_however_it_is_written() {
        for (one, other) in [
            (r#"{"a":1,"b":[2,3]}"#, " {\n\"b\" : [ 2 ,3 ],\t\"a\":1 } "),
            (r#"{"a":100}"#, r#"{"a":1e2}"#),
            (r#"{"a":49.99}"#, r#"{"a":4999.0E-2}"#),
            (r#"{"a":49.990}"#, r#"{"a":0.4999e+2}"#),
            (r#"{"a":0}"#, r#"{"a":-0.000e7}"#),
            (r#"{"a":"\u00e4\/"}"#, r#"{"a":"ä/"}"#),
            (r#"{"a":1,"a":2}"#, r#"{"a":2}"#),
            (r#"{"\u0061":1}"#, r#"{"a":1}"#),
        ] {
            assert!(same(one, other), "{one} {other}");
        }
    }

    #[test]
    fn another_value_has_another_fingerprint() {
        for (one, other) in [
            (r#"{"a":1}"#, r#"{"a":2}"#),
            (r#"{"a":1}"#, r#"{"a":"1"}"#),
            (r#"{"a":10}"#, r#"{"a":1}"#),
            (r#"{"a":1}"#, r#"{"a":-1}"#),
            (r#"{"a":[1,2]}"#, r#"{"a":[2,1]}"#),
            (r#"{"a":[[1],2]}"#, r#"{"a":[[1,2]]}"#),
            (r#"{"a":null}"#, r#"{}"#),
            (
                r#"{"a":0.1}"#,
                r#"{"a":0.1000000000000000055511151231257827}"#,
            ),
            (
                r#"{"a":1e99999999999999999999}"#,
                r#"{"a":2e99999999999999999999}"#,
            ),
            (r#"{"a":9007199254740993}"#, r#"{"a":9007199254740992}"#),
        ] {
            assert!(!same(one, other), "{one} {other}");
        }
    }

    #[test]
    fn a_body_of_brackets_costs_little() {
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(same(&deep, &deep));
        assert!(!same(&deep, r#"{"a":[]}"#));
    }
}
