//! `shopflow reconcile`: data is broken by hand, found, and mended.

mod caution;

use serde_json::Value;
use shopflow_testkit::wait_until;

use super::{Told, broker, told_with};
use crate::world::{Backend, Person, SOON, UNPUBLISHED, World};

back_ends! {
    both:
        nothing_is_found_where_everything_fits,
        an_order_whose_event_was_never_stored_is_mailed_once_it_is_mended,
        two_at_once_beside_running_services_mail_once,
        an_event_of_which_nothing_was_written_down_goes_out_again_under_its_id,
        a_mail_that_is_stuck_is_sent_and_the_text_beside_it_is_not,
        a_mail_that_is_stuck_is_sent_though_its_event_is_forgotten,
        an_order_that_its_history_contradicts_is_only_told,
        what_is_young_may_be_on_its_way;
    servers:
        what_notify_does_not_tell_is_named_and_nothing_is_mended;
}

async fn reconcile(world: &World, args: &[&str]) -> Told {
    let all = [
        &["reconcile", "--older-than", "0s", "--output", "json"],
        args,
    ]
    .concat();
    told_with(world, &all, &broker(world)).await
}

/// The lines that tell of findings, or of what was done, and the last one, which sums up.
#[track_caller]
fn lines(told: &Told) -> (Vec<Value>, Value) {
    let lines = told.output.lines().filter(|line| line.starts_with('{'));
    let lines: Vec<Value> = lines.map(|line| line.parse().unwrap()).collect();
    let (sums, others): (Vec<Value>, _) = lines
        .into_iter()
        .partition(|line| line["found"].is_object());
    let sum = sums.into_iter().next();
    (
        others,
        sum.unwrap_or_else(|| panic!("no sum: {}", told.output)),
    )
}

/// What was found, as words.
#[track_caller]
fn found(told: &Told) -> Vec<String> {
    let (others, _) = lines(told);
    let words = others.iter().filter_map(|line| line["found"].as_str());
    words.map(str::to_owned).collect()
}

/// A world with an order whose mail and text were sent.
async fn mailed(on: Backend) -> (World, Person, String) {
    let world = World::start(on).await;
    let jane = world.customer("jane").await;
    let order = world.place(&jane).await["id"].as_str().unwrap().to_owned();
    world.wait_notified(&jane, 2, "sent").await;
    settled(&world).await;
    (world, jane, order)
}

/// As if it had never been told of.
async fn forget(world: &World, tables: &[&str]) {
    for table in tables {
        world.execute(&format!("DELETE FROM {table}")).await;
    }
}

const ALL: [&str; 2] = ["order_outbox", "notifications"];

/// Nothing waits on the way any more, so nothing more can be sent.
async fn settled(world: &World) {
    wait_until("nothing is on its way", SOON, async || {
        let queued = "SELECT count(*) FROM notifications WHERE status = 'queued'";
        world.count(UNPUBLISHED).await + world.count(queued).await == 0
            && world.bus_waiting().await == 0
    })
    .await;
}

async fn nothing_is_found_where_everything_fits(on: Backend) {
    let (world, _, _) = mailed(on).await;
    let told = reconcile(&world, &[]).await;
    assert_eq!(told.code, Some(0), "{}", told.output);
    let (others, sum) = lines(&told);
    assert_eq!(others, Vec::<Value>::new());
    assert_eq!((&sum["orders"], &sum["left"]), (&1.into(), &0.into()));
}

async fn an_order_whose_event_was_never_stored_is_mailed_once_it_is_mended(on: Backend) {
    let (world, jane, order) = mailed(on).await;
    forget(&world, &ALL).await;
    let (mails, texts) = (world.mails().await.len(), world.texts().await.len());

    let dry = reconcile(&world, &[]).await;
    assert_eq!(dry.code, Some(1), "{}", dry.output);
    let (findings, sum) = lines(&dry);
    assert_eq!(findings[0]["found"], "event_missing");
    assert_eq!(findings[0]["order_id"], order);
    assert_eq!(findings[0]["event_type"], "OrderCreated");
    assert_eq!((&sum["mended"], &sum["left"]), (&0.into(), &1.into()));
    assert_eq!(world.count("SELECT count(*) FROM order_outbox").await, 0);

    let fixed = reconcile(&world, &["--fix", "--yes"]).await;
    assert_eq!(fixed.code, Some(0), "{}", fixed.output);
    let (told, _) = lines(&fixed);
    let audit = told.iter().find(|line| line["action"] == "restore_event");
    assert_eq!(audit.unwrap()["actor"], "cli:ada");
    assert_eq!(audit.unwrap()["event_id"], findings[0]["event_id"]);
    world.wait_notified(&jane, 2, "sent").await;
    assert_eq!(world.mails().await.len(), mails + 1);
    assert_eq!(world.texts().await.len(), texts + 1);

    for args in [&[][..], &["--fix", "--yes"]] {
        let again = reconcile(&world, args).await;
        assert_eq!(again.code, Some(0), "{}", again.output);
        assert_eq!(found(&again), Vec::<String>::new());
    }
    settled(&world).await;
    assert_eq!(world.mails().await.len(), mails + 1);
    let kept = "SELECT count(*) FROM order_repairs
                WHERE actor = 'cli:ada' AND finding = 'event_missing'";
    assert_eq!(world.count(kept).await, 1);
}

