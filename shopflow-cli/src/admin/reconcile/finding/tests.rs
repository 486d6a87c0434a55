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
    let noted = heard.map(|heard| {
        let type_key = "order_created".to_owned();
        let order_id = ledger.id;
        let all = heard.then_some(Heard { order_id, type_key });
        Noted::new(all.into_iter().collect(), Vec::new())
    });
    kinds_of(ledger, noted.as_ref())
}

fn kinds_of(ledger: &Ledger, noted: Option<&Noted>) -> Vec<Kind> {
    let found = of_order(ledger, noted, &window());
    found.iter().map(|finding| finding.kind).collect()
}

fn discarded(message_id: &str, order_id: Option<OrderId>, event_type: &str) -> Noted {
    let discarded = Discarded {
        message_id: message_id.to_owned(),
        order_id,
        event_type: Some(event_type.to_owned()),
    };
    Noted::new(Vec::new(), vec![discarded])
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
    let none = Noted::default();
    let of = |stale: &Stale| of_stale(stale, Some(&ledger), &none, &window()).unwrap();
    assert!(of(&stale).cure.is_ok());
    stale.resent = true;
    assert!(of(&stale).cure.is_err());
    assert_eq!(of(&stale).resend, Some(stale.event_id));
    let gone = discarded(&stale.event_id.to_string(), None, "");
    assert_eq!(of_stale(&stale, Some(&ledger), &gone, &window()), None);
}

#[test]
fn what_was_discarded_on_purpose_is_found_neither_by_its_id_nor_by_its_order() {
    let out = placed(ago(5), Some(Some(ago(4))));
    let id = out.events[0].event_id.to_string();
    assert_eq!(
        kinds_of(&out, Some(&discarded(&id, None, "OrderCreated"))),
        NONE
    );
    // The outbox has forgotten under which id it went out.
    let gone = placed(ago(24 * 30), None);
    let by_order = |event_type| discarded("another", Some(gone.id), event_type);
    assert_eq!(kinds_of(&gone, Some(&by_order("OrderCreated"))), NONE);
    assert_eq!(
        kinds_of(&gone, Some(&by_order("OrderShipped"))),
        [Kind::Missing]
    );
}

#[test]
fn a_missing_event_gets_the_same_id_however_often_it_is_found() {
    let ledger = placed(ago(5), None);
    let none = Noted::default();
    let of = || of_order(&ledger, Some(&none), &window()).remove(0).cure;
    assert_eq!(of().unwrap().event_id, of().unwrap().event_id);
}
