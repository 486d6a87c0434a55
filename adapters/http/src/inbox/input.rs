//! Reading what is asked of the inbox.

use core_kernel::{Faults, Text, Violation};
use core_notify::{Channel, FaultKind, FaultRule, InboxFilter};

use crate::error::ApiError;
use crate::fields::{self, Value};
use crate::query::{Query, one_of, within};

/// As many as one answer holds.
const MAX_LIMIT: u32 = 10_000;

/// As many as one answer holds unless fewer are asked for: a test that counts wants all.
const DEFAULT_LIMIT: u32 = MAX_LIMIT;

/// Which messages are wanted.
pub(super) fn filter(query: &Query, faults: &mut Faults) -> InboxFilter {
    InboxFilter {
        channel: query.optional(faults, "channel", channel),
        order_id: query.optional(faults, "order_id", |text| {
            text.parse()
                .map_err(|_| Violation::new("format", "must be a UUID"))
        }),
        // A search field that was left empty asks for nothing.
        to: query
            .optional(faults, "to", |text| Ok(text.trim().to_owned()))
            .filter(|to| !to.is_empty()),
        before: query.optional(faults, "before", |text| {
            let digits = text.bytes().all(|byte| byte.is_ascii_digit());
            match text.parse() {
                Ok(id) if digits => Ok(id),
                _ => Err(Violation::new("format", "must be the id of a message")),
            }
        }),
    }
}

/// How many are wanted at most.
pub(super) fn limit(query: &Query, faults: &mut Faults) -> u32 {
    let limit = query.optional(faults, "limit", |text| within(text, 1, MAX_LIMIT));
    limit.unwrap_or(DEFAULT_LIMIT)
}

/// The rule that a body asks for.
pub(super) fn rule(body: &[u8]) -> Result<FaultRule, ApiError> {
    let body = fields::object(body)?;
    let mut faults = Faults::new();
    let channel = body.required(&mut faults, "channel", |value| channel(&value.string()?));
    let kind = body.required(&mut faults, "kind", |value| kind(&value.string()?));
    let count = body.optional(&mut faults, "count", count);
    let to = body.optional(&mut faults, "to", |value| {
        // As long as the longest address.
        Text::<320>::parse(&value.string()?).map(|text| text.as_str().to_owned())
    });
    match (channel, kind) {
        (Some(channel), Some(kind)) if faults.is_empty() => Ok(FaultRule {
            channel,
            kind,
            count,
            to,
        }),
        _ => Err(ApiError::validation(faults)),
    }
}

/// At least one: a rule that nothing meets is a mistake.
fn count(value: &Value<'_>) -> Result<u32, Violation> {
    match u32::try_from(value.integer()?) {
        Ok(0) => Err(Violation::new("min", "must be at least 1")),
        Ok(count) => Ok(count),
        Err(_) if value.integer()? < 0 => Err(Violation::new("min", "must be at least 1")),
        Err(_) => Err(Violation::new(
            "max",
            format!("must be at most {}", u32::MAX),
        )),
    }
}

fn channel(word: &str) -> Result<Channel, Violation> {
    Channel::from_word(word).ok_or_else(|| one_of(&["email", "sms"]))
}

fn kind(word: &str) -> Result<FaultKind, Violation> {
    let words: Vec<&str> = FaultKind::ALL.iter().map(|kind| kind.as_str()).collect();
    FaultKind::from_word(word).ok_or_else(|| one_of(&words))
}
