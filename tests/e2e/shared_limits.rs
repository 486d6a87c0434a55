//! Limits that instances share through Redis, and what they do without it.

use http::Method;
use serde_json::{Value, json};
use shopflow_testkit::{
    Backend, Client, PrivateRedis, Process, Redis, Response, redis, wait_until,
};

use crate::world::{AUTH, ORDERS, SOON, World, assert_problem, metric, readiness};

back_ends! {
    servers:
        instances_allow_together_what_one_alone_would,
        instances_slow_an_account_down_together,
        orders_are_counted_by_user_for_all_instances,
        without_redis_each_instance_counts_alone_until_it_is_back,
        services_start_and_are_ready_without_redis;
}

/// An auth service, with what else is set. It shall not count alone because this machine is busy.
async fn world(redis: &str, limit: &str) -> World {
    let mut world = World::prepare(Backend::Servers, |setup| {
        setup.extra = vec![
            ("REDIS_URL", redis.to_owned()),
            ("REDIS_TIMEOUT_MS", "10000".to_owned()),
            ("RATE_LIMIT_AUTH_PER_MINUTE", limit.to_owned()),
            ("RATE_LIMIT_ORDERS_PER_MINUTE", limit.to_owned()),
        ];
    })
    .await;
    world.launch(AUTH);
    world.wait_ready(AUTH).await;
    world
}

/// Two auth services that count together.
async fn two(redis: &str, limit: &str) -> (World, Process, [Client; 2]) {
    let world = world(redis, limit).await;
    let (process, second) = world.second(AUTH).await;
    let first = Client::new(format!("http://127.0.0.1:{}", world.setup.ports[0]));
    let both = [first, second];
    wait_shared(&both, 1.0).await;
    (world, process, both)
}

/// Waits until all say that they count together (1), or alone (0).
async fn wait_shared(services: &[Client], shared: f64) {
    for service in services {
        wait_until("who counts is told", SOON, async || {
            metric(service, "shopflow_limits_shared").await == Some(shared)
        })
        .await;
    }
}

async fn validate(service: &Client) -> Response {
    let validate = service.request(Method::POST, "/auth/validate", &[], "");
    validate.await.unwrap()
}

/// How many requests are allowed until one is refused.
async fn allowed(service: &Client) -> usize {
    for count in 0..100 {
        if validate(service).await.status == 429 {
            return count;
        }
    }
    panic!("none was refused");
}

async fn instances_allow_together_what_one_alone_would() {
    let url = redis().await.database().await;
    let (_world, _process, services) = two(&url, "100").await;
    for index in 0..100 {
        let answer = validate(&services[index % 2]).await;
        assert_problem(&answer, 401, "invalid_token");
        let left = format!("\"auth\";r={};", 99 - index);
        let told = answer.header("ratelimit").unwrap();
        assert!(told.starts_with(&left), "{told}");
    }
    for service in &services {
        assert_problem(&validate(service).await, 429, "rate_limited");
        let alone = metric(service, "shopflow_limits_fallbacks_total").await;
        assert_eq!(alone, Some(0.0));
    }
}

async fn instances_slow_an_account_down_together() {
    let url = redis().await.database().await;
    let (_world, _process, services) = two(&url, "1000").await;
    let body = json!({ "email": "nobody@example.com", "password": "Wr0ng!Passw0rd" });
    let mut told = 0;
    while services[told % 2].post("/auth/login", &body).await.status == 401 {
        told += 1;
    }
    // On a very slow machine the seventh may be due already.
    assert!((6..12).contains(&told), "{told}");
    let keys = Redis::keys(&url).await;
    let accounts = keys
        .iter()
        .filter(|key| key.starts_with("shopflow:logins:"));
    assert_eq!(accounts.count(), 1, "{keys:?}");
    assert!(!keys.concat().contains("nobody"), "{keys:?}");
}

async fn orders_are_counted_by_user_for_all_instances() {
    let url = redis().await.database().await;
    let mut world = world(&url, "4").await;
    world.launch(ORDERS);
    world.wait_ready(ORDERS).await;
    let (_process, second) = world.second(ORDERS).await;
    let first = Client::new(format!("http://127.0.0.1:{}", world.setup.ports[1]));
    let services = [first, second];
    wait_shared(&services, 1.0).await;
    let jane = world.customer("jane").await;
    let statuses = async |index: usize| {
        let client = services[index % 2].with_token(&jane.access);
        client.get("/orders").await.status
    };
    for index in 0..6 {
        let wanted = if index < 4 { 200 } else { 429 };
        assert_eq!(statuses(index).await, wanted, "{index}");
    }
    let key = format!("shopflow:limit:orders:{}", jane.id);
    assert!(Redis::keys(&url).await.contains(&key));
}

async fn without_redis_each_instance_counts_alone_until_it_is_back() {
    let mut server: PrivateRedis = Redis::private().await;
    let (world, _process, services) = two(&server.url(), "3").await;
    assert_eq!(allowed(&services[0]).await, 3);
    assert_eq!(allowed(&services[1]).await, 0);

    // On a slow start it may have been told before.
    let told = ["limits are not shared", "limits are shared"];
    let count = || told.map(|line| world.log(AUTH).matches(line).count());
    let [not_shared, shared] = count();
    server.kill();
    for service in &services {
        assert_eq!(allowed(service).await, 3, "each for itself");
        assert_eq!(allowed(service).await, 0);
        let alone = metric(service, "shopflow_limits_fallbacks_total").await;
        assert_eq!(alone, Some(5.0), "and says so");
        let ready = readiness(service, |told| told["status"] == "ok").await;
        assert_eq!(ready["checks"], json!({ "database": "ok" }));
    }
    wait_shared(&services, 0.0).await;

    server.start().await;
    wait_shared(&services, 1.0).await;
    assert_eq!(
        allowed(&services[1]).await,
        3,
        "the new server knows nobody"
    );
    assert_eq!(allowed(&services[0]).await, 0);
    wait_until("each is told once more", SOON, async || {
        count() == [not_shared + 1, shared + 1]
    })
    .await;
}

async fn services_start_and_are_ready_without_redis() {
    let mut server = Redis::private().await;
    server.kill();
    // With a password, which is not to be seen.
    let url = server
        .url()
        .replace("redis://", "redis://:s3cret-of-redis@");
    let world = world(&url, "3").await;
    assert_eq!(allowed(&world.auth).await, 3);
    let shared = metric(&world.auth, "shopflow_limits_shared").await;
    assert_eq!(shared, Some(0.0));
    let body = json!({ "email": "nobody@example.com", "password": "x" });
    let answer = world.auth.post("/auth/login", &body).await;
    assert_ne!(answer.json()["status"], Value::from(500));
    wait_until("it is in the log", SOON, async || {
        world.log(AUTH).contains("limits are not shared")
    })
    .await;
    assert!(!world.log(AUTH).contains("s3cret-of-redis"));
}
