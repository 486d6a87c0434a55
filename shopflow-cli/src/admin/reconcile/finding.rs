//! What does not fit, and whether it can be mended.

use std::collections::HashSet;

use core_kernel::{EventId, KEEP_PUBLISHED, NotificationId, OrderId, wire_time};
use core_notify::{Discarded, EventKind, Heard, Stale};
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
    /// The event of a resend, which nobody has but the queues and the dead letters.
    pub(super) resend: Option<EventId>,
}

/// What the notification service knows of some orders and events.
#[derive(Debug, Default)]
pub(super) struct Noted {
    heard: HashSet<Heard>,
    /// Messages that were discarded on purpose.
    discarded: HashSet<String>,
    /// The same, by their orders and types.
    discarded_of: HashSet<(OrderId, String)>,
}

impl Noted {
    pub(super) fn new(heard: Vec<Heard>, discarded: Vec<Discarded>) -> Self {
        let about = discarded.iter();
        let about = about.filter_map(|one| Some((one.order_id?, one.event_type.clone()?)));
        Self {
            heard: heard.into_iter().collect(),
            discarded_of: about.collect(),
            discarded: discarded.into_iter().map(|one| one.message_id).collect(),
        }
    }

    fn has_heard(&self, order_id: OrderId, kind: OrderEventKind) -> bool {
        let kind = EventKind::with_event_type(kind.event_type());
        kind.is_some_and(|kind| {
            let type_key = kind.type_key().to_owned();
            self.heard.contains(&Heard { order_id, type_key })
        })
    }

    /// Whether somebody has decided that nothing is to come of an event of an order.
    fn is_discarded(&self, order_id: OrderId, kind: OrderEventKind, id: Option<EventId>) -> bool {
        let about = (order_id, kind.event_type().to_owned());
        self.discarded_of.contains(&about) || id.is_some_and(|id| self.has_discarded(id))
    }

    fn has_discarded(&self, id: EventId) -> bool {
        self.discarded.contains(&id.to_string())
    }
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

/// The event from which notifications of a type follow, if it is an order's.
fn event_of(type_key: &str) -> Option<OrderEventKind> {
    let event_type = EventKind::with_type_key(type_key)?.event_type();
    let all = [OrderEventKind::Created, OrderEventKind::Shipped];
    all.into_iter().find(|kind| kind.event_type() == event_type)
}

/// What does not fit about an order. `noted` is what the notification service knows; `None` where that
/// cannot be read.
pub(super) fn of_order(ledger: &Ledger, noted: Option<&Noted>, window: &Window) -> Vec<Finding> {
    let mut all: Vec<Finding> = ledger
        .due()
        .filter(|(_, at)| window.has(*at))
        .filter_map(|(kind, at)| of_event(ledger, kind, at, noted, window))
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
        resend: None,
    }));
    all
}

fn of_event(
    ledger: &Ledger,
    kind: OrderEventKind,
    at: Timestamp,
    noted: Option<&Noted>,
    window: &Window,
) -> Option<Finding> {
    let id = ledger.id;
    let what = kind.event_type();
    let event = ledger.event(kind);
    let event_id = event.map(|event| event.event_id);
    if noted.is_some_and(|noted| noted.is_discarded(id, kind, event_id)) {
        return None;
    }
    let known = noted.map(|noted| noted.has_heard(id, kind));
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
        resend: None,
    };
    match event {
        Some(event) => {
            let published = event.published_at.filter(|at| *at <= window.until)?;
            let published = wire_time::format(published);
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
            let at = wire_time::format(at);
            let what =
                format!("{what} of {at} is not in the outbox, nor was anything written down of it");
            missing.then(|| finding(Kind::Missing, event_id, pruned, what))
        }
    }
}

/// What does not fit about a notification that is stuck; nothing if its event is on its way, or was
/// discarded. `ledger` is its order's.
pub(super) fn of_stale(
    stale: &Stale,
    ledger: Option<&Ledger>,
    noted: &Noted,
    window: &Window,
) -> Option<Finding> {
    if !window.has(stale.since) || noted.has_discarded(stale.event_id) {
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
        _ if stale.resent => Err("its event is not kept".to_owned()),
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
    let (channel, key) = (stale.channel.as_str(), &stale.type_key);
    let since = wire_time::format(stale.since);
    Some(Finding {
        kind: Kind::Stale,
        order_id: stale.order_id,
        notification_id: Some(stale.id),
        what: format!(
            "{channel} {key} {} is queued, and nothing happened to it since {since}",
            stale.id
        ),
        cure,
        resend: stale.resent.then_some(stale.event_id),
    })
}

#[cfg(test)]
mod tests;
