//! `shopflow dlq …` (contract §7): what was given up, and what becomes of it.

mod kills;
mod kit;
mod output;

use serde_json::{Value, json};
use shopflow_testkit::{Channel, Fault, wait_until};

use crate::world::{Backend, SOON, World};
use kit::{Ran, dlq, ids, import_golden, listed};

pub(crate) use kit::{GOLDEN, empty, golden};

back_ends! {
    both:
        a_replay_sends_what_had_failed_and_turns_its_row_sent,
        what_fails_again_is_a_dead_letter_again,
        every_filter_narrows_a_listing,
        a_dry_run_changes_nothing,
        a_limit_takes_the_oldest,
        a_purge_deletes_what_passes_the_filter_and_only_when_told_to,
        an_age_before_all_times_is_wrong_usage_and_meets_no_letter,
        a_discard_is_kept_on_record_with_its_reason,
        what_is_exported_can_be_brought_back,
        a_file_with_a_fault_brings_nothing_in,
        an_unknown_message_is_exit_code_3,
        a_rate_is_kept;
    servers:
        a_replayed_message_has_only_the_headers_of_a_new_one,
        a_full_queue_keeps_its_letters_where_they_are,
        without_a_broker_nothing_works_and_that_is_told;
}

/// Lets the mail of Jane's order fail for good, and returns the order's id.
async fn fail_one(world: &World, jane: &crate::world::Person) -> String {
    let fault = Fault::Refuse;
    world.fail(Channel::Email, fault, Some(1), None).await;
    let order = world.place(jane).await["id"].as_str().unwrap().to_owned();
    world.wait_notified(jane, 1, "failed").await;
    wait_until("a dead letter", SOON, || async {
        world.dead_letters().await == 1
    })
    .await;
    order
}

async fn a_replay_sends_what_had_failed_and_turns_its_row_sent(on: Backend) {
    let world = World::start(on).await;
    let jane = world.customer("jane").await;
    let order = fail_one(&world, &jane).await;
    let letters = listed(&world, &["--order", &order]).await;
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0]["class"], "refused");

    let told = dlq(&world, &["replay", "--order", &order, "--output", "json"]).await;
    let told = told.json();
    assert_eq!((&told["matched"], &told["moved"]), (&json!(1), &json!(1)));
    world.wait_notified(&jane, 2, "sent").await;
    assert_eq!(world.mails().await.len(), 1);
    assert_eq!(world.texts().await.len(), 1);
    assert_eq!(listed(&world, &[]).await, Vec::<Value>::new());
    let sql = "SELECT count(*) FROM dead_letter_log WHERE action = 'replay'";
    assert_eq!(world.count(sql).await, 1);
}

async fn what_fails_again_is_a_dead_letter_again(on: Backend) {
    let world = World::start(on).await;
    let jane = world.customer("jane").await;
    fail_one(&world, &jane).await;
    let before = listed(&world, &[]).await;
    let fault = Fault::Refuse;
    world.fail(Channel::Email, fault, Some(1), None).await;
    dlq(&world, &["replay"]).await.ok();
    wait_until("another dead letter", SOON, || async {
        let now = listed(&world, &[]).await;
        now.len() == 1 && now[0]["failed_at"] != before[0]["failed_at"]
    })
    .await;
    let after = listed(&world, &[]).await;
    assert_eq!(after[0]["message_id"], before[0]["message_id"]);
    assert_eq!(after[0]["attempts"], 1);
    // What the service keeps of it tells who replayed it.
    let id = after[0]["message_id"].as_str().unwrap();
    let shown = dlq(&world, &["show", id, "--output", "json"]).await.json();
    assert_eq!(shown["notes"][0]["action"], "replay", "{shown}");
}

async fn every_filter_narrows_a_listing(on: Backend) {
    let world = empty(on).await;
    import_golden(&world).await;
    let order = "b2c3d4e5-f6a7-8901-bcde-f12345678901";
    let cases: [(&[&str], &[usize]); 10] = [
        (&[], &[1, 2, 3, 4]),
        (&["--queue", "notifications.order.created"], &[1, 3, 4]),
        (&["--queue", "notifications.order.shipped.dlq"], &[2]),
        (&["--order", order], &[1, 2]),
        (&["--type", "ordershipped"], &[2]),
        (&["--reason", "exhausted"], &[1, 3]),
        (&["--reason", "UNSUBSCRIBED"], &[2]),
        (&["--older-than", "1h"], &[1, 2, 3, 4]),
        (&["--older-than", "876000h"], &[]),
        (&["--order", order, "--reason", "refused"], &[2]),
    ];
    for (filter, wanted) in cases {
        assert_eq!(ids(&listed(&world, filter).await), wanted, "{filter:?}");
    }
}

