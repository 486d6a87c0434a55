//! What programs read: JSON.

use core_notify::{Channel, FaultKind, InboxAttempt};
use serde_json::{Value, json};
use shopflow_http::Overview;

use crate::fake::{Held, Served, at, dead_letter, notification, order};
use crate::{JANE, faults, three};

fn ids(list: &Value) -> Vec<&str> {
    let list = list["data"].as_array().unwrap();
    list.iter().map(|m| m["id"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn programs_read_messages_newest_first() {
    let inbox = Served::new(Held::default().mail(1, JANE, "Hi").text(2, "+1555", "Ho")).await;
    assert_eq!(
        inbox.get("/inbox/messages").await.json(),
        json!({ "data": [
            {
                "id": "2", "notification_id": notification(2), "channel": "sms", "to": "+1555",
                "subject": null, "text": "Ho", "html": null, "order_id": order(2),
                "created_at": "2026-02-17T11:00:02.000Z"
            },
            {
                "id": "1", "notification_id": notification(1), "channel": "email", "to": JANE,
                "subject": "Hi", "text": "plain text of 1", "html": "<p>html of 1</p>",
                "order_id": order(1), "created_at": "2026-02-17T11:00:01.000Z"
            }
        ] })
    );
}

#[tokio::test]
async fn programs_choose_among_messages() {
    let inbox = Served::new(three()).await;
    for (query, expected) in [
        ("channel=email", vec!["3", "1"]),
        ("channel=sms", vec!["2"]),
        ("to=joe%2B1@example.com", vec!["3"]),
        ("to=", vec!["3", "2", "1"]),
        (&format!("order_id={}", order(1)), vec!["2", "1"]),
        ("before=3", vec!["2", "1"]),
        ("limit=1", vec!["3"]),
        ("channel=email&before=3&limit=10000", vec!["1"]),
    ] {
        let list = inbox.get(&format!("/inbox/messages?{query}")).await.json();
        assert_eq!(ids(&list), expected, "{query}");
    }
}

#[tokio::test]
async fn all_faults_of_a_query_are_named() {
    let inbox = Served::new(three()).await;
    let query = "channel=fax&order_id=7&before=-1&limit=10001";
    let answer = inbox.get(&format!("/inbox/messages?{query}")).await;
    assert_eq!(answer.status, 400);
    assert_eq!(
        faults(&answer.json()),
        [
            ("channel", "one_of"),
            ("order_id", "format"),
            ("before", "format"),
            ("limit", "max")
        ]
    );
    assert_eq!(inbox.get("/inbox/attempts?limit=0").await.status, 400);
    assert_eq!(inbox.get("/inbox?channel=fax").await.status, 400);
}

#[tokio::test]
async fn attempts_are_listed_with_their_faults() {
    let attempt = |n, fault| InboxAttempt {
        notification_id: notification(n),
        order_id: Some(order(1)),
        channel: Channel::Email,
        fault,
        at: at(n),
    };
    let mut held = three();
    held.attempts = vec![attempt(1, Some(FaultKind::Throttle)), attempt(2, None)];
    let inbox = Served::new(held).await;
    let list = inbox.get("/inbox/attempts").await.json();
    assert_eq!(
        list["data"][1],
        json!({
            "notification_id": notification(1), "order_id": order(1), "channel": "email",
            "fault": "throttle", "at": "2026-02-17T11:00:01.000Z"
        })
    );
    assert_eq!(list["data"][0]["fault"], Value::Null);
    let newest = inbox.get("/inbox/attempts?limit=1").await.json();
    assert_eq!(newest["data"].as_array().unwrap().len(), 1);
    let page = inbox.get("/inbox/1").await.text;
    assert_eq!(page.matches("data-testid=\"attempt\"").count(), 1);
}

#[tokio::test]
async fn the_dashboard_counts_orders_and_events() {
    let held = Held {
        overview: Overview {
            orders: vec![("pending", 5), ("confirmed", 0), ("shipped", 2)],
            outbox_waiting: 1,
            bus_waiting: 3,
            bus_retrying: 4,
            dead_letters: 6,
        },
        ..three()
    };
    let inbox = Served::new(held).await;
    assert_eq!(
        inbox.get("/inbox/overview").await.text,
        r#"{"orders":{"pending":5,"confirmed":0,"shipped":2},"outbox_waiting":1,"bus_waiting":3,"bus_retrying":4,"dead_letters":6}"#
    );
    let page = inbox.get("/inbox").await.text;
    for (name, count) in [
        ("orders-pending", 5),
        ("orders-shipped", 2),
        ("overview-outbox", 1),
        ("overview-bus", 3),
        ("overview-retrying", 4),
        ("overview-dead-letters", 6),
    ] {
        assert!(page.contains(&format!("data-testid=\"{name}\">{count}<")));
    }
}

#[tokio::test]
async fn dead_letters_are_listed_with_all_that_is_known() {
    let mut held = three();
    held.dead_letters = vec![dead_letter(b"\xff{"), dead_letter(b"{\"b\":1.50,\"a\":2}")];
    let inbox = Served::new(held).await;
    let answer = inbox.get("/inbox/dead-letters.json").await;
    let list = answer.json();
    assert_eq!(
        list["data"][0],
        json!({
            "queue": "notify.order_created",
            "message_id": "019c6b2e-1111-7000-8000-000000000001",
            "event_type": "OrderCreated", "event": { "a": 2, "b": 1.5 },
            "body": "{\"b\":1.50,\"a\":2}", "error_class": "refused",
            "error_message": "the provider refused the message", "attempts": 1,
            "first_failed_at": "2026-02-17T11:00:07.000Z",
            "failed_at": "2026-02-17T11:00:08.000Z", "failed_channels": ["email"]
        })
    );
    assert_eq!(list["data"][1]["event"], Value::Null);
    assert_eq!(list["data"][1]["body"], "\u{fffd}{");
    let page = inbox.get("/inbox/dead-letters").await.text;
    assert_eq!(page.matches("data-testid=\"dead-letter\"").count(), 2);
    assert!(page.contains("&quot;b&quot;: 1.50,\n"), "{page}");
}
