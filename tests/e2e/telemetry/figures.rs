//! `/metrics`: what it tells, and that it stays small.

use std::collections::BTreeSet;
use std::time::Duration;

use http::Method;
use serde_json::Value;
use shopflow_testkit::{Client, Collector, Service, free_port, redis, wait_for, wait_until};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::world::{AUTH, Backend, NOTIFY, ORDERS, SOON, World, metric};

back_ends! {
    both:
        an_order_is_counted_on_its_whole_way,
        strange_paths_and_methods_make_no_labels,
        a_request_without_one_host_is_counted;
    servers:
        every_figure_is_in_the_docs,
        a_service_tells_its_connections_and_its_process,
        a_client_that_hangs_up_leaves_a_line_and_a_figure,
        figures_have_a_port_of_their_own_where_one_is_set;
}

/// The samples of a service, each with its labels, as lines.
pub(super) async fn samples(service: &Client) -> Vec<String> {
    let text = service.get("/metrics").await.text();
    let lines = text
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(str::to_owned).collect()
}

/// The names of figures, without what histograms add to theirs.
pub(super) async fn names(service: &Client) -> BTreeSet<String> {
    let text = service.get("/metrics").await.text();
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    types
        .filter_map(|line| line.split(' ').next())
        .map(str::to_owned)
        .collect()
}

/// The value of the one sample with this name and these labels, if there is one.
async fn found(service: &Client, sample: &str) -> Option<f64> {
    let all = samples(service).await;
    let found = all.iter().find_map(|line| line.strip_prefix(sample))?;
    Some(found.trim().parse().unwrap())
}

/// The same where there is one.
async fn value(service: &Client, sample: &str) -> f64 {
    let found = found(service, sample).await;
    found.unwrap_or_else(|| panic!("no {sample}"))
}

/// Waits until a service tells this value.
async fn counted(service: &Client, sample: &str, wanted: f64) {
    wait_until(sample, SOON, async || {
        found(service, sample).await == Some(wanted)
    })
    .await;
}

async fn an_order_is_counted_on_its_whole_way(on: Backend) {
    let world = World::start(on).await;
    let jane = world.customer("jane").await;
    world.place(&jane).await;
    world.wait_notified(&jane, 2, "sent").await;
    let placed = "http_server_request_duration_seconds_count{http_request_method=\"POST\",http_route=\"/orders\",http_response_status_code=\"201\"} ";
    assert_eq!(value(&world.orders, placed).await, 1.0);
    // A mail may be sent before what was done for it is counted.
    for sample in [
        "shopflow_event_publish_delay_seconds_count ",
        "shopflow_publish_confirm_seconds_count ",
    ] {
        counted(&world.orders, sample, 1.0).await;
    }
    let queue = "queue=\"notifications.order.created\"";
    for sample in [
        format!("shopflow_queue_wait_seconds_count{{{queue}}} "),
        "shopflow_delivery_seconds_count{channel=\"email\"} ".to_owned(),
        "shopflow_delivery_seconds_count{channel=\"sms\"} ".to_owned(),
        "shopflow_send_attempts_total{channel=\"email\",outcome=\"sent\"} ".to_owned(),
        "shopflow_send_attempts_total{channel=\"sms\",outcome=\"sent\"} ".to_owned(),
        format!("shopflow_events_handled_total{{{queue},outcome=\"done\"}} "),
    ] {
        counted(&world.notify, &sample, 1.0).await;
    }
    // The queues are looked at now and then.
    let dead = format!("shopflow_dead_letters{{{queue}}} ");
    counted(&world.notify, &dead, 0.0).await;
    // A registration and a login: one hash each, at least.
    let hashes = metric(&world.auth, "shopflow_hash_duration_seconds_count ").await;
    assert!(hashes.unwrap() >= 2.0);
}

async fn strange_paths_and_methods_make_no_labels(on: Backend) {
    let world = World::start(on).await;
    for path in ["/nothing", "/orders/1/2/3", "/secret-token"] {
        for method in ["GET", "BREW", "TRACE"] {
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            let answer = world.orders.request(method, path, &[], "").await.unwrap();
            assert_eq!(answer.status, 404);
        }
    }
    let all = samples(&world.orders).await;
    let strange = |line: &&String| {
        line.starts_with("http_server_request_duration_seconds_count")
            && line.contains("http_response_status_code=\"404\"")
    };
    let strange: Vec<&String> = all.iter().filter(strange).collect();
    assert_eq!(strange.len(), 2, "{strange:?}");
    assert!(
        strange
            .iter()
            .all(|line| line.contains("http_route=\"unknown\""))
    );
    assert!(
        strange
            .iter()
            .any(|line| line.contains("http_request_method=\"_OTHER\""))
    );
}

async fn a_request_without_one_host_is_counted(on: Backend) {
    let world = World::start(on).await;
    let port = world.setup.ports[ORDERS as usize];
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let request = b"GET /orders HTTP/1.1\r\nconnection: close\r\n\r\n";
    stream.write_all(request).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    let refused = "http_server_request_duration_seconds_count{http_request_method=\"GET\",http_route=\"unknown\",http_response_status_code=\"400\"} ";
    assert_eq!(value(&world.orders, refused).await, 1.0);
}

