//! What happened with an order, in all services.

use core_kernel::TraceContext;
use core_notify::{Attempt, DeadLetter, Summary};
use core_orders::{HistoryEntry, TrailEvent};
use jiff::Timestamp;

use super::Known;

/// Something that happened.
pub(super) struct Happening {
    pub(super) at: Timestamp,
    pub(super) service: &'static str,
    pub(super) what: String,
    pub(super) trace_id: Option<String>,
}

/// Everything that happened, oldest first.
pub(super) fn timeline(known: &Known) -> Vec<Happening> {
    let mut all = Vec::new();
    if let Ok(own) = &known.own {
        all.extend(own.history.iter().map(moved));
        all.extend(own.events.iter().flat_map(carried));
    }
    for (summary, attempts) in known.notified.iter().flat_map(|notified| &notified.all) {
        all.extend(sent(summary, attempts));
    }
    all.extend(known.letters.iter().flatten().map(given_up));
    // What has the same time stays in the order in which one leads to the other.
    all.sort_by_key(|happening| happening.at);
    all
}

fn moved(entry: &HistoryEntry) -> Happening {
    let what = match entry.from {
        None => format!("placed by {}", entry.actor.id),
        Some(from) => format!("{from} to {} by {}", entry.to, entry.actor.id),
    };
    let reason = entry.reason.as_ref();
    let reason = reason.map(|reason| format!(": {}", reason.as_str()));
    Happening {
        at: entry.at,
        service: "orders",
        what: what + &reason.unwrap_or_default(),
        trace_id: Some(entry.trace_id.clone()),
    }
}

fn carried(event: &TrailEvent) -> Vec<Happening> {
    let trace = TraceContext::parse(&event.traceparent, None);
    let trace_id = trace.map(|trace| trace.trace_id());
    let refused = match event.refusals {
        0 => String::new(),
        times => format!(", refused by the broker {times} times"),
    };
    let happening = |at, what: &str, more: &str| Happening {
        at,
        service: "orders",
        what: format!("event {} {what}{more}", event.event_type),
        trace_id: trace_id.clone(),
    };
    let stored = happening(event.created_at, "stored in the outbox", &refused);
    let published = event.published_at;
    let published = published.map(|at| happening(at, "published", ""));
    [Some(stored), published].into_iter().flatten().collect()
}

fn sent(summary: &Summary, attempts: &[Attempt]) -> Vec<Happening> {
    let name = format!("{} {}", summary.channel.as_str(), summary.type_key);
    let happening = |at, what: String| Happening {
        at,
        service: "notify",
        what: format!("{name} {what}"),
        trace_id: None,
    };
    let mut all = vec![happening(
        summary.created_at,
        format!(
            "written down as {}, now {}",
            summary.id,
            summary.status.as_str()
        ),
    )];
    all.extend(attempts.iter().map(|attempt| {
        let told = attempt.reason.as_ref().or(attempt.provider_ref.as_ref());
        let told = told.map(|told| format!(" ({told})")).unwrap_or_default();
        let outcome = attempt.outcome.as_str();
        happening(
            attempt.began_at,
            format!("attempt {}: {outcome}{told}", attempt.number),
        )
    }));
    all
}

fn given_up(letter: &DeadLetter) -> Happening {
    let trace = letter.traceparent.as_deref();
    let trace = trace.and_then(|parent| TraceContext::parse(parent, None));
    let (event, class, reason) = (event_of(letter), &letter.class, &letter.reason);
    let attempts = match letter.attempts {
        1 => "1 attempt".to_owned(),
        attempts => format!("{attempts} attempts"),
    };
    Happening {
        at: letter.failed_at,
        service: "notify",
        what: format!("event {event} given up after {attempts}, a dead letter: {class} ({reason})"),
        trace_id: trace.map(|trace| trace.trace_id()),
    }
}

/// The type of an event that was given up, as far as its publisher named it.
pub(super) fn event_of(letter: &DeadLetter) -> &str {
    letter.event_type.as_deref().unwrap_or("of no type")
}
