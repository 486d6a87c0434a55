//! Notifications older than a year, and orders older than seven.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;
use shopflow_testkit::{FakeS3, Process, free_port, wait_until};

use super::{days_ago, fill, objects_in, retention, retention_with, rows_of};
use crate::world::{AUTH, Backend, NOTIFY, ORDERS, SOON, World, shopflow};

back_ends! {
    both:
        notifications_older_than_a_year_are_archived_and_then_deleted,
        a_dry_run_tells_what_is_due_and_changes_nothing,
        killed_at_any_moment_a_run_is_gone_on_with_and_no_row_is_lost_or_archived_twice,
        a_bucket_that_damages_what_it_stores_is_never_followed_by_a_delete,
        an_order_older_than_seven_years_is_told_and_kept;
    servers:
        without_an_archive_nothing_is_done_and_the_variable_is_named,
        a_bucket_that_is_away_fails_the_run_and_the_next_one_goes_on;
}

const ALL: &str = "SELECT count(*) FROM notifications";

async fn notifications_older_than_a_year_are_archived_and_then_deleted(on: Backend) {
    let world = World::start(on).await;
    let jane = world.customer("jane").await;
    world.place(&jane).await;
    world.wait_notified(&jane, 2, "sent").await;
    let old = world.notifications(&jane).await;
    let ago = days_ago(on, 367);
    world
        .execute(&format!("UPDATE notifications SET created_at = {ago}"))
        .await;
    fill(&world, 3, 364).await;

    let folder = tempfile::tempdir().unwrap();
    let told = retention(&world, folder.path(), &[]).await;
    assert_eq!(told.code, Some(0), "{}", told.output);
    assert_eq!(told.of("notify")["archived"], 2, "{}", told.output);
    assert_eq!(world.count(ALL).await, 3);
    let rows = rows_of(&objects_in(folder.path()));
    assert_eq!(rows.len(), 2);
    for one in &old {
        let row = rows.iter().find(|row| row["id"] == one["id"]).unwrap();
        for field in ["order_id", "channel", "type", "recipient", "subject"] {
            assert_eq!(row[field], one[field], "{field}");
        }
        assert_eq!(row["user_id"], jane.id.as_str());
        assert!(!row["body"].as_str().unwrap().is_empty());
    }
    let again = retention(&world, folder.path(), &[]).await;
    assert_eq!(again.of("notify")["archived"], 0);
    assert_eq!(rows_of(&objects_in(folder.path())).len(), 2);
}

/// All that is stored, as one number a table or as one file.
async fn dump(world: &World) -> Vec<Vec<u8>> {
    if let Some(data) = world.data_dir() {
        return vec![std::fs::read(data.join("shopflow.db")).unwrap()];
    }
    let mut sums = Vec::new();
    for table in [
        "users",
        "sessions",
        "refresh_tokens",
        "user_audit",
        "orders",
        "order_history",
        "notifications",
        "notification_archives",
        "retention_runs",
    ] {
        let sum = format!(
            "SELECT coalesce(hashtextextended(string_agg(t::text, '|' ORDER BY t::text), 0), 0)
             FROM {table} AS t"
        );
        sums.push(world.count(&sum).await.to_be_bytes().to_vec());
    }
    sums
}

async fn a_dry_run_tells_what_is_due_and_changes_nothing(on: Backend) {
    let world = World::start(on).await;
    let jane = world.customer("jane").await;
    world.place(&jane).await;
    world.wait_notified(&jane, 2, "sent").await;
    let deleted = world
        .auth
        .with_token(&jane.access)
        .delete(&format!("/auth/users/{}", jane.id))
        .await;
    assert_eq!(deleted.status, 204, "{}", deleted.text());
    let ago = days_ago(on, 91);
    let id = format!("email = '{}'", jane.email);
    world
        .execute(&format!(
            "UPDATE users SET deactivated_at = {ago} WHERE {id}"
        ))
        .await;
    fill(&world, 7, 400).await;
    // A stop puts everything that was written into the file.
    for service in [AUTH, ORDERS, NOTIFY] {
        world.process(service).terminate();
        world.process(service).wait_exit(SOON).await.unwrap();
    }

    let before = dump(&world).await;
    let folder = tempfile::tempdir().unwrap();
    let told = retention(&world, folder.path(), &["--dry-run"]).await;
    assert_eq!(told.code, Some(0), "{}", told.output);
    assert_eq!(told.of("auth")["purged"], 1, "{}", told.output);
    assert_eq!(told.of("notify")["archived"], 7, "{}", told.output);
    assert!(dump(&world).await == before, "something was changed");
    assert!(objects_in(folder.path()).is_empty());

    let people = world.administer(&["retention", "run", "--dry-run"], &[]);
    let (code, table) = people.await;
    assert_eq!(code, Some(0), "{table}");
    assert!(table.contains("ARCHIVED") && table.contains("nothing was changed"));
    let made = world.data_dir().map(|data| data.join("archive"));
    assert!(made.is_none_or(|folder| !folder.exists()));
}

