//! Dead letters as JSON: what listings show, export writes and import reads.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use core_kernel::wire_time;
use core_notify::{Channel, DeadLetter, DeadLetterNote, LetterGroup, WorkQueue};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// A letter on a line. A body that is no UTF-8 is in `body_base64`, and `order_id` is only for
/// people and filters: it is read from the body.
#[derive(Serialize, Deserialize)]
struct Line {
    message_id: String,
    queue: String,
    #[serde(rename = "type")]
    event_type: Option<String>,
    class: String,
    reason: String,
    attempts: u32,
    channels: Vec<String>,
    #[serde(default)]
    order_id: Option<String>,
    #[serde(with = "core_kernel::wire_time")]
    first_failed_at: Timestamp,
    #[serde(with = "core_kernel::wire_time")]
    failed_at: Timestamp,
    traceparent: Option<String>,
    tracestate: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    body: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    body_base64: Option<String>,
}

/// A letter without its body, as in listings.
pub(super) fn summary(letter: &DeadLetter) -> Value {
    json!(line(letter))
}

/// A letter with its body.
pub(super) fn whole(letter: &DeadLetter) -> Value {
    let mut line = line(letter);
    match str::from_utf8(&letter.body) {
        Ok(body) => line.body = Some(body.to_owned()),
        Err(_) => line.body_base64 = Some(STANDARD.encode(&letter.body)),
    }
    json!(line)
}

fn line(letter: &DeadLetter) -> Line {
    let channels = letter.channels.iter();
    Line {
        message_id: letter.message_id.clone(),
        queue: letter.queue.clone(),
        event_type: letter.event_type.clone(),
        class: letter.class.clone(),
        reason: letter.reason.clone(),
        attempts: letter.attempts,
        channels: channels.map(|one| one.as_str().to_owned()).collect(),
        order_id: letter.order_id().map(|id| id.to_string()),
        first_failed_at: letter.first_failed_at,
        failed_at: letter.failed_at,
        traceparent: letter.traceparent.clone(),
        tracestate: letter.tracestate.clone(),
        body: None,
        body_base64: None,
    }
}

/// The letter that a line of a file is, or what is wrong with it.
pub(super) fn read(text: &str) -> Result<DeadLetter, String> {
    let line: Line = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let queue = WorkQueue::named(&line.queue);
    let queue = queue.ok_or_else(|| format!("there is no queue {:?}", line.queue))?;
    let channels = line.channels.iter().map(|word| {
        Channel::from_word(word).ok_or_else(|| format!("there is no channel {word:?}"))
    });
    let body = match (line.body, line.body_base64) {
        (Some(body), None) => body.into_bytes(),
        (None, Some(coded)) => STANDARD.decode(coded).map_err(|error| error.to_string())?,
        _ => return Err("needs one of body and body_base64".into()),
    };
    Ok(DeadLetter {
        queue: queue.name.into(),
        channels: channels.collect::<Result<_, _>>()?,
        message_id: line.message_id,
        event_type: line.event_type,
        body,
        class: line.class,
        reason: line.reason,
        attempts: line.attempts,
        first_failed_at: line.first_failed_at,
        failed_at: line.failed_at,
        traceparent: line.traceparent,
        tracestate: line.tracestate,
    })
}

pub(super) fn group(group: &LetterGroup) -> Value {
    json!({
        "count": group.count,
        "queue": group.queue,
        "type": group.event_type,
        "class": group.class,
        "fingerprint": group.fingerprint,
        "oldest_failed_at": wire_time::format(group.oldest),
        "newest_failed_at": wire_time::format(group.newest),
        "example": group.example,
    })
}

/// A note, in `dlq show` and as the line that is logged of it.
pub(super) fn note(note: &DeadLetterNote) -> Value {
    json!({
        "timestamp": wire_time::format(note.at),
        "action": note.action.as_str(),
        "message_id": note.message_id,
        "queue": note.queue,
        "class": note.class,
        "reason": note.reason,
        "actor": note.actor,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter(body: &[u8]) -> DeadLetter {
        DeadLetter {
            queue: "notifications.order.shipped".into(),
            message_id: "e-1".into(),
            event_type: None,
            body: body.to_vec(),
            class: "poison".into(),
            reason: "no JSON".into(),
            attempts: 1,
            first_failed_at: Timestamp::UNIX_EPOCH,
            failed_at: Timestamp::UNIX_EPOCH,
            channels: vec![Channel::Sms],
            traceparent: None,
            tracestate: None,
        }
    }

    #[test]
    fn what_is_written_is_read_back_whatever_its_bytes() {
        for body in [&b"{\"a\": 1}\n"[..], b"\xff\xfe"] {
            let read = read(&whole(&letter(body)).to_string()).unwrap();
            assert!(read == letter(body), "{read:?}");
        }
    }

    #[test]
    fn a_line_that_is_no_letter_tells_why() {
        let with = |name: &str, value: Value| {
            let mut line = whole(&letter(b"{}"));
            line[name] = value;
            read(&line.to_string()).unwrap_err()
        };
        assert_eq!(with("queue", json!("x")), "there is no queue \"x\"");
        assert_eq!(with("channels", json!(["x"])), "there is no channel \"x\"");
        let both = with("body_base64", json!("e30="));
        assert_eq!(both, "needs one of body and body_base64");
        let when = with("failed_at", json!("yesterday"));
        assert!(when.contains("year") && when.contains("line 1"), "{when}");
    }
}
