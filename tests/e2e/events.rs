//! Contract §5: events on the broker.

use serde_json::json;
use shopflow_testkit::wait_until;

use crate::world::{Backend, ORDERS, SOON, UNPUBLISHED, World};

back_ends! {
    both:
        events_are_the_prds_to_the_letter,
        published_events_leave_the_outbox_after_seven_days;
    servers:
        an_event_that_nobody_takes_is_told_by_its_id_and_goes_out_when_somebody_does;
}

async fn events_are_the_prds_to_the_letter(on: Backend) {
    let world = World::start(on).await;
    let jane = world.customer("jane").await;
    let admin = world.admin().await;
    let mut tap = world.events().await;
    let order = world.place(&jane).await;
    let id = order["id"].as_str().unwrap();
    let states = ["confirmed", "shipped", "delivered"];
    world.advance(&admin, id, &states).await;
    let events = tap.collect(2, SOON).await;
    assert_eq!(events.len(), 2);
    let place = json!({ "city": "Springfield", "state": "IL", "country": "US" });
    for (event, kind, key) in [
        (&events[0], "OrderCreated", "order.created"),
        (&events[1], "OrderShipped", "order.shipped"),
    ] {
        let body = event.json();
        assert_eq!(event.routing_key, key);
        assert_eq!(event.event_type, kind);
        assert_eq!(body["event_id"], event.message_id);
        assert!(event.traceparent.starts_with("00-"), "{event:?}");
        assert_eq!(event.amqp.is_some(), on == Backend::Servers);
        if let Some(message) = &event.amqp {
            assert_eq!(message.delivery_mode, Some(2));
            assert_eq!(message.content_type.as_deref(), Some("application/json"));
            assert_eq!(message.app_id.as_deref(), Some("order-service"));
            assert_eq!(message.correlation_id.as_deref(), Some(id));
            assert!(message.timestamp.is_some());
        }
        assert_eq!(body["event_type"], kind);
        assert_eq!(body["version"], "1.0");
        assert_eq!(body["payload"]["order_id"], id);
        assert_eq!(body["payload"]["user_id"], jane.id);
        assert_eq!(body["payload"]["shipping_address"], place);
        assert_eq!(body.as_object().unwrap().len(), 5, "{body}");
    }
    let created = events[0].json();
    assert_eq!(created["timestamp"], order["created_at"]);
    assert_eq!(
        created["payload"].as_object().unwrap().len(),
        7,
        "{created}"
    );
    assert_eq!(created["payload"]["total_amount"].to_string(), "112.97");
    assert_eq!(created["payload"]["items_count"], 2);
    assert_eq!(created["payload"]["currency"], "USD");
    let shipped = events[1].json();
    assert_eq!(
        shipped["payload"].as_object().unwrap().len(),
        5,
        "{shipped}"
    );
    assert_eq!(shipped["timestamp"], shipped["payload"]["shipped_at"]);
}

async fn published_events_leave_the_outbox_after_seven_days(on: Backend) {
    let mut world = World::start(on).await;
    let jane = world.customer("jane").await;
    let week = match on {
        Backend::Servers => "interval '7 days'",
        Backend::Embedded => "604800000000",
    };
    world.place(&jane).await;
    world.wait_notified(&jane, 2, "sent").await;
    world.published().await;
    let age = format!("UPDATE order_outbox SET published_at = published_at - {week}");
    world.execute(&age).await;
    world.place(&jane).await;
    world.wait_notified(&jane, 4, "sent").await;
    assert_eq!(world.count("SELECT count(*) FROM order_outbox").await, 2);
    // The service looks when it starts, and then every few minutes.
    world.crash(ORDERS).await;
    wait_until("the old event is pruned", SOON, || async {
        world.count("SELECT count(*) FROM order_outbox").await == 1
    })
    .await;
    let (mails, texts) = (world.mails().await, world.texts().await);
    assert_eq!((mails.len(), texts.len()), (2, 2));
}

async fn an_event_that_nobody_takes_is_told_by_its_id_and_goes_out_when_somebody_does() {
    let world = World::start(Backend::Servers).await;
    let jane = world.customer("jane").await;
    let admin = world.admin().await;
    let older = world.place(&jane).await;
    world.wait_notified(&jane, 2, "sent").await;
    let vhost = &world.servers().vhost;
    let (exchange, queue) = ("order.events", "notifications.order.created");
    vhost.unbind(exchange, queue, "order.created").await;
    world.place(&jane).await;
    wait_until("it is told", SOON, || async {
        let log = world.log(ORDERS);
        let told = |line: &&str| line.contains("the broker goes on refusing an event");
        log.lines()
            .find(told)
            .is_some_and(|line| line.contains("event_id") && line.contains("\"times\""))
    })
    .await;
    // Other events pass it by.
    let id = older["id"].as_str().unwrap();
    world.advance(&admin, id, &["confirmed", "shipped"]).await;
    world.wait_notified(&jane, 4, "sent").await;
    wait_until("they are noted as published", SOON, async || {
        world.count(UNPUBLISHED).await == 1
    })
    .await;
    vhost.bind(exchange, queue, "order.created").await;
    world.wait_notified(&jane, 6, "sent").await;
    world.published().await;
}
