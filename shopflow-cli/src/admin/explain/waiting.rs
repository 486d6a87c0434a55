//! What an order is waiting for, in one plain sentence.

use core_notify::{Attempt, DeadLetter, Status, Summary};
use core_orders::TrailEvent;

use super::Known;
use super::timeline::event_of;

/// The sentence. What comes first on an order's way is named first.
pub(super) fn waiting_for(known: &Known) -> String {
    if let Some(event) = known
        .events
        .iter()
        .find(|event| event.published_at.is_none())
    {
        return for_the_broker(event);
    }
    let Ok(notifications) = &known.notifications else {
        return "Its events went out; what became of its mails and texts, notify does not tell."
            .to_owned();
    };
    let with = |status| notifications.iter().find(|(one, _)| one.status == status);
    if let Some((failed, attempts)) = with(Status::Failed) {
        return for_an_operator(failed, attempts);
    }
    if let Some(letter) = known.letters.iter().flatten().last() {
        return for_a_replay(letter);
    }
    if let Some((queued, attempts)) = with(Status::Queued) {
        return for_a_provider(queued, attempts);
    }
    if let Some(event) = unheard(known, notifications) {
        let what = &event.event_type;
        return format!("It is waiting for the notification service to take {what}.");
    }
    match known.order.status().next() {
        Some(next) => format!("Nothing is on its way; an admin can make it {next}."),
        None => "It is waiting for nothing.".to_owned(),
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

fn for_an_operator(failed: &Summary, attempts: &[Attempt]) -> String {
    let (name, why) = (name(failed), last_words(attempts));
    format!(
        "It is waiting for an operator: {name} failed for good{why}; once the cause is mended, replay its dead letter."
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
fn unheard<'a>(
    known: &'a Known,
    notifications: &[(Summary, Vec<Attempt>)],
) -> Option<&'a TrailEvent> {
    let heard = |event: &TrailEvent| {
        let key = match &*event.event_type {
            "OrderCreated" => "order_created",
            "OrderShipped" => "order_shipped",
            _ => return true,
        };
        notifications.iter().any(|(one, _)| one.type_key == key)
    };
    known.events.iter().find(|event| !heard(event))
}
