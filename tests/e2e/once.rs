//! Contract §3 and §8.8: `Idempotency-Key`. A request that is sent again makes nothing new.

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, join_all, select_all};
use serde_json::{Value, json};
use shopflow_testkit::{Client, Process, Response, free_port, wait_for, wait_until};

use crate::world::{Backend, ORDERS, Person, SOON, World, assert_problem, new_order, shopflow};

back_ends! {
    both:
        a_replay_is_the_first_answer_to_the_byte,
        a_key_with_another_body_is_refused,
        a_key_is_its_users_alone,
        what_failed_may_be_sent_again_with_its_key,
        a_key_that_is_none_is_a_fault_of_its_header,
        of_twenty_requests_at_once_one_places_an_order,
        a_second_request_while_the_first_runs_is_a_409,
        a_request_that_dies_in_the_middle_may_be_sent_again,
        a_key_is_forgotten_after_24_hours;
    servers:
        two_instances_place_one_order_for_a_key;
}

const KEY: &str = "0d6f1d2e-order";

async fn send(client: &Client, who: &Person, key: &str, body: &str) -> anyhow::Result<Response> {
    let bearer = format!("Bearer {}", who.access);
    let headers = [
        ("authorization", &*bearer),
        ("content-type", "application/json"),
        ("idempotency-key", key),
    ];
    let method = http::Method::POST;
    client
        .request(method, "/orders", &headers, body.to_owned())
        .await
}

async fn place(world: &World, who: &Person, key: &str, body: &Value) -> Response {
    let sent = send(&world.orders, who, key, &body.to_string()).await;
    sent.unwrap()
}

fn is_replay(answer: &Response) -> bool {
    answer.header("idempotent-replayed") == Some("true")
}

async fn orders(world: &World) -> i64 {
    world.count("SELECT count(*) FROM orders").await
}

async fn a_replay_is_the_first_answer_to_the_byte(on: Backend) {
    let mut world = World::start(on).await;
    let jane = world.customer("jane").await;
    let admin = world.admin().await;
    // The largest order there is.
    let mut body = new_order();
    let mut item = body["items"][0].clone();
    item["product_name"] = json!("ä\"\\".repeat(66));
    body["items"] = json!(vec![item; 100]);
    let first = place(&world, &jane, KEY, &body).await;
    assert_eq!(first.status, 201, "{}", first.text());
    assert_eq!(first.header("idempotent-replayed"), None);
    let id = first.json()["id"].as_str().unwrap().to_owned();
    world.wait_notified(&jane, 2, "sent").await;

    // Its life goes on, the service restarts, and the client spells its body differently.
    world.advance(&admin, &id, &["confirmed"]).await;
    world.crash(ORDERS).await;
    world.wait_ready(ORDERS).await;
    let spaced = serde_json::to_string_pretty(&body).unwrap();
    let spaced = spaced.replace("49.99", "4.999e1");
    let again = send(&world.orders, &jane, KEY, &spaced).await.unwrap();
    assert_eq!(again.status, 201, "{}", again.text());
    assert!(is_replay(&again));
    assert_eq!(again.body, first.body);
    for header in ["location", "content-type"] {
        assert_eq!(again.header(header), first.header(header), "{header}");
    }
    assert_eq!(orders(&world).await, 1);
    assert_eq!(world.count("SELECT count(*) FROM order_outbox").await, 1);
    assert_eq!(world.count("SELECT count(*) FROM order_history").await, 2);
}

async fn a_key_with_another_body_is_refused(on: Backend) {
    let world = World::start(on).await;
    let jane = world.customer("jane").await;
    place(&world, &jane, KEY, &new_order()).await;
    let mut other = new_order();
    other["notes"] = Value::Null;
    let answer = place(&world, &jane, KEY, &other).await;
    assert_problem(&answer, 422, "idempotency_key_reused");
    assert_eq!(orders(&world).await, 1);
}

async fn a_key_is_its_users_alone(on: Backend) {
    let world = World::start(on).await;
    let (jane, joe) = (world.customer("jane").await, world.customer("joe").await);
    for who in [&jane, &joe] {
        let answer = place(&world, who, KEY, &new_order()).await;
        assert_eq!(answer.status, 201, "{}", answer.text());
        assert!(!is_replay(&answer));
        assert_eq!(answer.json()["user_id"], who.id);
    }
    assert_eq!(orders(&world).await, 2);
}

