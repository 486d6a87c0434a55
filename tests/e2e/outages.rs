//! Servers and neighbours that are away: what goes on, what clients see, and that everything goes
//! on by itself afterwards.

use shopflow_testkit::Channel::{self, Email, Sms};
use shopflow_testkit::{Fault, Proxy, wait_until};

use crate::world::{AUTH, Backend, NOTIFY, ORDERS, SOON, World, assert_problem, readiness};

back_ends! {
    both:
        a_mail_provider_that_is_away_holds_mails_back_and_nothing_is_given_up,
        a_text_provider_that_is_away_holds_texts_back_and_nothing_is_given_up;
    servers:
        orders_are_taken_while_the_broker_is_away_and_their_mails_go_out_when_it_is_back,
        a_broker_that_freezes_is_given_up_and_found_again,
        services_start_while_everything_they_need_is_away,
        a_database_that_is_away_is_a_503_and_comes_back_by_itself,
        a_database_that_freezes_is_a_503_within_its_time,
        without_the_auth_service_orders_answer_503_and_no_mail_is_given_up,
        without_the_order_service_mails_wait_and_the_others_go_on;
}

/// A world that reaches its broker through a proxy.
async fn behind_broker_proxy() -> (World, Proxy) {
    let mut proxy = None;
    let world = World::start_with(Backend::Servers, |setup| {
        let through = Proxy::for_url(&setup.rabbitmq_url);
        setup.rabbitmq_url = through.proxied_url(&setup.rabbitmq_url);
        proxy = Some(through);
    })
    .await;
    (world, proxy.expect("made above"))
}

/// A world that reaches Amazon SES, or Twilio, through a proxy.
async fn behind_provider_proxy(channel: Channel) -> (World, Option<Proxy>) {
    let mut world = World::prepare(Backend::Servers, |_| ()).await;
    let (endpoint, setting) = match channel {
        Email => (world.servers().ses.endpoint(), "AWS_ENDPOINT_URL"),
        Sms => (world.servers().twilio.endpoint(), "TWILIO_API_BASE_URL"),
    };
    let proxy = Proxy::start(endpoint.trim_start_matches("http://"));
    let through = format!("http://{}", proxy.addr());
    world.setup.extra.push((setting, through));
    world.launch_all().await;
    (world, Some(proxy))
}

async fn orders_are_taken_while_the_broker_is_away_and_their_mails_go_out_when_it_is_back() {
    let (world, proxy) = behind_broker_proxy().await;
    let jane = world.customer("jane").await;
    proxy.cut();
    for _ in 0..10 {
        world.place(&jane).await;
    }
    for service in [&world.orders, &world.notify] {
        readiness(service, |told| {
            let checks = &told["checks"];
            checks["broker"] == "unavailable" && checks["database"] == "ok"
        })
        .await;
        assert_eq!(service.get("/health").await.status, 200);
    }
    assert_eq!(world.servers().ses.sent().len(), 0);
    proxy.heal();
    world.wait_notified(&jane, 20, "sent").await;
    assert_eq!(world.servers().ses.sent().len(), 10);
    world.wait_ready(ORDERS).await;
    world.wait_ready(NOTIFY).await;
}

async fn a_broker_that_freezes_is_given_up_and_found_again() {
    let (world, proxy) = behind_broker_proxy().await;
    let jane = world.customer("jane").await;
    proxy.black_hole();
    for _ in 0..3 {
        world.place(&jane).await;
    }
    wait_until("the confirms are missed", SOON, || async {
        world.orders.get("/health/ready").await.status == 503
    })
    .await;
    proxy.heal();
    world.wait_notified(&jane, 6, "sent").await;
    assert_eq!(world.servers().ses.sent().len(), 3);
}

async fn services_start_while_everything_they_need_is_away() {
    let mut proxies = Vec::new();
    let mut world = World::prepare(Backend::Servers, |setup| {
        let broker = Proxy::for_url(&setup.rabbitmq_url);
        let database = Proxy::for_url(&setup.database_url);
        setup.rabbitmq_url = broker.proxied_url(&setup.rabbitmq_url);
        setup.database_url = database.proxied_url(&setup.database_url);
        proxies = vec![broker, database];
    })
    .await;
    proxies.iter().for_each(Proxy::cut);
    for service in [ORDERS, NOTIFY, AUTH] {
        world.launch(service);
        let client = world.client(service);
        wait_until("it is alive", SOON, || async {
            let answer = client.request(http::Method::GET, "/health", &[], "").await;
            answer.is_ok_and(|answer| answer.status == 200)
        })
        .await;
        assert_eq!(client.get("/health/ready").await.status, 503);
    }
    proxies.iter().for_each(Proxy::heal);
    for service in [AUTH, ORDERS, NOTIFY] {
        world.wait_ready(service).await;
    }
    let jane = world.customer("jane").await;
    world.place(&jane).await;
    world.wait_notified(&jane, 2, "sent").await;
}