async fn a_dry_run_changes_nothing(on: Backend) {
    let world = empty(on).await;
    import_golden(&world).await;
    let one = golden(1);
    let cases: [&[&str]; 3] = [
        &["replay", "--reason", "exhausted"],
        &["purge", "--reason", "exhausted"],
        &["discard", &one, "--reason", "a test"],
    ];
    for (args, matched) in cases.into_iter().zip([2, 2, 1]) {
        let args = [args, &["--dry-run", "--output", "json"]].concat();
        let told = dlq(&world, &args).await.json();
        let wanted = json!({
            "action": args[0], "dry_run": true, "matched": matched, "moved": 0, "kept": 0,
        });
        assert_eq!(told, wanted);
    }
    assert_eq!(ids(&listed(&world, &[]).await), [1, 2, 3, 4]);
}

async fn a_limit_takes_the_oldest(on: Backend) {
    let world = empty(on).await;
    import_golden(&world).await;
    assert_eq!(ids(&listed(&world, &["--limit", "3"]).await), [1, 2, 3]);
    dlq(&world, &["replay", "--limit", "2"]).await.ok();
    assert_eq!(ids(&listed(&world, &[]).await), [3, 4]);
}

async fn a_purge_deletes_what_passes_the_filter_and_only_when_told_to(on: Backend) {
    let world = empty(on).await;
    import_golden(&world).await;
    let refused = dlq(&world, &["purge", "--reason", "exhausted"]).await;
    assert_eq!(refused.code, Some(2), "{}", refused.stderr);
    assert!(refused.stderr.contains("--yes"), "{}", refused.stderr);
    assert_eq!(listed(&world, &[]).await.len(), 4);

    let told = dlq(&world, &["purge", "--reason", "exhausted", "--yes"]).await;
    assert_eq!(told.ok(), "2 purged\n");
    assert_eq!(ids(&listed(&world, &[]).await), [2, 4]);
}

async fn an_age_before_all_times_is_wrong_usage_and_meets_no_letter(on: Backend) {
    let world = empty(on).await;
    import_golden(&world).await;
    for verb in ["purge", "replay", "list", "group", "export"] {
        let yes = ["purge", "replay"].contains(&verb).then_some("--yes");
        let args = [verb, "--older-than", "200000000h"].into_iter().chain(yes);
        let Ran { code, stderr, .. } = dlq(&world, &args.collect::<Vec<_>>()).await;
        assert_eq!(code, Some(2), "{verb}: {stderr}");
        assert!(stderr.starts_with("error: --older-than: "), "{stderr}");
    }
    assert_eq!(ids(&listed(&world, &[]).await), [1, 2, 3, 4]);
}

async fn a_discard_is_kept_on_record_with_its_reason(on: Backend) {
    let world = empty(on).await;
    import_golden(&world).await;
    let (one, four) = (golden(1), golden(4));
    let args = [
        "discard",
        &one,
        &four,
        "--reason",
        "made by a test",
        "--yes",
    ];
    let told = dlq(&world, &args).await;
    assert_eq!(told.ok(), "2 discarded\n");
    assert_eq!(ids(&listed(&world, &[]).await), [2, 3]);

    let lines: Vec<Value> = told
        .stderr
        .lines()
        .map(|line| line.parse().unwrap())
        .collect();
    assert_eq!(ids(&lines), [1, 4]);
    for line in &lines {
        assert_eq!(line["action"], "discard");
        assert_eq!(line["reason"], "made by a test");
        assert!(line["actor"].as_str().unwrap().starts_with("cli:"));
    }
    let sql = "SELECT count(*) FROM dead_letter_log \
               WHERE action = 'discard' AND reason = 'made by a test'";
    assert_eq!(kit::logged(&world, sql).await, 2);
}

async fn what_is_exported_can_be_brought_back(on: Backend) {
    let world = empty(on).await;
    import_golden(&world).await;
    let exported = dlq(&world, &["export"]).await;
    assert_eq!(exported.ok(), kit::GOLDEN);
    dlq(&world, &["purge", "--yes"]).await.ok();
    assert_eq!(listed(&world, &[]).await.len(), 0);
    import_golden(&world).await;
    assert_eq!(dlq(&world, &["export"]).await.ok(), kit::GOLDEN);
}