async fn what_failed_may_be_sent_again_with_its_key(on: Backend) {
    let world = World::start(on).await;
    let jane = world.customer("jane").await;
    let mut faulty = new_order();
    faulty["items"] = json!([]);
    let answer = place(&world, &jane, KEY, &faulty).await;
    assert_problem(&answer, 400, "validation_failed");
    let stranger = Person {
        access: "nonsense".into(),
        ..jane.clone()
    };
    let answer = place(&world, &stranger, KEY, &new_order()).await;
    assert_problem(&answer, 401, "invalid_token");
    let answer = place(&world, &jane, KEY, &new_order()).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    assert!(!is_replay(&answer));
}

async fn a_key_that_is_none_is_a_fault_of_its_header(on: Backend) {
    let world = World::start(on).await;
    let jane = world.customer("jane").await;
    let mut faulty = new_order();
    faulty["items"] = json!([]);
    for key in ["", &"x".repeat(256), "schlüssel"] {
        let answer = place(&world, &jane, key, &faulty).await;
        assert_problem(&answer, 400, "validation_failed");
        let errors = answer.json()["errors"].clone();
        assert_eq!(errors[0]["header"], "Idempotency-Key", "{errors}");
        assert_eq!(errors[1]["pointer"], "/items", "{errors}");
        assert_eq!(errors.as_array().unwrap().len(), 2, "{errors}");
    }
    let answer = place(&world, &jane, &"x".repeat(255), &new_order()).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    assert_eq!(orders(&world).await, 1);
}

/// Of answers to the same request one placed an order, and the others tell of it or of its being
/// placed.
fn one_of_them_placed_an_order(answers: &[Response]) {
    let placed: Vec<_> = answers.iter().filter(|a| a.status == 201).collect();
    let first: Vec<_> = placed.iter().filter(|a| !is_replay(a)).collect();
    assert_eq!(first.len(), 1, "{answers:?}");
    for answer in &placed {
        assert_eq!(answer.body, first[0].body);
    }
    for answer in answers.iter().filter(|a| a.status != 201) {
        assert_problem(answer, 409, "request_in_progress");
        assert_eq!(answer.header("retry-after"), Some("1"));
    }
}

async fn of_twenty_requests_at_once_one_places_an_order(on: Backend) {
    let world = World::start(on).await;
    let jane = world.customer("jane").await;
    let body = new_order();
    let racers = (0..20).map(|_| place(&world, &jane, KEY, &body));
    one_of_them_placed_an_order(&join_all(racers).await);
    assert_eq!(orders(&world).await, 1);
}

/// A connection that holds up whoever writes an order, until it is dropped.
async fn hold_up_orders(world: &World) -> shopflow_testkit::Database {
    let mut database = world.database().await;
    match world.backend() {
        Backend::Servers => {
            database.execute("BEGIN").await;
            database
                .execute("LOCK TABLE orders IN ACCESS EXCLUSIVE MODE")
                .await;
        }
        Backend::Embedded => database.execute("BEGIN IMMEDIATE").await,
    }
    database
}

/// Sends the same twice at once, while orders are held up: the answer to the one that came second,
/// and the first, which is still to be answered.
async fn send_twice(
    world: &World,
    who: &Person,
    key: &'static str,
    body: &Value,
) -> (Response, BoxFuture<'static, anyhow::Result<Response>>) {
    let sending = || {
        let (client, who, body) = (world.orders.clone(), who.clone(), body.to_string());
        async move { send(&client, &who, key, &body).await }.boxed()
    };
    let (told, _, mut first) = select_all([sending(), sending()]).await;
    (told.unwrap(), first.remove(0))
}

/// A key for each round. The database is held up for as long as two requests take to arrive. On a machine
/// that stalls that may be longer than the service waits for its database: a 503, and nothing is learned.
const ROUNDS: [&str; 3] = ["first-round", "second-round", "third-round"];

async fn a_second_request_while_the_first_runs_is_a_409(on: Backend) {
    let world = World::start(on).await;
    let jane = world.customer("jane").await;
    let body = new_order();
    for key in ROUNDS {
        let before = orders(&world).await;
        let mut held = hold_up_orders(&world).await;
        let (told, first) = send_twice(&world, &jane, key, &body).await;
        held.execute("ROLLBACK").await;
        let first = first.await.unwrap();
        if [told.status, first.status].contains(&503) {
            continue;
        }
        assert_problem(&told, 409, "request_in_progress");
        assert_eq!(told.header("retry-after"), Some("1"));
        assert_eq!(first.status, 201, "{}", first.text());
        let again = place(&world, &jane, key, &body).await;
        assert!(is_replay(&again));
        assert_eq!(again.body, first.body);
        assert_eq!(orders(&world).await, before + 1);
        return;
    }
    panic!("no first request ran while a second came");
}