async fn a_client_that_hangs_up_leaves_a_line_and_a_figure() {
    let world = World::start(Backend::Servers).await;
    let jane = world.customer("jane").await;
    let active = "http_server_active_requests ";
    assert_eq!(metric(&world.orders, active).await, Some(0.0));
    // Orders asks it who this is, and waits.
    world.process(AUTH).freeze();
    let process = world.process(ORDERS);
    let line = wait_for("a hang-up is told", SOON, async || {
        let orders = world.orders.with_token(&jane.access);
        let waiting = tokio::spawn(async move {
            loop {
                orders.get("/orders").await;
            }
        });
        wait_until("orders has the request in hand", SOON, async || {
            metric(&world.orders, active).await == Some(1.0)
        })
        .await;
        waiting.abort();
        // An answer that came before is no hang-up, and leaves no line however long one waits.
        let told = async || {
            let log = process.stdout();
            let line = log.lines().find(|line| line.contains("\"status\":499"));
            line.map(str::to_owned)
        };
        let told = wait_for("its line", SOON, told);
        tokio::time::timeout(Duration::from_secs(3), told)
            .await
            .ok()
    })
    .await;
    let line: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(
        (&line["message"], &line["method"], &line["route"]),
        (&"request".into(), &"GET".into(), &"/orders".into())
    );
    assert!(line["request_id"].is_string(), "{line}");
    assert!(line["queries"].is_number(), "{line}");
    let gone = "http_server_request_duration_seconds_count{http_request_method=\"GET\",http_route=\"/orders\",http_response_status_code=\"499\"} ";
    assert!(value(&world.orders, gone).await >= 1.0);
    wait_until("nothing is in hand", SOON, async || {
        metric(&world.orders, active).await == Some(0.0)
    })
    .await;
}

/// All three services with all that has figures of its own, and work behind them.
pub(super) async fn busy() -> (World, Collector) {
    let collector = Collector::start().await;
    let limits = redis().await.database().await;
    let world = World::start_with(Backend::Servers, |setup| {
        let endpoint = collector.endpoint().to_owned();
        setup.extra.push(("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint));
        setup.extra.push(("REDIS_URL", limits));
        for limit in ["RATE_LIMIT_AUTH_PER_MINUTE", "RATE_LIMIT_ORDERS_PER_MINUTE"] {
            setup.extra.push((limit, "1000".into()));
        }
    })
    .await;
    let jane = world.customer("jane").await;
    world.place(&jane).await;
    world.wait_notified(&jane, 2, "sent").await;
    (world, collector)
}

async fn every_figure_is_in_the_docs() {
    let (world, _collector) = busy().await;
    let docs = include_str!("../../../docs/telemetry.md");
    for service in Service::ALL {
        for name in names(world.client(service)).await {
            assert!(
                docs.contains(&format!("`{name}`")),
                "{name} is not in the docs"
            );
        }
    }
}

async fn a_service_tells_its_connections_and_its_process() {
    let world = World::start(Backend::Servers).await;
    for service in [AUTH, ORDERS, NOTIFY] {
        let client = world.client(service);
        let pool = "db_client_connection_pool_name=\"postgresql\"";
        let most = value(client, &format!("db_client_connection_max{{{pool}}} ")).await;
        assert_eq!(most, 20.0);
        let mut open = 0.0;
        for state in ["used", "idle"] {
            let sample = format!(
                "db_client_connection_count{{{pool},db_client_connection_state=\"{state}\"}} "
            );
            open += value(client, &sample).await;
        }
        assert!((1.0..=most).contains(&open), "{open} connections");
        for name in [
            "process_cpu_seconds_total ",
            "process_resident_memory_bytes ",
            "process_open_fds ",
            "process_max_fds ",
            "process_threads ",
            "process_start_time_seconds ",
        ] {
            assert!(value(client, name).await > 0.0, "{name}");
        }
    }
    assert_eq!(
        metric(&world.orders, "shopflow_broker_connected ").await,
        Some(1.0)
    );
}

async fn figures_have_a_port_of_their_own_where_one_is_set() {
    let world = World::start(Backend::Servers).await;
    let port = free_port().to_string();
    let own = Client::new(format!("http://127.0.0.1:{port}"));
    let mut env = world.environment(AUTH);
    env.retain(|(name, _)| *name != "PORT");
    let public = free_port().to_string();
    env.push(("PORT", public.clone()));
    env.push(("METRICS_PORT", port));
    let args = ["serve", "auth"];
    let _process = shopflow_testkit::Process::start(crate::world::shopflow(), args, env);
    wait_until("the second instance is ready", SOON, async || {
        let ready = own.request(Method::GET, "/health/ready", &[], "").await;
        ready.is_ok_and(|ready| ready.status == 200)
    })
    .await;
    assert!(names(&own).await.contains("shopflow_build_info"));
    assert_eq!(
        own.get("/auth/login").await.status,
        404,
        "nothing else is there"
    );
    let public = Client::new(format!("http://127.0.0.1:{public}"));
    assert_eq!(public.get("/metrics").await.status, 404);
    assert_eq!(public.get("/health").await.status, 200);
}
