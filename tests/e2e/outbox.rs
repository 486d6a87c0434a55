//! `shopflow outbox list|flush` (contract §7): events on their way to the broker.

use serde_json::{Value, json};

use crate::world::{Backend, NOTIFY, ORDERS, World};

back_ends! {
    both:
        what_waits_is_listed_and_flushed;
    servers:
        a_flush_without_a_broker_is_told_before_anything_is_opened,
        what_the_broker_refuses_stays_and_is_counted;
    embedded:
        a_flush_beside_shopflow_dev_leaves_it_to_that;
}

async fn outbox(world: &World, args: &[&str]) -> (Option<i32>, String) {
    let args = [&["outbox"], args].concat();
    let mut env = Vec::new();
    if world.backend() == Backend::Servers {
        env.push(("RABBITMQ_URL", world.setup.rabbitmq_url.as_str()));
    }
    world.administer(&args, &env).await
}

async fn listed(world: &World) -> Vec<Value> {
    let (code, told) = outbox(world, &["list", "--output", "json"]).await;
    assert_eq!(code, Some(0), "{told}");
    let told: Value = told.parse().unwrap();
    told["data"].as_array().unwrap().clone()
}

/// A world with an order whose event waits, since nothing runs any more.
async fn waiting(on: Backend) -> (World, String) {
    let mut world = World::start(on).await;
    let jane = world.customer_with("jane", None).await;
    let order = world.place(&jane).await["id"].as_str().unwrap().to_owned();
    world.wait_notified(&jane, 1, "sent").await;
    for service in [NOTIFY, ORDERS] {
        world.kill(service).await;
    }
    let sql = "UPDATE order_outbox SET published_at = NULL, refusals = 3";
    world
        .execute(&format!("{sql} WHERE event_type = 'OrderCreated'"))
        .await;
    (world, order)
}

/// How many events wait to be worked off.
async fn in_queue(world: &World) -> u64 {
    match world.backend() {
        Backend::Servers => world.bus_waiting().await,
        Backend::Embedded => {
            let count = world.count("SELECT count(*) FROM bus_messages").await;
            count.unsigned_abs()
        }
    }
}

async fn what_waits_is_listed_and_flushed(on: Backend) {
    let (world, order) = waiting(on).await;
    let mut events = listed(&world).await;
    let event = events.remove(0);
    assert!(events.is_empty());
    let wanted = json!({
        "event_id": event["event_id"], "type": "OrderCreated", "subject": order,
        "waiting_since": event["waiting_since"], "refusals": 3,
    });
    assert_eq!(event, wanted);
    let (_, table) = outbox(&world, &["list"]).await;
    let head: Vec<&str> = table.lines().next().unwrap().split_whitespace().collect();
    assert_eq!(head, ["EVENT", "TYPE", "SUBJECT", "AGE", "REFUSALS"]);

    let before = in_queue(&world).await;
    let flushed = outbox(&world, &["flush"]).await;
    assert_eq!(flushed, (Some(0), "1 published\n".to_owned()));
    assert_eq!(listed(&world).await, Vec::<Value>::new());
    assert_eq!(in_queue(&world).await, before + 1);
}

async fn a_flush_without_a_broker_is_told_before_anything_is_opened() {
    let env = [("DATABASE_URL", "postgres://nobody@127.0.0.1:1/none")];
    let told = crate::world::run(&["outbox", "flush"], &env).await;
    let wanted = "error: RABBITMQ_URL: is required (or RABBITMQ_URL_FILE, or --rabbitmq-url)\n";
    assert_eq!(told, (Some(2), wanted.to_owned()));
}

async fn what_the_broker_refuses_stays_and_is_counted() {
    let (world, _) = waiting(Backend::Servers).await;
    let sql = "UPDATE order_outbox SET routing_key = 'nobody.listens' WHERE published_at IS NULL";
    world.execute(sql).await;
    let (code, told) = outbox(&world, &["flush"]).await;
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("1 still wait"), "{told}");
    let refusals = listed(&world).await[0]["refusals"].as_u64().unwrap();
    assert!(refusals >= 4, "{refusals}");
}

async fn a_flush_beside_shopflow_dev_leaves_it_to_that() {
    let world = World::start(Backend::Embedded).await;
    let jane = world.customer_with("jane", None).await;
    world.place(&jane).await;
    let (code, told) = outbox(&world, &["flush"]).await;
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains("shopflow dev runs on this folder"), "{told}");
    assert_eq!(listed(&world).await, Vec::<Value>::new());
}
