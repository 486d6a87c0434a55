//! Dead letters to and from what a message carries.

use core_kernel::wire_time;
use core_notify::{Channel, DeadLetter, WorkQueue};
use jiff::Timestamp;
use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable, ShortString};

use super::{FIRST_FAILED_AT, Hop, integer, long, number, string};

const CLASS: &str = "x-error-class";
const MESSAGE: &str = "x-error-message";
const ATTEMPTS: &str = "x-attempts";
const FAILED_AT: &str = "x-failed-at";
const CHANNELS: &str = "x-failed-channels";
/// The broker's count of how often a quorum queue got a message back.
const RETURNS: &str = "x-delivery-count";

fn header<'a>(properties: &'a BasicProperties, name: &str) -> Option<&'a AMQPValue> {
    properties.headers().as_ref()?.inner().get(name)
}

/// How often the message was returned to its queue before.
pub(crate) fn returns(properties: &BasicProperties) -> u32 {
    header(properties, RETURNS).and_then(integer).unwrap_or(0)
}

/// The same properties for a copy whose returns are counted from zero again.
pub(crate) fn renewed(properties: &BasicProperties) -> BasicProperties {
    let mut headers = FieldTable::default();
    let old = properties.headers().iter().flat_map(FieldTable::inner);
    for (name, value) in old.filter(|(name, _)| name.as_str() != RETURNS) {
        headers.insert(name.clone(), value.clone());
    }
    properties.clone().with_headers(headers)
}

/// What the broker itself tells of a message that it gave up: it was delivered too often, say.
fn death(properties: &BasicProperties) -> (Option<String>, Option<Timestamp>) {
    let Some(AMQPValue::FieldArray(deaths)) = header(properties, "x-death") else {
        return (None, None);
    };
    let Some(AMQPValue::FieldTable(last)) = deaths.as_slice().first() else {
        return (None, None);
    };
    let reason = last.inner().get("reason").and_then(string);
    let at = match last.inner().get("time") {
        Some(AMQPValue::Timestamp(at)) => seconds(*at),
        _ => None,
    };
    (reason, at)
}

fn seconds(at: u64) -> Option<Timestamp> {
    Timestamp::from_second(i64::try_from(at).ok()?).ok()
}

/// The letter that a message of these dead letters is. One that the broker gave up, or a stranger
/// put there, has no headers of ours; then the broker's own tell what they can.
pub(crate) fn read_dead_letter(
    queue: WorkQueue,
    properties: &BasicProperties,
    body: &[u8],
) -> DeadLetter {
    let text = |name: &str| header(properties, name).and_then(string);
    let time = |name: &str| text(name).and_then(|text| text.parse().ok());
    let (death, died_at) = death(properties);
    let failed_at: Timestamp = time(FAILED_AT)
        .or(died_at)
        .or_else(|| properties.timestamp().and_then(seconds))
        .unwrap_or(Timestamp::UNIX_EPOCH);
    let attempts = header(properties, ATTEMPTS).and_then(integer);
    let channels = text(CHANNELS).unwrap_or_default();
    DeadLetter {
        queue: queue.name.into(),
        message_id: (properties.message_id().as_ref())
            .map(ToString::to_string)
            .unwrap_or_default(),
        event_type: properties.kind().as_ref().map(ToString::to_string),
        body: body.to_vec(),
        class: text(CLASS).or(death).unwrap_or_else(|| "unknown".into()),
        reason: text(MESSAGE).unwrap_or_default(),
        attempts: attempts.unwrap_or_else(|| Hop::read(properties).attempt),
        first_failed_at: time(FIRST_FAILED_AT).unwrap_or(failed_at),
        failed_at,
        channels: channels.split(',').filter_map(Channel::from_word).collect(),
        traceparent: text("traceparent"),
        tracestate: text("tracestate"),
    }
}

/// The headers that tell why a message is a dead letter (contract §8.11).
pub(super) fn why(
    headers: &mut FieldTable,
    (class, reason, channels): (&str, &str, &[Channel]),
    attempts: u32,
    first_failed_at: String,
    failed_at: String,
) {
    let channels: Vec<&str> = channels.iter().map(|channel| channel.as_str()).collect();
    let reason: String = reason.chars().take(1000).collect();
    for (name, value) in [
        (CLASS, long(class)),
        (MESSAGE, long(reason)),
        (ATTEMPTS, number(attempts)),
        (FIRST_FAILED_AT, long(first_failed_at)),
        (FAILED_AT, long(failed_at)),
        (CHANNELS, long(channels.join(","))),
    ] {
        headers.insert(name.into(), value);
    }
}

