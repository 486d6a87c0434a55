use serde_json::json;
use shopflow_testkit::{Postgres, RabbitMq, Redis, postgres, rabbitmq, redis};
use sqlx::{Connection, PgConnection};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(10);

async fn numbers(url: &str) -> Vec<i32> {
    let mut connection = PgConnection::connect(url).await.unwrap();
    sqlx::query_scalar("select number from numbers")
        .fetch_all(&mut connection)
        .await
        .unwrap()
}

async fn store_number(url: &str, number: i32) {
    let mut connection = PgConnection::connect(url).await.unwrap();
    sqlx::raw_sql("create table numbers (number int)")
        .execute(&mut connection)
        .await
        .unwrap();
    sqlx::query("insert into numbers values ($1)")
        .bind(number)
        .execute(&mut connection)
        .await
        .unwrap();
}

#[tokio::test]
async fn each_database_is_empty_at_first() {
    let server = postgres().await;
    let (one, other) = tokio::join!(server.database(), server.database());
    store_number(&one, 1).await;
    store_number(&other, 2).await;
    assert_eq!(
        (numbers(&one).await, numbers(&other).await),
        (vec![1], vec![2])
    );
}

#[tokio::test]
async fn a_killed_postgres_keeps_what_was_committed() {
    let mut server = Postgres::private().await;
    let url = server.database().await;
    store_number(&url, 7).await;
    server.kill();
    assert!(PgConnection::connect(&url).await.is_err());
    server.start().await;
    assert_eq!(numbers(&url).await, [7]);
}

#[tokio::test]
async fn a_message_comes_out_of_a_vhost_as_it_went_in() {
    let vhost = rabbitmq().await.vhost().await;
    vhost
        .declare_queue("q", &[("x-queue-type", "quorum".into())])
        .await;
    vhost.bind("amq.topic", "q", "order.#").await;
    let mut tap = vhost.bind_tap("amq.topic", "#").await;
    let headers = [("attempt", json!(3)), ("list", json!(["a", true]))];
    vhost
        .publish(
            "amq.topic",
            "order.new",
            r#"{"n":1}"#,
            Some("id"),
            Some("t"),
            &headers,
        )
        .await;

    assert_eq!(vhost.queue_depth("q").await, Some(1));
    let messages = vhost.drain("q").await;
    let [message] = messages.as_slice() else {
        panic!("not one: {messages:?}")
    };
    assert_eq!(message.json(), json!({ "n": 1 }));
    assert_eq!(
        (message.exchange.as_str(), message.routing_key.as_str()),
        ("amq.topic", "order.new")
    );
    assert_eq!(
        (message.message_id.as_deref(), message.type_.as_deref()),
        (Some("id"), Some("t"))
    );
    assert_eq!(message.delivery_mode, Some(2));
    assert_eq!(message.headers["attempt"], 3);
    assert_eq!(message.headers["list"], json!(["a", true]));

    let seen = tap.next(SOON).await.expect("the tap sees it too");
    assert_eq!(seen.message_id, message.message_id);
    assert_eq!(tap.next(Duration::ZERO).await, None);
    assert_eq!(vhost.queue_depth("q").await, Some(0));
    assert_eq!(vhost.queue_depth("none").await, None);
}

#[tokio::test]
async fn queues_can_be_unbound_limited_and_deleted() {
    let vhost = rabbitmq().await.vhost().await;
    vhost.declare_queue("q", &[]).await;
    vhost.bind("amq.direct", "q", "k").await;
    vhost.bind("amq.direct", "q", "l").await;
    vhost.unbind("amq.direct", "q", "k").await;
    vhost.publish("amq.direct", "l", "1", None, None, &[]).await;
    vhost
        .set_policy("short", "^q$", &json!({ "max-length": 0 }))
        .await;
    shopflow_testkit::wait_until("the policy drops the message", SOON, async || {
        vhost.queue_depth("q").await == Some(0)
    })
    .await;
    vhost.delete_policy("short").await;
    vhost.delete_queue("q").await;
    assert_eq!(vhost.queue_depth("q").await, None);
}

#[tokio::test]
async fn a_killed_rabbitmq_keeps_its_messages() {
    let mut broker = RabbitMq::private().await;
    let vhost = broker.vhost().await;
    let mut tap = vhost.bind_tap("amq.topic", "#").await;
    vhost
        .publish("amq.topic", "k", "1", Some("before"), None, &[])
        .await;
    broker.kill();
    assert!(tokio::net::TcpStream::connect(broker.addr()).await.is_err());
    broker.start().await;
    tap.bind_again().await;
    vhost
        .publish("amq.topic", "k", "1", Some("after"), None, &[])
        .await;
    let ids: Vec<_> = tap
        .collect(2, SOON)
        .await
        .into_iter()
        .map(|m| m.message_id.unwrap())
        .collect();
    assert_eq!(ids, ["before", "after"]);
}

#[tokio::test]
async fn a_broker_with_many_vhosts_behind_it_is_replaced_and_serves_those_it_has() {
    let first = rabbitmq().await.vhost().await;
    let mut other = rabbitmq().await.vhost().await;
    for _ in 0..100 {
        other = rabbitmq().await.vhost().await;
        if other.addr() != first.addr() {
            break;
        }
    }
    assert_ne!(other.addr(), first.addr());
    first.declare_queue("q", &[]).await;
    assert_eq!(first.queue_depth("q").await, Some(0));
}

#[tokio::test]
async fn each_redis_database_is_its_own() {
    let server = redis().await;
    let (one, other) = tokio::join!(server.database(), server.database());
    assert_ne!(one, other);
    assert_eq!(Redis::keys(&one).await, [""; 0]);
}

#[tokio::test]
async fn a_killed_redis_is_gone_until_it_is_started_again() {
    let mut server = Redis::private().await;
    let address = server.url().replace("redis://", "");
    let connects = async || tokio::net::TcpStream::connect(&address).await.is_ok();
    assert!(connects().await);
    server.kill();
    assert!(!connects().await);
    server.start().await;
    assert!(connects().await);
}
