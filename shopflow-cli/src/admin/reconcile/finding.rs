//! What does not fit, and whether it can be mended.

use std::collections::HashSet;

use core_kernel::{EventId, KEEP_PUBLISHED, NotificationId, OrderId};
use core_notify::{EventKind, Heard, Stale};
use core_orders::{Ledger, OrderEventKind};
use jiff::Timestamp;

/// What kind of thing does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// An order's event was never stored, or is gone, and nothing was written down of it.
    Missing,
    /// An event went out, and nothing was written down of it.
    Unheard,
    /// A notification is queued, and nobody works on it.
    Stale,
    /// An order is not where its history has it.
    Disagrees,
}

impl Kind {
    pub(super) const ALL: [Self; 4] = [Self::Missing, Self::Unheard, Self::Stale, Self::Disagrees];

    /// The word for it, here and in the audit.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "event_missing",
            Self::Unheard => "event_unheard",
            Self::Stale => "queued_stale",
            Self::Disagrees => "state_disagrees",
        }
    }
}

/// The event that mends a finding once it goes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cure {
    pub(super) order_id: OrderId,
    pub(super) kind: OrderEventKind,
    pub(super) event_id: EventId,
    /// Whether it may have gone out under another id that nobody knows any more.
    pub(super) unsure: bool,
}

/// Something that does not fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) kind: Kind,
    pub(super) order_id: Option<OrderId>,
    pub(super) notification_id: Option<NotificationId>,
    pub(super) what: String,
    /// What mends it, or why nothing does.
    pub(super) cure: Result<Cure, String>,
}

/// The times within which things are looked at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    pub(super) now: Timestamp,
    /// What happened later may be on its way.
    pub(super) until: Timestamp,
    /// What happened earlier may have gone to cold storage.
    pub(super) since: Timestamp,
}

impl Window {
    fn has(&self, at: Timestamp) -> bool {
        self.since <= at && at <= self.until
    }
}

/// The type key of the notifications that follow from an event.
fn type_key(kind: OrderEventKind) -> &'static str {
    match kind {
        OrderEventKind::Created => EventKind::OrderCreated.type_key(),
        OrderEventKind::Shipped => EventKind::OrderShipped.type_key(),
    }
}

/// The event from which notifications of a type follow, if it is an order's.
fn event_of(type_key: &str) -> Option<OrderEventKind> {
    let all = [OrderEventKind::Created, OrderEventKind::Shipped];
    all.into_iter()
        .find(|kind| self::type_key(*kind) == type_key)
}

/// What does not fit about an order. `heard` is what was written down; `None` where that is not known.
pub(super) fn of_order(
    ledger: &Ledger,
    heard: Option<&HashSet<Heard>>,
    window: &Window,
) -> Vec<Finding> {
    let mut all: Vec<Finding> = ledger
        .due()
        .filter(|(_, at)| window.has(*at))
        .filter_map(|(kind, at)| of_event(ledger, kind, at, heard, window))
        .collect();
    let last = ledger
        .steps
        .last()
        .map_or(ledger.created_at, |step| step.at);
    let told = ledger.disagreement().filter(|_| window.has(last));
    all.extend(told.map(|what| Finding {
        kind: Kind::Disagrees,
        order_id: Some(ledger.id),
        notification_id: None,
        what,
        cure: Err("only a person can tell which of the two is right".to_owned()),
    }));
    all
}

fn of_event(
    ledger: &Ledger,
    kind: OrderEventKind,
    at: Timestamp,
    heard: Option<&HashSet<Heard>>,
    window: &Window,
) -> Option<Finding> {
    let id = ledger.id;
    let what = kind.event_type();
    let known = heard.map(|heard| {
        let (order_id, type_key) = (id, type_key(kind).to_owned());
        heard.contains(&Heard { order_id, type_key })
    });
    let finding = |finding, event_id, unsure, what| Finding {
        kind: finding,
        order_id: Some(id),
        notification_id: None,
        what,
        cure: match known {
            Some(_) => Ok(Cure {
                order_id: id,
                kind,
                event_id,
                unsure,
            }),
            None => Err("whether it was mailed cannot be read".to_owned()),
        },
    };
    match ledger.event(kind) {
        Some(event) => {
            let published = event.published_at.filter(|at| *at <= window.until)?;
            let what =
                format!("{what} went out at {published}, and nothing was written down of it");
            (known == Some(false)).then(|| finding(Kind::Unheard, event.event_id, false, what))
        }
        None => {
            // The outbox lets go of what was published; then only what followed from it can tell.
            let pruned = at <= window.now - KEEP_PUBLISHED;
            let missing = match known {
                Some(known) => !known,
                None => !pruned,
            };
            let event_id = EventId::derived(id.0, what, at);
            let what =
                format!("{what} of {at} is not in the outbox, nor was anything written down of it");
            missing.then(|| finding(Kind::Missing, event_id, pruned, what))
        }
    }
}

/// What does not fit about a notification that is stuck; nothing if its event is on its way. `ledger`
/// is its order's.
pub(super) fn of_stale(stale: &Stale, ledger: Option<&Ledger>, window: &Window) -> Option<Finding> {
    if !window.has(stale.since) {
        return None;
    }
    let mut events = ledger.into_iter().flat_map(|ledger| &ledger.events);
    let event = events.find(|event| event.event_id == stale.event_id);
    // One that waits, or that went out a moment ago, is about to be worked off.
    if event.is_some_and(|event| event.published_at.is_none_or(|at| at > window.until)) {
        return None;
    }
    let cure = match (ledger, event_of(&stale.type_key)) {
        // The event would be taken for the order's own, and sent on every channel.
        _ if stale.resent => Err(
            "its event is not kept; send the first one again: shopflow notifications resend"
                .to_owned(),
        ),
        (_, None) => {
            Err("its token is of no use any more; who needs one asks for another".to_owned())
        }
        (None, Some(_)) => Err("its order is not there, or cannot be read".to_owned()),
        (Some(ledger), Some(kind)) => Ok(Cure {
            order_id: ledger.id,
            kind,
            event_id: stale.event_id,
            unsure: false,
        }),
    };
    let (channel, key, since) = (stale.channel.as_str(), &stale.type_key, stale.since);
    Some(Finding {
        kind: Kind::Stale,
        order_id: stale.order_id,
        notification_id: Some(stale.id),
        what: format!(
            "{channel} {key} {} is queued, and nothing happened to it since {since}",
            stale.id
        ),
        cure,
    })
}

#[cfg(test)]
mod tests;