/// The properties of a letter that comes from elsewhere.
pub(crate) fn to_dead_letter(letter: &DeadLetter) -> BasicProperties {
    let mut headers = FieldTable::default();
    let trace = [
        ("traceparent", &letter.traceparent),
        ("tracestate", &letter.tracestate),
    ];
    for (name, value) in trace {
        if let Some(value) = value {
            headers.insert(name.into(), long(value));
        }
    }
    why(
        &mut headers,
        (&letter.class, &letter.reason, &letter.channels),
        letter.attempts,
        wire_time::format(letter.first_failed_at),
        wire_time::format(letter.failed_at),
    );
    let mut properties = BasicProperties::default()
        .with_content_type("application/json".into())
        .with_delivery_mode(2)
        .with_message_id(ShortString::from(letter.message_id.as_str()))
        .with_headers(headers);
    if let Some(kind) = &letter.event_type {
        properties = properties.with_type(ShortString::from(kind.as_str()));
    }
    properties
}

#[cfg(test)]
mod tests {
    use core_notify::WORK_QUEUES;
    use lapin::types::FieldArray;

    use super::super::{ATTEMPT, for_replay};
    use super::*;

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn letter() -> DeadLetter {
        DeadLetter {
            queue: WORK_QUEUES[0].name.into(),
            message_id: "e-1".into(),
            event_type: Some("OrderCreated".into()),
            body: b"{}".to_vec(),
            class: "exhausted".into(),
            reason: "email: throttled".into(),
            attempts: 4,
            first_failed_at: "2026-02-17T11:00:00.123Z".parse().unwrap(),
            failed_at: "2026-02-17T11:00:21.456Z".parse().unwrap(),
            channels: vec![Channel::Email, Channel::Sms],
            traceparent: Some(PARENT.into()),
            tracestate: Some("vendor=1".into()),
        }
    }

    #[test]
    fn a_letter_survives_its_headers() {
        let properties = to_dead_letter(&letter());
        let read = read_dead_letter(WORK_QUEUES[0], &properties, b"{}");
        assert!(read == letter(), "{read:?}");
    }

    #[test]
    fn a_replay_keeps_identity_and_trace_and_nothing_of_the_failure() {
        let mut properties = to_dead_letter(&letter());
        let mut headers = properties.headers().clone().unwrap();
        for name in [ATTEMPT, "x-death", "x-first-death-queue", RETURNS] {
            headers.insert(name.into(), number(3));
        }
        properties = properties.with_headers(headers).with_expiration("1".into());
        let replay = for_replay(&properties);
        let headers = replay.headers().clone().unwrap();
        let names: Vec<&str> = headers.inner().keys().map(ShortString::as_str).collect();
        assert_eq!(names, ["traceparent", "tracestate"]);
        assert_eq!(replay.message_id(), properties.message_id());
        assert_eq!(replay.kind(), properties.kind());
        assert_eq!(replay.delivery_mode(), &Some(2));
        assert_eq!(replay.expiration(), &None);
        let hop = Hop::read(&replay);
        assert_eq!((hop.attempt, hop.republished), (1, false));
    }

    #[test]
    fn what_the_broker_gave_up_is_told_by_the_broker() {
        let mut death = FieldTable::default();
        death.insert("reason".into(), long("delivery_limit"));
        death.insert("time".into(), AMQPValue::Timestamp(1_771_324_200));
        let mut headers = FieldTable::default();
        let deaths = FieldArray::from(vec![AMQPValue::FieldTable(death)]);
        headers.insert("x-death".into(), AMQPValue::FieldArray(deaths));
        let properties = BasicProperties::default().with_headers(headers);
        let read = read_dead_letter(WORK_QUEUES[1], &properties, b"no json");
        assert_eq!(read.class, "delivery_limit");
        assert_eq!(read.failed_at.to_string(), "2026-02-17T10:30:00Z");
    }

    #[test]
    fn a_renewed_copy_has_all_but_the_count_of_returns() {
        let mut headers = FieldTable::default();
        headers.insert(RETURNS.into(), number(17));
        headers.insert(CLASS.into(), long("refused"));
        let old = BasicProperties::default().with_headers(headers);
        assert_eq!(returns(&old), 17);
        let copy = renewed(&old);
        assert_eq!(returns(&copy), 0);
        assert!(header(&copy, CLASS).is_some());
    }
}
