//! What an order is waiting for, in one plain sentence.

use core_notify::{Attempt, DeadLetter, EventKind, Status, Summary};
use core_orders::TrailEvent;

use super::timeline::event_of;
use super::{Known, Notified, Part};

/// The sentence. What comes first on an order's way is named first.
pub(super) fn waiting_for(known: &Known) -> String {
    let mut events = known.own.iter().flat_map(|own| &own.events);
    if let Some(event) = events.find(|event| event.published_at.is_none()) {
        return for_the_broker(event);
    }
    let failed = known.notified.iter().flat_map(failed);
    let replayable = failed.clone().find(|(one, _)| {
        let letters = known.letters.as_ref();
        letters.map_or(true, |all| all.iter().any(|letter| is_of(letter, one)))
    });
    if let Some((failed, attempts)) = replayable {
        return for_an_operator(failed, attempts, &known.letters);
    }
    if let Some(letter) = known.letters.iter().flatten().last() {
        return for_a_replay(letter);
    }
    let Ok(notified) = &known.notified else {
        return match &known.own {
            Ok(_) => {
                "Its events went out; what became of its mails and texts, notify does not tell."
            }
            Err(_) => "What it is waiting for, neither orders nor notify tells.",
        }
        .to_owned();
    };
    let mut all = notified.all.iter();
    if let Some((queued, attempts)) = all.find(|(one, _)| one.status == Status::Queued) {
        return for_a_provider(queued, attempts);
    }
    if let Some(event) = unheard(known, notified) {
        let what = &event.event_type;
        let of = Some(what);
        let mut discarded = notified.discarded.iter();
        return match discarded.any(|one| one.event_type.as_ref() == of) {
            true => format!("Nothing is on its way: {what} was discarded as a dead letter."),
            false => format!("It is waiting for the notification service to take {what}."),
        };
    }
    if let Some((failed, attempts)) = failed.into_iter().next() {
        let (name, why) = (name(failed), last_words(attempts));
        return format!(
            "Nothing is on its way: {name} failed for good{why}, and there is no dead letter of it to replay."
        );
    }
    match known.own.as_ref().map(|own| own.order.status().next()) {
        Ok(Some(next)) => format!("Nothing is on its way; an admin can make it {next}."),
        Ok(None) => "It is waiting for nothing.".to_owned(),
        Err(_) => {
            "Notify has nothing on its way; what else it is waiting for, orders does not tell."
                .to_owned()
        }
    }
}

fn for_the_broker(event: &TrailEvent) -> String {
    let what = &event.event_type;
    match event.refusals {
        0 => format!(
            "It is waiting for {what} to be published: is the order service's relay running, and the broker there?"
        ),
        times => {
            format!("It is waiting for the broker to take {what}, which it refused {times} times.")
        }
    }
}

fn failed(notified: &Notified) -> impl Iterator<Item = &(Summary, Vec<Attempt>)> + Clone {
    let all = notified.all.iter();
    all.filter(|(one, _)| one.status == Status::Failed)
}

/// Whether a replay of this letter sends this notification. That of a resend does not tell which it is.
fn is_of(letter: &DeadLetter, notification: &Summary) -> bool {
    let kind = letter.event_type.as_deref();
    let kind = kind.and_then(EventKind::with_event_type);
    kind.is_none_or(|kind| kind.type_key() == notification.type_key)
        && (letter.channels.is_empty() || letter.channels.contains(&notification.channel))
}

/// The way and the kind of a notification, as people say it.
fn name(summary: &Summary) -> String {
    let channel = summary.channel.as_str();
    format!("{channel} {}", summary.type_key)
}

fn last_words(attempts: &[Attempt]) -> String {
    let last = attempts.last();
    let reason = last.and_then(|attempt| attempt.reason.as_ref());
    reason
        .map(|reason| format!(" ({reason})"))
        .unwrap_or_default()
}

fn for_an_operator(
    failed: &Summary,
    attempts: &[Attempt],
    letters: &Part<Vec<DeadLetter>>,
) -> String {
    let (name, why) = (name(failed), last_words(attempts));
    let doubt = match letters {
        Ok(_) => "",
        Err(_) => ", if there is one",
    };
    format!(
        "It is waiting for an operator: {name} failed for good{why}; once the cause is mended, replay its dead letter{doubt}."
    )
}

fn for_a_replay(letter: &DeadLetter) -> String {
    let (what, why) = (event_of(letter), &letter.reason);
    format!(
        "It is waiting for an operator: {what} was given up ({why}); once the cause is mended, replay its dead letter."
    )
}

fn for_a_provider(queued: &Summary, attempts: &[Attempt]) -> String {
    let (name, why) = (name(queued), last_words(attempts));
    match attempts.len() {
        0 => format!("It is waiting for {name} to be sent for the first time."),
        1 => format!("It is waiting for {name} to be sent, after one attempt{why}."),
        times => format!("It is waiting for {name} to be sent, after {times} attempts{why}."),
    }
}

/// An event that went out, and of which notify has written nothing down.
fn unheard<'a>(known: &'a Known, notified: &Notified) -> Option<&'a TrailEvent> {
    let heard = |event: &TrailEvent| {
        let kind = EventKind::with_event_type(&event.event_type);
        let mut all = notified.all.iter();
        kind.is_none_or(|kind| all.any(|(one, _)| one.type_key == kind.type_key()))
    };
    let mut events = known.own.iter().flat_map(|own| &own.events);
    events.find(|event| !heard(event))
}
