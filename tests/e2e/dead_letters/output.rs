//! What the commands tell, to the letter.

use serde_json::{Value, json};

use crate::world::Backend;

use super::kit::{GOLDEN, dlq, empty, golden, import_golden, listed};

back_ends! {
    both:
        a_listing_for_programs_is_an_export_without_bodies,
        a_letter_for_programs_is_its_line_and_its_notes,
        people_see_a_table,
        people_see_a_letter_with_its_event,
        groups_count_what_failed_for_the_same_cause,
        wrong_usage_is_told_all_at_once;
}

async fn a_listing_for_programs_is_an_export_without_bodies(on: Backend) {
    let world = empty(on).await;
    import_golden(&world).await;
    let wanted = GOLDEN.lines().map(|line| {
        let mut letter: Value = line.parse().unwrap();
        letter.as_object_mut().unwrap().remove("body");
        letter
    });
    assert_eq!(listed(&world, &[]).await, wanted.collect::<Vec<_>>());
}

async fn a_letter_for_programs_is_its_line_and_its_notes(on: Backend) {
    let world = empty(on).await;
    import_golden(&world).await;
    let shown = dlq(&world, &["show", &golden(2), "--output", "json"]).await;
    let mut shown = shown.json();
    let notes = shown.as_object_mut().unwrap().remove("notes").unwrap();
    let line: Value = GOLDEN.lines().nth(1).unwrap().parse().unwrap();
    assert_eq!(shown, line);
    let mut note = notes[0].clone();
    for name in ["timestamp", "actor"] {
        assert!(note[name].is_string(), "{note}");
        note[name] = Value::Null;
    }
    let wanted = json!({
        "timestamp": null, "action": "import", "message_id": golden(2),
        "queue": "notifications.order.shipped", "class": "refused", "reason": null, "actor": null,
    });
    assert_eq!(note, wanted);
}

async fn people_see_a_table(on: Backend) {
    let world = empty(on).await;
    import_golden(&world).await;
    let told = dlq(&world, &["list", "--reason", "refused"]).await;
    let wanted = "\
MESSAGE                               QUEUE                        TYPE          CLASS    ATTEMPTS  GIVEN UP                 REASON
019c6b2e-0000-7000-8000-000000000002  notifications.order.shipped  OrderShipped  refused  1         2026-02-18 09:30:00 UTC  sms: 21610 unsubscribed
";
    assert_eq!(told.ok(), wanted);
    let none = dlq(&world, &["list", "--reason", "nobody knows"]).await;
    assert_eq!((none.ok(), none.stderr.as_str()), ("", "nothing found\n"));
    let part = dlq(&world, &["list", "--limit", "1"]).await;
    assert_eq!(part.stderr, "1 of 4; see --limit\n");
}

async fn people_see_a_letter_with_its_event(on: Backend) {
    let world = empty(on).await;
    import_golden(&world).await;
    let told = dlq(&world, &["show", &golden(4)]).await;
    let (letter, notes) = told.ok().split_once("\n\n").unwrap();
    let wanted = "\
Message       019c6b2e-0000-7000-8000-000000000004
Queue         notifications.order.created
Class         poison
Reason        the event does not follow the schema
Attempts      1
First failed  2026-02-20 08:00:00 UTC
Given up      2026-02-20 08:00:00 UTC
Event         no json";
    assert_eq!(letter, wanted);
    assert!(
        notes.starts_with("WHEN") && notes.contains("import"),
        "{notes}"
    );
}

async fn groups_count_what_failed_for_the_same_cause(on: Backend) {
    let world = empty(on).await;
    import_golden(&world).await;
    let told = dlq(&world, &["group", "--output", "json"]).await.json();
    let wanted = json!({
        "count": 2, "queue": "notifications.order.created", "type": "OrderCreated",
        "class": "exhausted", "fingerprint": "email: throttled after # s",
        "oldest_failed_at": "2026-02-17T11:00:21.000Z",
        "newest_failed_at": "2026-02-19T08:00:21.000Z", "example": golden(1),
    });
    assert_eq!(told["data"][0], wanted);
    assert_eq!(told["data"].as_array().unwrap().len(), 3);
}

async fn wrong_usage_is_told_all_at_once(on: Backend) {
    let world = empty(on).await;
    let args = ["list", "--queue", "x", "--order", "y", "--older-than", "z"];
    let told = dlq(&world, &args).await;
    assert_eq!(told.code, Some(2));
    let wanted = "\
error: --queue: must be one of notifications.order.created, notifications.order.shipped, notifications.user
error: --order: must be an order's id
error: --older-than: must be a duration such as 90m or 24h, of 100 years at most
";
    assert_eq!(told.stderr, wanted);
}
