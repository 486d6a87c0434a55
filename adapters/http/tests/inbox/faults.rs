//! Faults on demand.

use core_notify::{Channel, FaultKind};
use http::Method;
use serde_json::json;

use crate::fake::{Served, throttle};
use crate::{JANE, faults, three};

#[tokio::test]
async fn a_fault_is_set_and_cleared() {
    let inbox = Served::new(three()).await;
    let answer = inbox.set_fault(throttle()).await;
    assert_eq!((answer.status, answer.json()), (201, throttle()));
    assert_eq!(inbox.faults.rules().len(), 1);
    let list = inbox.get("/inbox/faults").await.json();
    assert_eq!(list, json!({ "data": [throttle()] }));
    let fault = inbox.faults.next(Channel::Email, JANE);
    assert_eq!(fault, Some(FaultKind::Throttle));
    let cleared = inbox.send(Method::DELETE, "/inbox/faults", "", "").await;
    assert_eq!((cleared.status, &*cleared.text), (204, ""));
    assert!(inbox.faults.rules().is_empty());
}

#[tokio::test]
async fn a_fault_without_count_and_recipient_is_for_all() {
    let inbox = Served::new(three()).await;
    let rule = json!({ "channel": "sms", "kind": "away", "count": null });
    let expected = json!({ "channel": "sms", "kind": "away", "count": null, "to": null });
    assert_eq!(inbox.set_fault(rule).await.json(), expected);
}

#[tokio::test]
async fn all_mistakes_in_a_fault_are_named() {
    let inbox = Served::new(three()).await;
    let rule = json!({ "channel": "fax", "kind": 7, "count": 0, "to": " " });
    let answer = inbox.set_fault(rule).await;
    assert_eq!(answer.status, 400);
    assert_eq!(
        faults(&answer.json()),
        [
            ("/channel", "one_of"),
            ("/kind", "type"),
            ("/count", "min"),
            ("/to", "length")
        ]
    );
    assert!(inbox.faults.rules().is_empty());
}

#[tokio::test]
async fn a_form_of_another_site_sets_no_fault() {
    let inbox = Served::new(three()).await;
    let body = throttle().to_string();
    for kind in ["text/plain", "application/x-www-form-urlencoded", ""] {
        let answer = inbox.send(Method::POST, "/inbox/faults", kind, &body).await;
        assert_eq!(answer.status, 415, "{kind}");
    }
    assert!(inbox.faults.rules().is_empty());
}