async fn two_at_once_beside_running_services_mail_once(on: Backend) {
    let (world, jane, _) = mailed(on).await;
    for _ in 0..4 {
        world.place(&jane).await;
    }
    world.wait_notified(&jane, 10, "sent").await;
    forget(&world, &ALL).await;
    let mails = world.mails().await.len();
    let fix = || reconcile(&world, &["--fix", "--yes"]);
    let (first, second) = tokio::join!(fix(), fix());
    assert_eq!(first.code, Some(0), "{}", first.output);
    assert_eq!(second.code, Some(0), "{}", second.output);
    world.wait_notified(&jane, 10, "sent").await;
    settled(&world).await;
    assert_eq!(world.mails().await.len(), mails + 5);
}

async fn an_event_of_which_nothing_was_written_down_goes_out_again_under_its_id(on: Backend) {
    let (world, jane, _) = mailed(on).await;
    forget(&world, &["notifications"]).await;
    let mails = world.mails().await.len();
    let fixed = reconcile(&world, &["--fix", "--yes"]).await;
    assert_eq!(fixed.code, Some(0), "{}", fixed.output);
    assert_eq!(found(&fixed), ["event_unheard"]);
    world.wait_notified(&jane, 2, "sent").await;
    assert_eq!(world.mails().await.len(), mails + 1);
    let known = "SELECT count(*) FROM order_outbox o
                 JOIN notifications n ON n.event_id = o.event_id";
    assert_eq!(world.count(known).await, 2);
    assert_eq!(world.count("SELECT count(*) FROM order_outbox").await, 1);
    assert_eq!(found(&reconcile(&world, &[]).await), Vec::<String>::new());
}

/// Lets the mail be queued, and nobody work on it.
async fn stick(world: &World) {
    let sql = "UPDATE notifications SET status = 'queued', sent_at = NULL, provider_ref = NULL
               WHERE channel = 'email'";
    world.execute(sql).await;
}

async fn a_mail_that_is_stuck_is_sent_and_the_text_beside_it_is_not(on: Backend) {
    let (world, jane, _) = mailed(on).await;
    stick(&world).await;
    let (mails, texts) = (world.mails().await.len(), world.texts().await.len());
    let fixed = reconcile(&world, &["--fix", "--yes"]).await;
    assert_eq!(fixed.code, Some(0), "{}", fixed.output);
    assert_eq!(found(&fixed), ["queued_stale"]);
    world.wait_notified(&jane, 2, "sent").await;
    assert_eq!(found(&reconcile(&world, &[]).await), Vec::<String>::new());
    settled(&world).await;
    assert_eq!(world.mails().await.len(), mails + 1);
    assert_eq!(world.texts().await.len(), texts);
}

async fn a_mail_that_is_stuck_is_sent_though_its_event_is_forgotten(on: Backend) {
    let (world, jane, _) = mailed(on).await;
    stick(&world).await;
    forget(&world, &["order_outbox"]).await;
    let mails = world.mails().await.len();
    let fixed = reconcile(&world, &["--fix", "--yes"]).await;
    assert_eq!(fixed.code, Some(0), "{}", fixed.output);
    world.wait_notified(&jane, 2, "sent").await;
    settled(&world).await;
    assert_eq!(world.mails().await.len(), mails + 1);
    // Under another id it would have become a notification of its own.
    assert_eq!(world.count("SELECT count(*) FROM notifications").await, 2);
}

async fn an_order_that_its_history_contradicts_is_only_told(on: Backend) {
    let (world, _, order) = mailed(on).await;
    let sql = "UPDATE orders SET status = 'confirmed', confirmed_at = created_at";
    world.execute(sql).await;
    for args in [&[][..], &["--fix", "--yes"]] {
        let told = reconcile(&world, args).await;
        assert_eq!(told.code, Some(1), "{}", told.output);
        let (findings, sum) = lines(&told);
        let finding = &findings[0];
        assert_eq!(finding["found"], "state_disagrees");
        assert_eq!(finding["order_id"], order);
        assert_eq!(
            finding["what"],
            "it is confirmed, and its history ends in pending"
        );
        let why = "only a person can tell which of the two is right";
        assert_eq!(finding["why_not"], why);
        assert_eq!((&sum["mended"], &sum["left"]), (&0.into(), &1.into()));
    }
}

async fn what_is_young_may_be_on_its_way(on: Backend) {
    let (world, _, _) = mailed(on).await;
    forget(&world, &ALL).await;
    let args = ["reconcile", "--output", "json"];
    let told = told_with(&world, &args, &[]).await;
    assert_eq!(found(&told), Vec::<String>::new());
}

async fn what_notify_does_not_tell_is_named_and_nothing_is_mended() {
    let (world, _, _) = mailed(Backend::Servers).await;
    forget(&world, &ALL).await;
    let nowhere = "postgres://nobody:s3cret@127.0.0.1:9/none";
    let env = [
        ("NOTIFY_DATABASE_URL", nowhere),
        ("RABBITMQ_URL", &world.setup.rabbitmq_url),
    ];
    let args = [
        "reconcile",
        "--fix",
        "--yes",
        "--older-than",
        "0s",
        "--output",
        "json",
    ];
    let told = told_with(&world, &args, &env).await;
    assert_eq!(told.code, Some(1), "{}", told.output);
    let (findings, sum) = lines(&told);
    assert_eq!(
        findings[0]["why_not"],
        "whether it was mailed cannot be read"
    );
    assert_eq!(sum["missing"][0]["service"], "notify");
    assert!(!told.output.contains("s3cret"), "{}", told.output);
    assert_eq!(world.count("SELECT count(*) FROM order_outbox").await, 0);
}
