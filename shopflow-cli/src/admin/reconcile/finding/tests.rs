use core_orders::{LedgerEvent, Step};
use jiff::SignedDuration;

use super::*;

fn now() -> Timestamp {
    Timestamp::from_second(1_800_000_000).unwrap()
}

fn ago(hours: i64) -> Timestamp {
    now() - SignedDuration::from_hours(hours)
}

fn window() -> Window {
    Window {
        now: now(),
        until: ago(1),
        since: ago(24 * 300),
    }
}

fn placed(at: Timestamp, event: Option<Option<Timestamp>>) -> Ledger {
    let event = event.map(|published_at| LedgerEvent {
        event_id: EventId::generate(),
        event_type: "OrderCreated".into(),
        published_at,
    });
    Ledger {
        id: OrderId::generate(),
        status: "pending".into(),
        created_at: at,
        times: [None; 3],
        steps: vec![Step {
            from: None,
            to: "pending".into(),
            at,
        }],
        events: event.into_iter().collect(),
    }
}

const NONE: [Kind; 0] = [];

fn kinds(ledger: &Ledger, heard: Option<bool>) -> Vec<Kind> {
    let heard = heard.map(|heard| {
        let type_key = "order_created".to_owned();
        let order_id = ledger.id;
        let all = heard.then_some(Heard { order_id, type_key });
        all.into_iter().collect::<HashSet<_>>()
    });
    let found = of_order(ledger, heard.as_ref(), &window());
    found.iter().map(|finding| finding.kind).collect()
}

#[test]
fn an_event_that_waits_or_has_just_gone_out_is_nothing_to_find() {
    assert_eq!(kinds(&placed(ago(5), Some(None)), Some(false)), NONE);
    let just = placed(ago(5), Some(Some(ago(0))));
    assert_eq!(kinds(&just, Some(false)), NONE);
    assert_eq!(kinds(&placed(ago(0), None), Some(false)), NONE);
}

#[test]
fn an_event_that_went_out_long_ago_and_was_not_heard_is_found() {
    let out = placed(ago(5), Some(Some(ago(4))));
    assert_eq!(kinds(&out, Some(false)), [Kind::Unheard]);
    assert_eq!(kinds(&out, Some(true)), NONE);
    assert_eq!(kinds(&out, None), NONE);
}

#[test]
fn an_event_that_the_outbox_has_let_go_of_is_missing_only_if_nothing_followed() {
    for age in [5, 24 * 30] {
        let gone = placed(ago(age), None);
        assert_eq!(kinds(&gone, Some(false)), [Kind::Missing]);
        assert_eq!(kinds(&gone, Some(true)), NONE);
    }
    assert_eq!(kinds(&placed(ago(5), None), None), [Kind::Missing]);
    assert_eq!(kinds(&placed(ago(24 * 30), None), None), NONE);
    assert_eq!(kinds(&placed(ago(24 * 400), None), Some(false)), NONE);
}

#[test]
fn what_cannot_be_known_is_not_mended() {
    let found = of_order(&placed(ago(5), None), None, &window());
    assert!(found[0].cure.is_err(), "{found:?}");
}

#[test]
fn a_resend_that_is_stuck_is_told_and_not_mended() {
    let ledger = placed(ago(5), None);
    let mut stale = Stale {
        id: NotificationId::generate(),
        event_id: EventId::generate(),
        order_id: Some(ledger.id),
        channel: core_notify::Channel::Email,
        type_key: "order_created".into(),
        resent: false,
        since: ago(4),
    };
    let of = |stale: &Stale| of_stale(stale, Some(&ledger), &window()).unwrap().cure;
    assert!(of(&stale).is_ok());
    stale.resent = true;
    assert!(of(&stale).is_err());
}

#[test]
fn a_missing_event_gets_the_same_id_however_often_it_is_found() {
    let ledger = placed(ago(5), None);
    let none = HashSet::new();
    let of = || of_order(&ledger, Some(&none), &window()).remove(0).cure;
    assert_eq!(of().unwrap().event_id, of().unwrap().event_id);
}
