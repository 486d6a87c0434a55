//! What a message carries beside its body, and what it carries on to its next hop.

mod dead_letter;

use core_kernel::{EventId, RequestContext, TraceContext, wire_time};
use core_notify::Channel;
use jiff::Timestamp;
use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable, ShortString};

/// Which attempt a delivery is. Ours, because the broker's own `x-death` cannot be relied on
/// across versions and re-publishing.
const ATTEMPT: &str = "x-shopflow-attempt";
const FIRST_FAILED_AT: &str = "x-first-failed-at";

/// OpenTelemetry's name for the broker.
pub(crate) const SYSTEM: &str = "rabbitmq";

/// When an event was published, in microseconds since 1970: how long it waited in its queue. The
/// standard property counts whole seconds, and tells when the event happened.
pub(crate) const PUBLISHED_AT: &str = "x-shopflow-published-at";

/// What is read from a delivery.
#[derive(Clone, Debug)]
pub(crate) struct Hop {
    /// Which attempt it is, from 1.
    pub(crate) attempt: u32,
    /// Whether it was put back by us before.
    pub(crate) republished: bool,
    /// When an attempt first failed.
    pub(crate) first_failed_at: Option<String>,
    /// When it was published, if it came here straight from there.
    pub(crate) published_at: Option<Timestamp>,
    /// What caused it, as its message tells.
    pub(crate) cause: Option<TraceContext>,
    /// What the work on it is known by.
    pub(crate) context: RequestContext,
}

impl Hop {
    pub(crate) fn read(properties: &BasicProperties) -> Self {
        let headers = properties.headers().as_ref();
        let text = |name: &str| {
            headers
                .and_then(|table| table.inner().get(name))
                .and_then(string)
        };
        let attempt = headers
            .and_then(|table| table.inner().get(ATTEMPT))
            .and_then(integer);
        let parent = text("traceparent")
            .and_then(|parent| TraceContext::parse(&parent, text("tracestate").as_deref()));
        let trace = TraceContext::continued(parent.as_ref());
        let published_at = headers
            .and_then(|table| table.inner().get(PUBLISHED_AT))
            .and_then(microseconds);
        // The event's id is the name under which its work is logged in every service.
        let request_id = match properties.message_id() {
            Some(id) if is_header_safe(id.as_str()) => id.as_str().into(),
            _ => EventId::generate().to_string().into(),
        };
        Self {
            attempt: attempt.unwrap_or(1).max(1),
            republished: attempt.is_some(),
            first_failed_at: text(FIRST_FAILED_AT),
            published_at,
            cause: parent,
            context: RequestContext { request_id, trace },
        }
    }
}

fn is_header_safe(id: &str) -> bool {
    (1..=128).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic())
}

fn string(value: &AMQPValue) -> Option<String> {
    match value {
        AMQPValue::LongString(text) => String::from_utf8(text.as_bytes().to_vec()).ok(),
        AMQPValue::ShortString(text) => Some(text.to_string()),
        _ => None,
    }
}

fn integer(value: &AMQPValue) -> Option<u32> {
    match *value {
        AMQPValue::ShortShortInt(n) => u32::try_from(n).ok(),
        AMQPValue::ShortShortUInt(n) => Some(n.into()),
        AMQPValue::ShortInt(n) => u32::try_from(n).ok(),
        AMQPValue::ShortUInt(n) => Some(n.into()),
        AMQPValue::LongInt(n) => u32::try_from(n).ok(),
        AMQPValue::LongUInt(n) => Some(n),
        AMQPValue::LongLongInt(n) => u32::try_from(n).ok(),
        _ => None,
    }
}

fn microseconds(value: &AMQPValue) -> Option<Timestamp> {
    match *value {
        AMQPValue::LongLongInt(at) => Timestamp::from_microsecond(at).ok(),
        _ => None,
    }
}

fn long(value: impl AsRef<str>) -> AMQPValue {
    AMQPValue::LongString(value.as_ref().into())
}

fn number(value: u32) -> AMQPValue {
    AMQPValue::LongLongInt(value.into())
}

