//! What the publisher promises, on a real broker.

#![expect(
    clippy::unwrap_used,
    reason = "clippy knows tests, but not what helps them"
)]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use core_kernel::{EventId, EventPublisher, OrderId, OutboxMessage};
use serde_json::{Value, json};
use shopflow_amqp::AmqpPublisher;
use shopflow_testkit::{Proxy, Vhost, rabbitmq, wait_until};
use tokio::net::{TcpListener, TcpStream};

const CREATED: &str = "notifications.order.created";
const SHIPPED: &str = "notifications.order.shipped";
const USERS: &str = "notifications.user";
/// A broker with a slow disk takes its time, above all to make its queues.
const SOON: Duration = Duration::from_secs(120);

async fn vhost() -> Vhost {
    rabbitmq().await.vhost().await
}

/// A publisher that is ready.
async fn publisher(vhost: &Vhost) -> AmqpPublisher {
    let publisher = AmqpPublisher::orders(vhost.url().into());
    ready(&publisher).await;
    publisher
}

/// Asks again where the broker took too long, as the relay does.
async fn ready(publisher: &AmqpPublisher) {
    let ready = async || publisher.ready().await.is_ok();
    wait_until("the publisher is ready", SOON, ready).await;
}

fn created() -> OutboxMessage {
    event("OrderCreated", "order.created")
}

fn shipped() -> OutboxMessage {
    event("OrderShipped", "order.shipped")
}

fn event(event_type: &str, routing_key: &str) -> OutboxMessage {
    let event_id = EventId::generate();
    OutboxMessage {
        event_id,
        subject: OrderId::generate().0,
        event_type: event_type.into(),
        routing_key: routing_key.into(),
        payload: json!({ "event_id": event_id, "name": "Grüße 🎉" }).to_string(),
        traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".into(),
        tracestate: None,
        occurred_at: 1_771_324_200,
    }
}

/// All that the broker has of a kind in this virtual host.
async fn listed(vhost: &Vhost, kind: &str) -> Vec<Value> {
    let path = format!("/api/{kind}/{}", vhost.name());
    let answer = vhost.management().get(&path).await.json();
    answer.as_array().unwrap().clone()
}

async fn ids(vhost: &Vhost, queue: &str) -> Vec<String> {
    let messages = vhost.drain(queue).await.into_iter();
    messages.filter_map(|message| message.message_id).collect()
}

fn ids_of(events: &[OutboxMessage]) -> Vec<String> {
    events.iter().map(|e| e.event_id.to_string()).collect()
}

#[tokio::test]
async fn being_ready_means_that_all_exchanges_exist() {
    let vhost = vhost().await;
    publisher(&vhost).await;
    let exchanges = listed(&vhost, "exchanges").await;
    let ours: BTreeMap<_, _> = exchanges
        .iter()
        .map(|exchange| (exchange["name"].as_str().unwrap(), exchange))
        .filter(|(name, _)| !name.is_empty() && !name.starts_with("amq."))
        .map(|(name, exchange)| (name, (&exchange["type"], &exchange["durable"])))
        .collect();
    let (topic, direct, durable) = (json!("topic"), json!("direct"), json!(true));
    let wanted = BTreeMap::from([
        ("notifications.retry", (&direct, &durable)),
        ("order.events", (&topic, &durable)),
        ("order.events.dlx", (&topic, &durable)),
        ("user.events", (&topic, &durable)),
        ("user.events.dlx", (&topic, &durable)),
    ]);
    assert_eq!(ours, wanted);
}