async fn a_request_that_dies_in_the_middle_may_be_sent_again(on: Backend) {
    let mut world = World::start(on).await;
    let jane = world.customer("jane").await;
    for key in ROUNDS {
        if dies_in_the_middle(&mut world, &jane, key).await {
            return;
        }
    }
    panic!("no request died in the middle");
}

/// Whether it did; if so, it was sent again.
async fn dies_in_the_middle(world: &mut World, jane: &Person, key: &'static str) -> bool {
    let body = new_order();
    let before = orders(world).await;
    let mut held = hold_up_orders(world).await;
    let (told, first) = send_twice(world, jane, key, &body).await;
    world.kill(ORDERS).await;
    let first = first.await;
    held.execute("ROLLBACK").await;
    match world.backend() {
        Backend::Servers => world.launch(ORDERS),
        Backend::Embedded => world.launch_all().await,
    }
    world.wait_ready(ORDERS).await;
    if told.status == 503 || first.as_ref().is_ok_and(|first| first.status == 503) {
        return false;
    }
    assert_problem(&told, 409, "request_in_progress");
    assert!(first.is_err(), "nobody answers");

    // What the dead process had sent to its database may still be done there, once.
    let answer = wait_for("an answer", SOON, || async {
        let answer = place(world, jane, key, &body).await;
        (answer.status != 409).then_some(answer)
    })
    .await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    assert_eq!(orders(world).await, before + 1);
    let again = place(world, jane, key, &body).await;
    assert_eq!((is_replay(&again), again.body), (true, answer.body));
    true
}

async fn a_key_is_forgotten_after_24_hours(on: Backend) {
    let mut world = World::start(on).await;
    let jane = world.customer("jane").await;
    let day = match on {
        Backend::Servers => "interval '24 hours'",
        Backend::Embedded => "86400000000",
    };
    let age = format!("UPDATE order_keys SET created_at = created_at - {day}");
    let first = place(&world, &jane, KEY, &new_order()).await;
    world.execute(&age).await;
    let second = place(&world, &jane, KEY, &new_order()).await;
    assert_eq!(second.status, 201, "{}", second.text());
    assert!(!is_replay(&second));
    assert_ne!(second.body, first.body);
    let again = place(&world, &jane, KEY, &new_order()).await;
    assert_eq!((is_replay(&again), again.body), (true, second.body));

    // The service removes what is forgotten; it looks when it starts, and then every few minutes.
    world.execute(&age).await;
    place(&world, &jane, "another", &new_order()).await;
    world.crash(ORDERS).await;
    wait_until("the old key is pruned", SOON, || async {
        world.count("SELECT count(*) FROM order_keys").await == 1
    })
    .await;
    let left = "SELECT count(*) FROM order_keys WHERE key = 'another'";
    assert_eq!(world.count(left).await, 1);
}

/// A second order service on the same database.
async fn second_instance(world: &World) -> (Process, Client) {
    let port = free_port();
    let mut env = world.environment(ORDERS);
    env.retain(|(name, _)| *name != "PORT");
    env.push(("PORT", port.to_string()));
    let process = Process::start(shopflow(), ["serve", "orders"], env);
    let client = Client::new(format!("http://127.0.0.1:{port}"));
    wait_until("the second instance is ready", SOON, async || {
        let ready = client.request(http::Method::GET, "/health/ready", &[], "");
        ready.await.is_ok_and(|ready| ready.status == 200)
    })
    .await;
    (process, client)
}

async fn two_instances_place_one_order_for_a_key() {
    let world = World::start(Backend::Servers).await;
    let jane = world.customer("jane").await;
    let (_process, second) = second_instance(&world).await;
    let body = new_order().to_string();
    for number in 1..=10 {
        let key = format!("{KEY}-{number}");
        let racers = (0..10).map(|racer| {
            let client = match racer % 2 {
                0 => &world.orders,
                _ => &second,
            };
            send(client, &jane, &key, &body)
        });
        let answers: Result<Vec<_>, _> = join_all(racers).await.into_iter().collect();
        one_of_them_placed_an_order(&answers.unwrap());
        assert_eq!(orders(&world).await, number);
    }
    let key = format!("{KEY}-1");
    let there = send(&second, &jane, &key, &body).await.unwrap();
    let here = send(&world.orders, &jane, &key, &body).await.unwrap();
    assert!(is_replay(&there) && is_replay(&here));
    assert_eq!(there.body, here.body);
}
