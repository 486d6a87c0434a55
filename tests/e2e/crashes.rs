//! `kill -9` at any moment: nothing is lost, and nothing is sent twice but what fell between a
//! provider's answer and our record of it.

use std::collections::HashMap;
use std::time::Duration;

use shopflow_testkit::{Service, wait_until};

use crate::world::{AUTH, Backend, NOTIFY, ORDERS, Person, SOON, World};

back_ends! {
    servers:
        killing_the_order_service_loses_no_order_no_event_and_no_mail,
        killing_the_notification_service_loses_no_mail,
        killing_the_auth_service_only_holds_things_up;
    embedded:
        killing_the_only_process_loses_no_order_no_event_and_no_mail;
}

const ORDERS_PLACED: usize = 200;

/// Places orders one after the other until there are 200; a request without an answer is repeated,
/// as a client would. Kills `victim` several times on the way.
async fn place_through_crashes(world: &mut World, jane: &Person, victim: Service) -> usize {
    let mut placed = 0;
    let mut tries = 0;
    while placed < ORDERS_PLACED {
        let body = crate::world::new_order().to_string();
        let bearer = format!("Bearer {}", jane.access);
        let headers = [
            ("authorization", &*bearer),
            ("content-type", "application/json"),
        ];
        let method = http::Method::POST;
        let answer = world
            .orders
            .request(method, "/orders", &headers, body)
            .await;
        if answer.is_ok_and(|answer| answer.status == 201) {
            placed += 1;
        }
        tries += 1;
        if tries % 50 == 25 {
            world.crash(victim).await;
            // Without the notification service, orders go on.
            if victim != NOTIFY || world.backend() == Backend::Embedded {
                world.wait_ready(victim).await;
            }
        }
    }
    placed
}

/// Waits until every event is published and every notification sent, then compares.
async fn everything_arrived(world: &World, jane: &Person, placed: usize) {
    world.published().await;
    let orders = world.count("SELECT count(*) FROM orders").await;
    assert!(
        usize::try_from(orders).unwrap() >= placed,
        "{orders} of {placed} orders"
    );
    let unsent = "SELECT count(*) FROM order_outbox o WHERE NOT EXISTS (
        SELECT 1 FROM notifications n
        WHERE n.event_id = o.event_id AND n.channel = 'email' AND n.status = 'sent')";
    let patience = Duration::from_secs(90);
    wait_until("every mail is sent", patience, || async {
        world.count(unsent).await == 0
    })
    .await;

    assert_eq!(
        world.count("SELECT count(*) FROM order_outbox").await,
        orders
    );
    assert_eq!(
        world
            .count("SELECT count(DISTINCT event_id) FROM order_outbox")
            .await,
        orders
    );
    assert_eq!(
        world.count("SELECT count(*) FROM order_history").await,
        orders
    );
    assert_eq!(
        world
            .count("SELECT count(*) FROM notifications WHERE channel = 'email'")
            .await,
        orders
    );
    let mut mails: HashMap<String, usize> = HashMap::new();
    for mail in world.mails().await {
        assert_eq!(mail.to, jane.email);
        *mails.entry(mail.notification_id.unwrap()).or_default() += 1;
    }
    assert_eq!(
        i64::try_from(mails.len()).unwrap(),
        orders,
        "one mail for each order"
    );
    let repeated: usize = mails.values().map(|count| count - 1).sum();
    let unknown =
        "SELECT coalesce(sum(unknown_outcomes), 0) FROM notifications WHERE channel = 'email'";
    let ambiguous = world.count(unknown).await;
    assert!(
        i64::try_from(repeated).unwrap() <= ambiguous,
        "{repeated} repeated, {ambiguous} ambiguous"
    );
    assert_eq!(world.dead_letters().await, 0);
    wait_until("the queues are empty", SOON, || async {
        world.bus_waiting().await + world.bus_retrying().await == 0
    })
    .await;
}

async fn killing_the_order_service_loses_no_order_no_event_and_no_mail() {
    let mut world = World::start(Backend::Servers).await;
    let jane = world.customer_with("jane", None).await;
    let placed = place_through_crashes(&mut world, &jane, ORDERS).await;
    everything_arrived(&world, &jane, placed).await;
}

async fn killing_the_notification_service_loses_no_mail() {
    let mut world = World::start(Backend::Servers).await;
    let jane = world.customer_with("jane", None).await;
    let placed = place_through_crashes(&mut world, &jane, NOTIFY).await;
    world.wait_ready(NOTIFY).await;
    everything_arrived(&world, &jane, placed).await;
    assert_eq!(world.count("SELECT count(*) FROM orders").await, 200);
}

async fn killing_the_auth_service_only_holds_things_up() {
    let mut world = World::start(Backend::Servers).await;
    let jane = world.customer_with("jane", None).await;
    let placed = place_through_crashes(&mut world, &jane, AUTH).await;
    everything_arrived(&world, &jane, placed).await;
    assert_eq!(world.count("SELECT count(*) FROM orders").await, 200);
}

async fn killing_the_only_process_loses_no_order_no_event_and_no_mail() {
    let mut world = World::start(Backend::Embedded).await;
    let jane = world.customer_with("jane", None).await;
    let placed = place_through_crashes(&mut world, &jane, ORDERS).await;
    everything_arrived(&world, &jane, placed).await;
}