#[tokio::test]
async fn being_ready_means_that_all_queues_exist() {
    let vhost = vhost().await;
    publisher(&vhost).await;
    let queues: BTreeMap<String, Value> = listed(&vhost, "queues")
        .await
        .into_iter()
        .map(|queue| {
            assert_eq!(queue["durable"], true, "{queue}");
            let name = queue["name"].as_str().unwrap().to_owned();
            (name, queue["arguments"].clone())
        })
        .collect();

    let returning = |exchange: &str, key: &str| {
        json!({
            "x-queue-type": "quorum",
            "x-dead-letter-exchange": exchange,
            "x-dead-letter-routing-key": key,
            "x-dead-letter-strategy": "at-least-once",
            "x-overflow": "reject-publish",
            "x-max-length": 100_000,
        })
    };
    let mut wanted = BTreeMap::new();
    for (queue, exchange, failed) in [
        (CREATED, "order.events.dlx", "order.created.failed"),
        (SHIPPED, "order.events.dlx", "order.shipped.failed"),
        (USERS, "user.events.dlx", "user.failed"),
    ] {
        let mut work = returning(exchange, failed);
        work["x-delivery-limit"] = json!(20);
        wanted.insert(queue.to_owned(), work);
        wanted.insert(format!("{queue}.dlq"), json!({ "x-queue-type": "quorum" }));
        for seconds in [1, 4, 16] {
            let mut wait = returning("", queue);
            wait["x-message-ttl"] = json!(seconds * 1000);
            wanted.insert(format!("{queue}.retry.{seconds}s"), wait);
        }
    }
    assert_eq!(queues, wanted);
}

#[tokio::test]
async fn every_route_ends_in_its_queue() {
    let vhost = vhost().await;
    publisher(&vhost).await;
    for (exchange, key, queue) in [
        ("order.events", "order.created", CREATED.to_owned()),
        ("order.events", "order.shipped", SHIPPED.to_owned()),
        (
            "order.events.dlx",
            "order.created.failed",
            format!("{CREATED}.dlq"),
        ),
        (
            "order.events.dlx",
            "order.shipped.failed",
            format!("{SHIPPED}.dlq"),
        ),
        (
            "user.events",
            "user.password_reset_requested",
            USERS.to_owned(),
        ),
        (
            "user.events",
            "user.email_verification_requested",
            USERS.to_owned(),
        ),
        ("user.events.dlx", "user.failed", format!("{USERS}.dlq")),
    ] {
        vhost.publish(exchange, key, "{}", None, None, &[]).await;
        assert_eq!(vhost.drain(&queue).await.len(), 1, "{key}");
    }
    let all = listed(&vhost, "bindings").await;
    let retries = all.iter().filter(|b| b["source"] == "notifications.retry");
    let mut count = 0;
    for binding in retries {
        assert_eq!(binding["routing_key"], binding["destination"]);
        count += 1;
    }
    assert_eq!(count, 9);
}

#[tokio::test]
async fn what_waited_comes_back_to_its_own_queue_only() {
    let vhost = vhost().await;
    publisher(&vhost).await;
    let wait = format!("{SHIPPED}.retry.1s");
    let mut tap = vhost.bind_tap("order.events", "#").await;
    vhost
        .publish("notifications.retry", &wait, "{}", Some("e-1"), None, &[])
        .await;
    wait_until("the message is back", SOON, async || {
        vhost.queue_depth(SHIPPED).await == Some(1)
    })
    .await;
    assert_eq!(ids(&vhost, SHIPPED).await, ["e-1"]);
    assert_eq!(tap.next(Duration::ZERO).await, None, "nobody else got it");
}

#[tokio::test]
async fn being_ready_again_leaves_the_topology_as_it_is() {
    let vhost = vhost().await;
    let first = publisher(&vhost).await;
    first.publish(&[created()]).await.unwrap();
    publisher(&vhost).await;
    assert_eq!(vhost.queue_depth(CREATED).await, Some(1));
}

#[tokio::test]
async fn a_queue_with_other_arguments_makes_the_publisher_unready() {
    let vhost = vhost().await;
    vhost.declare_queue(CREATED, &[]).await;
    let publisher = AmqpPublisher::orders(vhost.url().into());
    assert!(publisher.ready().await.is_err());
    assert!(!publisher.is_connected());
}

#[tokio::test]
async fn an_event_arrives_whole_and_once() {
    let vhost = vhost().await;
    let publisher = publisher(&vhost).await;
    let event = OutboxMessage {
        tracestate: Some("vendor=1".into()),
        ..created()
    };
    let published = publisher.publish(std::slice::from_ref(&event)).await;
    assert_eq!(published.unwrap(), [true]);

    let messages = vhost.drain(CREATED).await;
    assert_eq!(messages.len(), 1);
    let message = &messages[0];
    assert_eq!(message.exchange, "order.events");
    assert_eq!(message.routing_key, "order.created");
    assert_eq!(message.delivery_mode, Some(2));
    assert_eq!(message.content_type.as_deref(), Some("application/json"));
    assert_eq!(message.message_id, Some(event.event_id.to_string()));
    assert_eq!(message.type_.as_deref(), Some("OrderCreated"));
    assert_eq!(message.timestamp, Some(1_771_324_200));
    assert_eq!(message.app_id.as_deref(), Some("order-service"));
    assert_eq!(message.correlation_id, Some(event.subject.to_string()));
    assert_eq!(message.headers["traceparent"], event.traceparent);
    assert_eq!(message.headers["tracestate"], "vendor=1");
    assert_eq!(message.body, event.payload.as_bytes());
    assert_eq!(vhost.queue_depth(SHIPPED).await, Some(0));
}