async fn a_file_with_a_fault_brings_nothing_in(on: Backend) {
    let world = empty(on).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("letters.ndjson");
    let first = kit::GOLDEN.lines().next().unwrap();
    std::fs::write(&file, format!("{first}\n\n{{}}\n")).unwrap();
    let file = file.to_str().unwrap();
    let Ran { code, stderr, .. } = dlq(&world, &["import", file]).await;
    assert_eq!(code, Some(1));
    assert!(stderr.contains("line 3: missing field"), "{stderr}");
    assert_eq!(listed(&world, &[]).await.len(), 0);
}

async fn an_unknown_message_is_exit_code_3(on: Backend) {
    let world = empty(on).await;
    import_golden(&world).await;
    let (one, unknown) = (golden(1), golden(9));
    let cases: [&[&str]; 3] = [
        &["show", &unknown],
        &["replay", &one, &unknown],
        &["discard", &one, &unknown, "--reason", "a test", "--yes"],
    ];
    for args in cases {
        let Ran { code, stderr, .. } = dlq(&world, args).await;
        assert_eq!(code, Some(3), "{args:?}: {stderr}");
        let wanted = format!("error: there is no dead letter {unknown}\n");
        assert_eq!(stderr, wanted);
    }
    assert_eq!(listed(&world, &[]).await.len(), 4);
}

async fn a_rate_is_kept(on: Backend) {
    let world = empty(on).await;
    import_golden(&world).await;
    let begun = std::time::Instant::now();
    dlq(&world, &["replay", "--rate", "4"]).await.ok();
    // Four at four a second; the last waits as the others do.
    assert!(begun.elapsed().as_millis() >= 1000, "{:?}", begun.elapsed());
}

async fn a_replayed_message_has_only_the_headers_of_a_new_one() {
    let world = empty(Backend::Servers).await;
    import_golden(&world).await;
    let vhost = &world.servers().vhost;
    // As the broker itself leaves it that gave up a message.
    let headers = [
        ("x-shopflow-attempt", json!(3)),
        ("x-first-death-queue", json!("notifications.order.created")),
        (
            "traceparent",
            json!("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
        ),
    ];
    let (exchange, key) = ("order.events.dlx", "order.created.failed");
    let (id, kind) = (Some("m-5"), Some("OrderCreated"));
    vhost.publish(exchange, key, "{}", id, kind, &headers).await;
    dlq(
        &world,
        &["replay", "--queue", "notifications.order.created"],
    )
    .await
    .ok();
    let messages = vhost.drain("notifications.order.created").await;
    assert_eq!(messages.len(), 4);
    for message in &messages {
        // The queue's own count of returns comes with every message.
        let own = ["traceparent", "tracestate", "x-delivery-count"];
        let names: Vec<&str> = message.headers.keys().map(String::as_str).collect();
        assert!(names.iter().all(|name| own.contains(name)), "{names:?}");
        assert_eq!(message.delivery_mode, Some(2));
        assert!(message.message_id.is_some());
    }
    let last = messages.iter().find(|one| one.message_id.as_deref() == id);
    assert_eq!(last.unwrap().type_.as_deref(), kind);
}

async fn a_full_queue_keeps_its_letters_where_they_are() {
    let world = empty(Backend::Servers).await;
    let vhost = &world.servers().vhost;
    kit::import_many(&world, 50).await;
    let limits = json!({ "max-length": 1, "overflow": "reject-publish" });
    let queue = "notifications.order.created";
    vhost
        .set_policy("full", "^notifications.order.created$", &limits)
        .await;
    wait_until("the queue is full", SOON, || async {
        // A limit counts once the queue has heard of it.
        let told = dlq(&world, &["replay", "--limit", "10"]).await;
        told.code == Some(1) && told.stderr.contains("they stay")
    })
    .await;
    let waiting = vhost.drain(queue).await;
    let dead = vhost.drain("notifications.order.created.dlq").await;
    let mut all: Vec<String> = [waiting, dead]
        .concat()
        .into_iter()
        .filter_map(|message| message.message_id)
        .collect();
    all.sort_unstable();
    assert_eq!(all, (1..=50).map(golden).collect::<Vec<_>>());
}

async fn without_a_broker_nothing_works_and_that_is_told() {
    let missing = crate::world::run(&["dlq", "list"], &[]).await;
    let wanted = "error: RABBITMQ_URL: is required (or RABBITMQ_URL_FILE, or --rabbitmq-url)\n";
    assert_eq!(missing, (Some(2), wanted.to_owned()));
    let away = [("RABBITMQ_URL", "amqp://127.0.0.1:1/%2f")];
    let (code, told) = crate::world::run(&["dlq", "list"], &away).await;
    assert_eq!(code, Some(1));
    assert!(
        told.starts_with("error: the dead letters cannot be reached"),
        "{told}"
    );
}