async fn a_database_that_is_away_is_a_503_and_comes_back_by_itself() {
    let mut proxy = None;
    let world = World::start_with(Backend::Servers, |setup| {
        let through = Proxy::for_url(&setup.database_url);
        setup.database_url = through.proxied_url(&setup.database_url);
        proxy = Some(through);
    })
    .await;
    let proxy = proxy.expect("made above");
    let jane = world.customer("jane").await;
    world.place(&jane).await;
    world.wait_notified(&jane, 2, "sent").await;
    proxy.cut();
    let login = serde_json::json!({ "email": jane.email, "password": "x" });
    let answer = world.auth.post("/auth/login", &login).await;
    assert_problem(&answer, 503, "unavailable");
    assert_eq!(answer.header("retry-after"), Some("1"));
    assert_eq!(world.auth.get("/health").await.status, 200);
    assert_eq!(world.auth.get("/health/ready").await.status, 503);
    proxy.heal();
    for service in [AUTH, ORDERS, NOTIFY] {
        world.wait_ready(service).await;
    }
    wait_until("orders are taken again", SOON, || async {
        world.try_place(&jane).await.status == 201
    })
    .await;
    world.wait_notified(&jane, 4, "sent").await;
}

async fn a_database_that_freezes_is_a_503_within_its_time() {
    let mut proxy = None;
    let world = World::start_with(Backend::Servers, |setup| {
        let through = Proxy::for_url(&setup.database_url);
        setup.database_url = through.proxied_url(&setup.database_url);
        proxy = Some(through);
    })
    .await;
    let proxy = proxy.expect("made above");
    let jane = world.customer("jane").await;
    proxy.black_hole();
    let login = serde_json::json!({ "email": jane.email, "password": "x" });
    // The client of these tests waits 30 seconds and no longer.
    let answer = world.auth.post("/auth/login", &login).await;
    assert_problem(&answer, 503, "unavailable");
    proxy.heal();
    wait_until("logins work again", SOON, || async {
        world.auth.post("/auth/login", &login).await.status == 401
    })
    .await;
}

async fn without_the_auth_service_orders_answer_503_and_no_mail_is_given_up() {
    let mut world = World::start(Backend::Servers).await;
    let jane = world.customer("jane").await;
    world.place(&jane).await;
    world.wait_notified(&jane, 2, "sent").await;
    let mut tap = world.events().await;
    world.place(&jane).await;
    world.wait_notified(&jane, 4, "sent").await;
    let event = tap.next(SOON).await.expect("an event");

    world.kill(AUTH).await;
    let answer = world.try_place(&jane).await;
    assert_problem(&answer, 503, "unavailable");
    assert_eq!(answer.header("retry-after"), Some("1"));
    // An event whose contact cannot be read waits; it uses up no attempt.
    let fresh = "0190a3c4-0000-7000-8000-000000000001";
    let mut body = event.json();
    body["event_id"] = fresh.into();
    let body = body.to_string();
    world.publish(&body, Some(fresh)).await;
    wait_until("it is waited for", SOON, || async {
        world
            .process(NOTIFY)
            .output()
            .matches("waiting for a neighbour")
            .count()
            >= 6
    })
    .await;
    assert_eq!(world.dead_letters().await, 0);
    world.launch(AUTH);
    world.wait_ready(AUTH).await;
    world.wait_notified(&jane, 6, "sent").await;
}

async fn without_the_order_service_mails_wait_and_the_others_go_on() {
    let mut world = World::start(Backend::Servers).await;
    let jane = world.customer("jane").await;
    let mut tap = world.events().await;
    world.place(&jane).await;
    world.wait_notified(&jane, 2, "sent").await;
    let event = tap.next(SOON).await.expect("an event");

    world.kill(ORDERS).await;
    // An event whose order cannot be read waits; it uses up no attempt.
    let fresh = "0190a3c4-0000-7000-8000-000000000001";
    let mut body = event.json();
    body["event_id"] = fresh.into();
    world.publish(&body.to_string(), Some(fresh)).await;
    wait_until("it is waited for", SOON, || async {
        world
            .process(NOTIFY)
            .output()
            .matches("waiting for a neighbour")
            .count()
            >= 6
    })
    .await;
    assert_eq!(world.dead_letters().await, 0);
    assert_eq!(world.notifications(&jane).await.len(), 2);
    assert_eq!(world.login(&jane.email).await.id, jane.id);
    world.launch(ORDERS);
    world.wait_ready(ORDERS).await;
    world.wait_notified(&jane, 4, "sent").await;
}

async fn a_mail_provider_that_is_away_holds_mails_back_and_nothing_is_given_up(on: Backend) {
    a_provider_that_is_away_holds_up_its_own_messages(on, Email).await;
}

async fn a_text_provider_that_is_away_holds_texts_back_and_nothing_is_given_up(on: Backend) {
    a_provider_that_is_away_holds_up_its_own_messages(on, Sms).await;
}

async fn a_provider_that_is_away_holds_up_its_own_messages(on: Backend, channel: Channel) {
    let (world, proxy) = match on {
        Backend::Servers => behind_provider_proxy(channel).await,
        Backend::Embedded => (World::start(on).await, None),
    };
    let jane = world.customer("jane").await;
    match &proxy {
        Some(proxy) => proxy.cut(),
        None => world.fail(channel, Fault::Away, None, None).await,
    }
    for _ in 0..3 {
        world.place(&jane).await;
    }
    wait_until("it is waited for", SOON, || async {
        world
            .process(NOTIFY)
            .output()
            .matches("waiting for a neighbour")
            .count()
            >= 12
    })
    .await;
    let other = match channel {
        Email => world.texts().await,
        Sms => world.mails().await,
    };
    assert_eq!(other.len(), 3, "the other channel goes on");
    assert_eq!(world.dead_letters().await, 0);
    match &proxy {
        Some(proxy) => proxy.heal(),
        None => world.heal().await,
    }
    world.wait_notified(&jane, 6, "sent").await;
    let sent = (world.mails().await.len(), world.texts().await.len());
    assert_eq!(sent, (3, 3));
}
