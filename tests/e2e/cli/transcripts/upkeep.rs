//! Whether all is well, and what is done about it.

use shopflow_testkit::{Service, wait_until};

use crate::cli::environment;
use crate::cli::golden::Golden;
use crate::world::{AUTH, Backend, NOTIFY, ORDERS, SOON, UNPUBLISHED, World};

use super::jane;

back_ends! {
    both:
        what_does_not_fit,
        retention;
    servers:
        services_examined,
        migrations;
    embedded:
        a_folder_examined;
}

/// Examines a service by its own environment, with some of it changed.
async fn examine(
    golden: &mut Golden,
    world: &World,
    service: Service,
    changed: &[(&'static str, &str)],
    healthy: bool,
) {
    let env = environment(world, service, changed);
    let env: Vec<(&str, &str)> = env.iter().map(|(name, value)| (*name, &**value)).collect();
    let doctor = ["doctor", service.name()];
    if healthy {
        return golden.alone_well(&doctor, &env).await;
    }
    golden.alone(&doctor, &env).await;
    golden.alone_json(&doctor, &env).await;
}

async fn services_examined() {
    let world = World::start(Backend::Servers).await;
    let mut golden = Golden::new("doctor");
    // The other times have a shape that is known.
    golden.normal.know("expires in 24h", "expires in <age>");
    for service in [AUTH, ORDERS, NOTIFY] {
        examine(&mut golden, &world, service, &[], true).await;
    }
    let away = [
        ("PORT", "many"),
        (
            "DATABASE_URL",
            "postgres://shopflow:s3cret@127.0.0.1:9/none",
        ),
        ("RABBITMQ_URL", "amqp://shopflow:s3cret@127.0.0.1:9/%2f"),
        ("AUTH_SERVICE_URL", "http://127.0.0.1:9"),
    ];
    examine(&mut golden, &world, ORDERS, &away, false).await;
    world
        .execute("DELETE FROM shopflow_orders_migrations WHERE version = 70")
        .await;
    examine(&mut golden, &world, ORDERS, &[], false).await;
    golden.alone(&["doctor"], &[]).await;
    golden.alone(&["doctor", "shop"], &[]).await;
    golden.compare();
}

async fn a_folder_examined() {
    let mut world = World::start(Backend::Embedded).await;
    let mut golden = Golden::new("doctor_folder");
    let none = tempfile::tempdir().unwrap();
    golden
        .normal
        .know(none.path().to_str().unwrap(), "<no folder>");
    let folder = world.data_dir().unwrap().to_str().unwrap().to_owned();
    golden.normal.know(&*folder, "<folder>");
    let doctor = ["doctor", "--data-dir", &folder];
    golden.alone(&doctor, &[]).await;
    golden.alone_json(&doctor, &[]).await;
    world.kill(AUTH).await;
    world
        .execute("DELETE FROM _sqlx_migrations WHERE version = 80")
        .await;
    golden.alone(&doctor, &[]).await;
    golden.alone_json(&doctor, &[]).await;
    let doctor = ["doctor", "--data-dir", none.path().to_str().unwrap()];
    golden.alone(&doctor, &[]).await;
    golden.alone_json(&doctor, &[]).await;
    golden.compare();
}

async fn what_does_not_fit(on: Backend) {
    let world = World::start(on).await;
    let (jane, _) = jane(&world).await;
    settled(&world).await;
    let mut golden = Golden::new("reconcile");
    let reconcile = ["reconcile", "--older-than", "0s"];
    golden.both(&world, &reconcile).await;
    world.execute("DELETE FROM notifications").await;
    golden.both(&world, &["reconcile"]).await;
    golden.both(&world, &reconcile).await;
    let fix = [&reconcile[..], &["--fix"]].concat();
    golden.text(&world, &fix).await;
    let fix = [&fix[..], &["--yes"]].concat();
    golden.text(&world, &fix).await;
    world.wait_notified(&jane, 1, "sent").await;
    settled(&world).await;
    world
        .execute("UPDATE orders SET status = 'confirmed', confirmed_at = created_at")
        .await;
    for table in ["order_outbox", "notifications"] {
        world.execute(&format!("DELETE FROM {table}")).await;
    }
    golden.json(&world, &fix).await;
    world.wait_notified(&jane, 1, "sent").await;
    settled(&world).await;
    golden.both(&world, &fix).await;
    let wrong = ["--older-than", "soon", "--newer-than", "200000000h"];
    golden
        .text(&world, &[&["reconcile"], &wrong[..]].concat())
        .await;
    golden.compare();
}

/// The relay has noted what it published, and nothing is on its way.
async fn settled(world: &World) {
    wait_until("nothing is on its way", SOON, async || {
        world.count(UNPUBLISHED).await == 0 && world.bus_waiting().await == 0
    })
    .await;
}

async fn retention(on: Backend) {
    let world = World::start(on).await;
    let mut golden = Golden::new("retention");
    golden.both(&world, &["retention", "list"]).await;
    golden
        .both(&world, &["retention", "run", "--dry-run"])
        .await;
    golden.both(&world, &["retention", "run"]).await;
    golden.both(&world, &["retention", "list"]).await;
    golden.compare();
}

async fn migrations() {
    let url = shopflow_testkit::postgres().await.database().await;
    let mut golden = Golden::new("migrate");
    for service in ["auth", "orders", "notify"] {
        golden
            .alone(&["migrate", service], &[("DATABASE_URL", &url)])
            .await;
    }
    golden.alone(&["migrate", "auth"], &[]).await;
    golden
        .alone(&["migrate", "auth"], &[("DATABASE_URL", "mysql://db/auth")])
        .await;
    golden.alone(&["migrate", "shop"], &[]).await;
    golden.compare();
}