/// What a message keeps on its way to another queue: its identity and its trace, and nothing that
/// the broker or a stranger put there. A copy that kept `x-death` could be dropped in silence as a
/// dead-letter cycle, one with an `expiration` would vanish, one with a foreign `user_id` would be
/// refused.
fn clean(properties: &BasicProperties, hop: &Hop) -> (BasicProperties, FieldTable) {
    let mut headers = FieldTable::default();
    if let Some(original) = properties.headers() {
        for name in ["traceparent", "tracestate"] {
            if let Some(value) = original.inner().get(name) {
                headers.insert(ShortString::from(name), value.clone());
            }
        }
    }
    let id = properties.message_id().clone();
    let id = id.unwrap_or_else(|| hop.context.request_id.as_ref().into());
    let mut copy = BasicProperties::default()
        .with_content_type("application/json".into())
        .with_delivery_mode(2)
        .with_message_id(id);
    if let Some(kind) = properties.kind() {
        copy = copy.with_type(kind.clone());
    }
    if let Some(at) = properties.timestamp() {
        copy = copy.with_timestamp(*at);
    }
    if let Some(app) = properties.app_id() {
        copy = copy.with_app_id(app.clone());
    }
    if let Some(correlation) = properties.correlation_id() {
        copy = copy.with_correlation_id(correlation.clone());
    }
    (copy, headers)
}

/// The properties of a message that goes to wait for its attempt number `attempt`.
pub(crate) fn for_retry(
    properties: &BasicProperties,
    hop: &Hop,
    attempt: u32,
    failed_at: Option<Timestamp>,
) -> BasicProperties {
    let (copy, mut headers) = clean(properties, hop);
    headers.insert(ATTEMPT.into(), number(attempt));
    let first = hop
        .first_failed_at
        .clone()
        .or(failed_at.map(wire_time::format));
    if let Some(first) = first {
        headers.insert(FIRST_FAILED_AT.into(), long(first));
    }
    copy.with_headers(headers)
}

/// The properties of a dead letter: why, when and how often it failed.
pub(crate) fn for_dead_letter(
    properties: &BasicProperties,
    hop: &Hop,
    class: &str,
    reason: &str,
    channels: &[Channel],
    failed_at: Timestamp,
) -> BasicProperties {
    let (copy, mut headers) = clean(properties, hop);
    let failed_at = wire_time::format(failed_at);
    let first = hop
        .first_failed_at
        .clone()
        .unwrap_or_else(|| failed_at.clone());
    let why = (class, reason, channels);
    dead_letter::why(&mut headers, why, hop.attempt, first, failed_at);
    copy.with_headers(headers)
}

/// The properties of a dead letter that is worked on anew: as if it had just been published.
pub(crate) fn for_replay(properties: &BasicProperties) -> BasicProperties {
    let (copy, headers) = clean(properties, &Hop::read(properties));
    copy.with_headers(headers)
}

pub(crate) use dead_letter::{read_dead_letter, renewed, returns, to_dead_letter};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_first_delivery_is_attempt_one() {
        let hop = Hop::read(&BasicProperties::default().with_message_id("e-1".into()));
        assert_eq!((hop.attempt, hop.republished), (1, false));
        assert_eq!(&*hop.context.request_id, "e-1");
    }

    #[test]
    fn a_retry_keeps_identity_and_trace_and_drops_the_brokers_marks() {
        let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let mut headers = FieldTable::default();
        headers.insert("traceparent".into(), long(parent));
        headers.insert("x-death".into(), long("whatever"));
        headers.insert("x-first-death-queue".into(), long("q"));
        let original = BasicProperties::default()
            .with_message_id("e-1".into())
            .with_type("OrderCreated".into())
            .with_headers(headers);
        let hop = Hop::read(&original);
        let at = Timestamp::from_second(0).unwrap();
        let retry = for_retry(&original, &hop, 2, Some(at));
        assert_eq!(retry.message_id(), original.message_id());
        assert_eq!(retry.kind(), original.kind());
        let names: Vec<_> = retry
            .headers()
            .as_ref()
            .unwrap()
            .inner()
            .keys()
            .map(ToString::to_string)
            .collect();
        assert_eq!(
            names,
            ["traceparent", "x-first-failed-at", "x-shopflow-attempt"]
        );
        let again = Hop::read(&retry);
        assert_eq!((again.attempt, again.republished), (2, true));
        assert_eq!(
            again.context.trace.trace_id(),
            "4bf92f3577b34da6a3ce929d0e0e4736"
        );

        let later = Timestamp::from_second(60).unwrap();
        let third = Hop::read(&for_retry(&retry, &again, 3, Some(later)));
        assert_eq!(
            third.first_failed_at.as_deref(),
            Some("1970-01-01T00:00:00.000Z")
        );
    }
}
