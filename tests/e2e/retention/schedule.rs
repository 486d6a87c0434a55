//! Retention that runs by itself, and runs that meet.

use shopflow_testkit::{postgres, wait_until};
use sqlx::{Connection, PgConnection};

use super::{days_ago, fill, objects_in, retention, rows_of};
use crate::world::{AUTH, Backend, NOTIFY, SOON, World, run};

back_ends! {
    servers:
        a_schedule_runs_by_itself_and_again_once_its_time_has_come,
        the_notification_service_archives_by_itself,
        a_schedule_needs_an_archive_and_a_sensible_time,
        while_one_run_is_under_way_another_is_refused,
        a_database_without_our_tables_is_told;
}

const RUNS: &str = "SELECT count(*) FROM retention_runs";

async fn a_schedule_runs_by_itself_and_again_once_its_time_has_come() {
    let hourly = ("RETENTION_EVERY_HOURS", "1".to_owned());
    let mut world = World::prepare(Backend::Servers, |setup| setup.extra.push(hourly)).await;
    world.launch(AUTH);
    world.wait_ready(AUTH).await;
    let done = format!("{RUNS} WHERE service = 'auth' AND outcome = 'done'");
    wait_until("it has run", SOON, || async {
        world.count(&done).await == 1
    })
    .await;
    let jane = world.customer("jane").await;
    let (ago, email) = (days_ago(Backend::Servers, 91), &jane.email);
    let off =
        format!("UPDATE users SET is_active = false, updated_at = {ago} WHERE email = '{email}'");
    world.execute(&off).await;

    world
        .execute("UPDATE retention_runs SET started_at = now() - interval '2 hours'")
        .await;
    world.crash(AUTH).await;
    wait_until("it has run again", SOON, || async {
        world.count(&done).await == 2
    })
    .await;
    assert_eq!(world.count("SELECT count(*) FROM users").await, 0);
    assert_eq!(
        world
            .count(&format!("{RUNS} WHERE actor = 'retention'"))
            .await,
        2
    );
}

async fn the_notification_service_archives_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let mut world = World::start(Backend::Servers).await;
    fill(&world, 5, 400).await;
    let url = format!("file://{}", folder.path().display());
    world
        .setup
        .extra
        .push(("RETENTION_EVERY_HOURS", "24".to_owned()));
    world.setup.extra.push(("RETENTION_ARCHIVE_URL", url));
    world.launch(NOTIFY);
    let left = "SELECT count(*) FROM notifications";
    wait_until("they are archived", SOON, || async {
        world.count(left).await == 0
    })
    .await;
    assert_eq!(rows_of(&objects_in(folder.path())).len(), 5);
}

async fn a_schedule_needs_an_archive_and_a_sensible_time() {
    let hourly = ("RETENTION_EVERY_HOURS", "1".to_owned());
    let world = World::prepare(Backend::Servers, |setup| setup.extra.push(hourly)).await;
    let env = world.environment(NOTIFY);
    let env: Vec<(&str, &str)> = env.iter().map(|(name, value)| (*name, &**value)).collect();
    let (code, output) = run(&["serve", "notify"], &env).await;
    let missing = "error: RETENTION_ARCHIVE_URL: is required for RETENTION_EVERY_HOURS\n";
    assert_eq!((code, &*output), (Some(2), missing));
    let rarely = [("RETENTION_EVERY_HOURS", "9000")];
    let (code, output) = run(&["serve", "auth"], &rarely).await;
    assert_eq!(code, Some(2), "{output}");
    assert!(output.contains("error: RETENTION_EVERY_HOURS"), "{output}");
}

async fn while_one_run_is_under_way_another_is_refused() {
    let world = World::start(Backend::Servers).await;
    let folder = tempfile::tempdir().unwrap();
    let mut other = PgConnection::connect(&world.setup.database_url)
        .await
        .unwrap();
    sqlx::query("SELECT pg_advisory_lock(hashtextextended('shopflow retention auth', 0))")
        .execute(&mut other)
        .await
        .unwrap();
    let told = retention(&world, folder.path(), &[]).await;
    assert_eq!(told.code, Some(1), "{}", told.output);
    assert_eq!(told.of("auth")["outcome"], "busy");
    assert_eq!(told.of("orders")["outcome"], "done");
    assert!(told.output.contains("another run is under way"));
    other.close().await.unwrap();
    wait_until("it is free", SOON, || async {
        retention(&world, folder.path(), &[]).await.code == Some(0)
    })
    .await;
}

async fn a_database_without_our_tables_is_told() {
    let url = postgres().await.database().await;
    let (code, output) = run(&["retention", "run"], &[("DATABASE_URL", &url)]).await;
    assert_eq!(code, Some(1), "{output}");
    assert!(output.contains("shopflow migrate"), "{output}");
}