#[tokio::test]
async fn an_event_of_a_user_arrives_in_its_own_exchange() {
    let vhost = vhost().await;
    let publisher = AmqpPublisher::users(vhost.url().into());
    ready(&publisher).await;
    let event = OutboxMessage {
        event_type: "UserPasswordResetRequested".into(),
        routing_key: "user.password_reset_requested".into(),
        ..created()
    };
    let published = publisher.publish(std::slice::from_ref(&event)).await;
    assert_eq!(published.unwrap(), [true]);
    let messages = vhost.drain(USERS).await;
    assert_eq!(messages.len(), 1);
    assert_eq!(messages[0].exchange, "user.events");
    assert_eq!(messages[0].app_id.as_deref(), Some("auth-service"));
}

#[tokio::test]
async fn an_event_without_a_tracestate_arrives_without_one() {
    let vhost = vhost().await;
    publisher(&vhost).await.publish(&[shipped()]).await.unwrap();
    let message = vhost.get(SHIPPED).await.unwrap();
    assert!(message.headers.contains_key("traceparent"));
    assert!(!message.headers.contains_key("tracestate"));
}

#[tokio::test]
async fn an_empty_batch_is_published_at_once() {
    let vhost = vhost().await;
    let published = publisher(&vhost).await.publish(&[]).await;
    assert!(published.unwrap().is_empty());
}

#[tokio::test]
async fn a_batch_arrives_in_its_order() {
    let vhost = vhost().await;
    let batch: Vec<_> = (0..100).map(|_| created()).collect();
    let published = publisher(&vhost).await.publish(&batch).await;
    assert_eq!(published.unwrap(), [true; 100]);
    assert_eq!(ids(&vhost, CREATED).await, ids_of(&batch));
}

#[tokio::test]
async fn batches_that_are_published_together_do_not_mix_their_answers() {
    let vhost = vhost().await;
    let publisher = publisher(&vhost).await;
    vhost.unbind("order.events", SHIPPED, "order.shipped").await;
    let (routed, unroutable) = ([created()], [shipped()]);
    for _ in 0..20 {
        let (routed, unroutable) =
            tokio::join!(publisher.publish(&routed), publisher.publish(&unroutable));
        assert_eq!(
            (routed.unwrap(), unroutable.unwrap()),
            (vec![true], vec![false])
        );
    }
    assert_eq!(vhost.queue_depth(CREATED).await, Some(20));
}

/// Publishes 20 events that have a queue, and between them one that has none.
async fn one_unroutable_at(place: usize) {
    let vhost = vhost().await;
    let publisher = publisher(&vhost).await;
    vhost.unbind("order.events", SHIPPED, "order.shipped").await;
    let mut batch: Vec<_> = (0..20).map(|_| created()).collect();
    let routed = ids_of(&batch);
    batch.insert(place, shipped());
    let published = publisher.publish(&batch).await.unwrap();
    let wanted: Vec<_> = (0..=20).map(|index| index != place).collect();
    assert_eq!(published, wanted);
    assert_eq!(ids(&vhost, CREATED).await, routed);
    assert!(
        publisher.is_connected(),
        "nothing is wrong with the channel"
    );
}

#[tokio::test]
async fn an_unroutable_event_is_known_when_it_comes_first() {
    one_unroutable_at(0).await;
}

#[tokio::test]
async fn an_unroutable_event_is_known_in_the_middle() {
    one_unroutable_at(10).await;
}

#[tokio::test]
async fn an_unroutable_event_is_known_when_it_comes_last() {
    one_unroutable_at(20).await;
}