const ROWS: usize = 5_000;

/// The numbers of the rows in an archive; none may be there twice.
fn archived(folder: &Path) -> BTreeSet<usize> {
    let rows = rows_of(&objects_in(folder));
    let numbers: BTreeSet<usize> = rows.iter().map(number).collect();
    assert_eq!(numbers.len(), rows.len(), "a row is there twice");
    numbers
}

fn number(row: &Value) -> usize {
    let body = row["body"].as_str().unwrap();
    body.strip_prefix("row-").unwrap().parse().unwrap()
}

/// What is not in the archive is in the database.
async fn nothing_is_lost(world: &World, folder: &Path) {
    let archived = archived(folder);
    let missing: Vec<String> = (1..=ROWS)
        .filter(|number| !archived.contains(number))
        .map(|number| format!("'row-{number}'"))
        .collect();
    if missing.is_empty() {
        return;
    }
    let list = missing.join(", ");
    let kept = format!("{ALL} WHERE body IN ({list})");
    assert_eq!(
        usize::try_from(world.count(&kept).await).unwrap(),
        missing.len()
    );
}

async fn killed_at_any_moment_a_run_is_gone_on_with_and_no_row_is_lost_or_archived_twice(
    on: Backend,
) {
    let world = World::start(on).await;
    // On a machine that stalls, all runs may have ended by the time somebody kills them.
    for _ in 0..5 {
        if runs_are_killed(&world).await > 0 {
            return;
        }
    }
    panic!("no run was killed in the middle");
}

/// How many of the runs that were killed were in the middle.
async fn runs_are_killed(world: &World) -> i64 {
    fill(world, ROWS, 400).await;
    let folder = tempfile::tempdir().unwrap();
    let url = format!("file://{}", folder.path().display());
    let mut args = vec!["retention".to_owned(), "run".to_owned()];
    let mut env = vec![("RETENTION_ARCHIVE_URL", url.as_str())];
    match world.data_dir() {
        Some(data) => args.extend(["--data-dir".to_owned(), data.display().to_string()]),
        None => env.push(("DATABASE_URL", &world.setup.database_url)),
    }
    let runs = async |outcome: &str| {
        let runs = "SELECT count(*) FROM retention_runs WHERE service = 'notify' AND outcome = ";
        world.count(&format!("{runs}'{outcome}'")).await
    };
    let before = runs("interrupted").await;
    let mut middle = 0;
    // Each is killed as soon as it has stored something: an object, or a manifest.
    for _ in 0..3 {
        let before = objects_in(folder.path()).len();
        let run = Process::start(shopflow(), &args, env.iter().copied());
        wait_until("something more is stored", SOON, || async {
            let ended = run.wait_exit(std::time::Duration::ZERO).await.is_some();
            ended || objects_in(folder.path()).len() > before
        })
        .await;
        run.kill();
        run.wait_exit(SOON).await.unwrap();
        middle += runs("running").await;
        nothing_is_lost(world, folder.path()).await;
    }
    let told = retention(world, folder.path(), &[]).await;
    assert_eq!(told.code, Some(0), "{}", told.output);
    assert_eq!(world.count(ALL).await, 0);
    assert_eq!(archived(folder.path()), (1..=ROWS).collect());
    assert_eq!(runs("running").await, 0);
    assert_eq!(runs("interrupted").await - before, middle);
    middle
}

async fn a_bucket_that_damages_what_it_stores_is_never_followed_by_a_delete(on: Backend) {
    let world = World::start(on).await;
    fill(&world, 10, 400).await;
    let bucket = FakeS3::start();
    let found = bucket.environment();
    let mut env: Vec<(&str, &str)> = found
        .iter()
        .map(|(name, value)| (*name, &**value))
        .collect();
    env.push(("RETENTION_ARCHIVE_URL", "s3://shop-archive/notify"));

    bucket.damage(true);
    let told = retention_with(&world, &env, &[]).await;
    assert_eq!(told.code, Some(1), "{}", told.output);
    assert_eq!(told.of("notify")["outcome"], "failed", "{}", told.output);
    assert_eq!(world.count(ALL).await, 10);

    bucket.damage(false);
    let told = retention_with(&world, &env, &[]).await;
    assert_eq!(told.code, Some(0), "{}", told.output);
    assert_eq!(told.of("notify")["archived"], 10, "{}", told.output);
    assert_eq!(world.count(ALL).await, 0);
    let objects = bucket.objects().into_iter().map(|(name, object)| {
        let name = name.strip_prefix("shop-archive/notify/").unwrap();
        (name.to_owned(), object.to_vec())
    });
    assert_eq!(rows_of(&objects.collect()).len(), 10);
}

async fn a_bucket_that_is_away_fails_the_run_and_the_next_one_goes_on() {
    let world = World::start(Backend::Servers).await;
    fill(&world, 10, 400).await;
    let bucket = FakeS3::start();
    let away = format!("http://127.0.0.1:{}", free_port());
    let found = bucket.environment();
    let mut env: Vec<(&str, &str)> = found
        .iter()
        .map(|(name, value)| (*name, &**value))
        .collect();
    env.push(("RETENTION_ARCHIVE_URL", "s3://shop-archive"));
    let mut without = env.clone();
    without.push(("AWS_ENDPOINT_URL_S3", &away));
    let told = retention_with(&world, &without, &[]).await;
    assert_eq!(told.code, Some(1), "{}", told.output);
    assert_eq!(told.of("auth")["outcome"], "done", "{}", told.output);
    assert_eq!(told.of("notify")["outcome"], "failed", "{}", told.output);
    assert_eq!(world.count(ALL).await, 10);
    let told = retention_with(&world, &env, &[]).await;
    assert_eq!(told.of("notify")["archived"], 10, "{}", told.output);
    assert_eq!(world.count(ALL).await, 0);
}

async fn an_order_older_than_seven_years_is_told_and_kept(on: Backend) {
    let world = World::start(on).await;
    let jane = world.customer("jane").await;
    let ago = |years: u32| days_ago(on, years * 366);
    for years in [6, 8] {
        let order = world.place(&jane).await;
        let id = order["id"].as_str().unwrap();
        let id = match on {
            Backend::Servers => format!("'{id}'"),
            Backend::Embedded => format!("x'{}'", id.replace('-', "")),
        };
        let sql = format!(
            "UPDATE orders SET created_at = {} WHERE id = {id}",
            ago(years)
        );
        world.execute(&sql).await;
    }
    let folder = tempfile::tempdir().unwrap();
    let told = retention(&world, folder.path(), &[]).await;
    assert_eq!(told.code, Some(0), "{}", told.output);
    assert_eq!(told.of("orders")["past_term"], 1, "{}", told.output);
    assert_eq!(world.count("SELECT count(*) FROM orders").await, 2);
}

async fn without_an_archive_nothing_is_done_and_the_variable_is_named() {
    let world = World::start(Backend::Servers).await;
    let told = retention_with(&world, &[], &[]).await;
    assert_eq!(told.code, Some(0), "nothing is due: {}", told.output);
    fill(&world, 3, 400).await;
    let runs = "SELECT count(*) FROM retention_runs";
    let before = world.count(runs).await;
    let (code, output) = world.administer(&["retention", "run"], &[]).await;
    assert_eq!(code, Some(2), "{output}");
    assert!(output.starts_with("error: RETENTION_ARCHIVE_URL: is required"));
    assert_eq!(
        (world.count(ALL).await, world.count(runs).await),
        (3, before)
    );

    let wrong = [("RETENTION_ARCHIVE_URL", "ftp://x")];
    let (code, output) = world.administer(&["retention", "run"], &wrong).await;
    assert_eq!(code, Some(2), "{output}");
}