#[tokio::test]
async fn a_batch_without_a_single_queue_is_refused_event_by_event() {
    let vhost = vhost().await;
    let publisher = publisher(&vhost).await;
    vhost.unbind("order.events", SHIPPED, "order.shipped").await;
    let batch: Vec<_> = (0..20).map(|_| shipped()).collect();
    assert_eq!(publisher.publish(&batch).await.unwrap(), [false; 20]);
    vhost.bind("order.events", SHIPPED, "order.shipped").await;
    assert_eq!(publisher.publish(&batch).await.unwrap(), [true; 20]);
}

#[tokio::test]
async fn a_full_queue_refuses_events_until_there_is_room() {
    let vhost = vhost().await;
    let publisher = publisher(&vhost).await;
    let full = json!({ "max-length": 1 });
    vhost.set_policy("full", "order.created$", &full).await;
    let takes = async || publisher.publish(&[created()]).await.unwrap() == [true];
    wait_until("the queue is full", SOON, async || !takes().await).await;
    let held = vhost.queue_depth(CREATED).await;
    assert!(!takes().await);
    assert_eq!(vhost.queue_depth(CREATED).await, held);
    let other = publisher.publish(&[created(), shipped()]).await.unwrap();
    assert_eq!(other, [false, true], "the other queue has room");

    vhost.delete_policy("full").await;
    wait_until("the queue has room", SOON, takes).await;
    assert!(publisher.is_connected());
}

#[tokio::test]
async fn a_broker_that_was_away_is_found_again() {
    let vhost = vhost().await;
    let proxy = Proxy::for_url(vhost.url());
    let publisher = AmqpPublisher::orders(proxy.proxied_url(vhost.url()));
    proxy.cut();
    assert!(publisher.ready().await.is_err(), "away from the start");
    proxy.heal();
    ready(&publisher).await;
    publisher.publish(&[created()]).await.unwrap();

    proxy.cut();
    assert!(publisher.publish(&[created()]).await.is_err());
    assert!(publisher.ready().await.is_err(), "away in between");
    assert!(!publisher.is_connected());
    proxy.heal();
    ready(&publisher).await;
    assert_eq!(publisher.publish(&[created()]).await.unwrap(), [true]);
    assert_eq!(vhost.queue_depth(CREATED).await, Some(2));
}

#[tokio::test]
async fn a_batch_without_a_confirm_is_an_error_and_the_next_goes_by_a_new_connection() {
    let vhost = vhost().await;
    let proxy = Proxy::for_url(vhost.url());
    let publisher = AmqpPublisher::orders(proxy.proxied_url(vhost.url()));
    ready(&publisher).await;
    proxy.black_hole();
    assert!(publisher.publish(&[created()]).await.is_err());
    assert!(!publisher.is_connected());
    proxy.heal();
    ready(&publisher).await;
    assert_eq!(publisher.publish(&[shipped()]).await.unwrap(), [true]);
}

#[tokio::test]
async fn being_ready_twice_needs_one_connection() {
    let vhost = vhost().await;
    let (url, connections) = counted(&vhost).await;
    let publisher = AmqpPublisher::orders(url);
    ready(&publisher).await;
    // More than one where the broker was slow.
    let needed = connections.load(Ordering::Relaxed);
    publisher.ready().await.unwrap();
    publisher.publish(&[created()]).await.unwrap();
    publisher.ready().await.unwrap();
    assert_eq!(connections.load(Ordering::Relaxed), needed);

    publisher.close().await;
    ready(&publisher).await;
    assert!(connections.load(Ordering::Relaxed) > needed);
}

/// A way to the broker that counts the connections over it.
async fn counted(vhost: &Vhost) -> (String, Arc<AtomicUsize>) {
    let broker = vhost.addr().to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let here = listener.local_addr().unwrap().to_string();
    let url = vhost.url().replace(&broker, &here);
    assert_ne!(url, vhost.url());
    let connections = Arc::new(AtomicUsize::new(0));
    let counter = connections.clone();
    tokio::spawn(async move {
        loop {
            let (mut client, _) = listener.accept().await.unwrap();
            counter.fetch_add(1, Ordering::Relaxed);
            let mut server = TcpStream::connect(&broker).await.unwrap();
            tokio::spawn(async move {
                let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
            });
        }
    });
    (url, connections)
}
