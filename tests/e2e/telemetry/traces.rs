//! Traces, as a collector receives them.

use std::time::{Duration, Instant};

use http::Method;
use shopflow_testkit::{Collector, Span, wait_until};

use crate::world::{AUTH, Backend, NOTIFY, ORDERS, SOON, World, metric, new_order};

back_ends! {
    both:
        one_trace_leads_from_an_order_to_its_messages,
        the_last_spans_are_sent_at_a_stop;
    servers:
        what_an_attempt_failed_by_is_in_its_trace,
        spans_go_by_grpc_as_well_with_the_headers_that_are_set,
        what_the_caller_does_not_record_is_not_recorded,
        a_collector_with_tls_is_known_by_its_authority,
        a_collector_that_hangs_costs_spans_and_nothing_else,
        spans_that_find_no_room_are_counted_as_lost;
}

/// All three services, with a collector of their traces.
async fn traced(on: Backend, more: &[(&'static str, &str)]) -> (World, Collector) {
    let collector = Collector::start().await;
    let world = World::start_with(on, |setup| {
        let endpoint = collector.endpoint().to_owned();
        setup.extra.push(("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint));
        setup.extra.push(("OTEL_BSP_SCHEDULE_DELAY", "100".into()));
        for (name, value) in more {
            setup.extra.push((name, (*value).to_owned()));
        }
    })
    .await;
    (world, collector)
}

/// The spans of one trace.
struct Trace(Vec<Span>);

impl Trace {
    fn of(spans: &[Span], root: &Span) -> Self {
        let own = spans.iter().filter(|one| one.trace_id == root.trace_id);
        Self(own.cloned().collect())
    }

    /// The one span of this kind and name; with this parent, if one is given.
    #[track_caller]
    fn one(&self, kind: &str, name: &str, parent: Option<&Span>) -> &Span {
        let matching = |span: &&Span| {
            span.kind == kind
                && span.name == name
                && parent.is_none_or(|parent| span.parent_id == parent.id)
        };
        let found: Vec<&Span> = self.0.iter().filter(matching).collect();
        assert_eq!(found.len(), 1, "{kind} {name}, in\n{}", self.tree());
        found[0]
    }

    /// For whoever has to find out why.
    fn tree(&self) -> String {
        let line = |span: &Span| {
            let Span {
                id,
                parent_id,
                service,
                kind,
                name,
                ..
            } = span;
            format!("{parent_id:16} {id} {service} {kind} {name}\n")
        };
        self.0.iter().map(line).collect()
    }
}

fn is_order(span: &Span) -> bool {
    (span.kind, span.name.as_str()) == ("server", "POST /orders")
}

/// Waits until the order's messages were sent and all of their spans have come.
async fn order_trace(world: &World, collector: &Collector) -> Trace {
    // Three processes send their spans when each sees fit.
    const WHOLE: [(&str, &str); 10] = [
        ("server", "POST /orders"),
        ("client", "POST /auth/validate"),
        ("server", "POST /auth/validate"),
        ("producer", "publish order.events:order.created"),
        ("internal", "wait notifications.order.created"),
        ("consumer", "process notifications.order.created"),
        ("client", "GET /orders/{id}"),
        ("server", "GET /orders/{id}"),
        ("client", "GET /auth/users/{id}"),
        ("server", "GET /auth/users/{id}"),
    ];
    let what = "the spans of an order and its messages";
    let spans = collector
        .wait_for(what, SOON, |spans| {
            let is_there = |(kind, name): &(&str, &str)| {
                let mut all = spans.iter();
                all.any(|span| (span.kind, span.name.as_str()) == (*kind, *name))
            };
            WHOLE.iter().all(is_there)
        })
        .await;
    let root = spans.iter().find(|span| is_order(span)).unwrap();
    let service = match world.backend() {
        Backend::Servers => "order-service",
        Backend::Embedded => "shopflow-dev",
    };
    assert_eq!(root.service, service);
    Trace::of(&spans, root)
}

async fn one_trace_leads_from_an_order_to_its_messages(on: Backend) {
    let (world, collector) = traced(on, &[]).await;
    let jane = world.customer("jane").await;
    let placed = world.place(&jane).await;
    world.wait_notified(&jane, 2, "sent").await;
    let trace = order_trace(&world, &collector).await;

    let root = trace.one("server", "POST /orders", None);
    assert_eq!(root.parent_id, "", "nobody traced before us");
    let order = placed["id"].as_str().unwrap();
    for (name, value) in [
        ("http.request.method", "POST"),
        ("http.route", "/orders"),
        ("http.response.status_code", "201"),
        ("url.path", "/orders"),
        ("url.scheme", "http"),
        ("shopflow.order_id", order),
    ] {
        assert_eq!(root.attributes[name], value, "{name}");
    }

    // The token is checked over there, and the session looked up.
    let asks = trace.one("client", "POST /auth/validate", Some(root));
    assert_eq!(asks.attributes["http.response.status_code"], "200");
    assert_eq!(asks.attributes["server.address"], "127.0.0.1");
    trace.one("server", "POST /auth/validate", Some(asks));

    // Order, history and event.
    let stored = trace.0.iter().find(|span| {
        let summary = span.attributes.get("db.query.summary");
        summary.is_some_and(|summary| summary.contains("INSERT orders"))
    });
    let stored = stored.unwrap_or_else(|| panic!("no statement in\n{}", trace.tree()));
    assert_eq!((stored.kind, &stored.parent_id), ("client", &root.id));
    let system = match on {
        Backend::Servers => "postgresql",
        Backend::Embedded => "sqlite",
    };
    assert_eq!(stored.attributes["db.system.name"], system);
    assert!(stored.attributes["db.query.text"].contains("INSERT INTO orders"));

    // From the outbox to the queue, whose span tells how long the event lay there.
    let publish = trace.one("producer", "publish order.events:order.created", Some(root));
    for (name, value) in [
        ("messaging.operation.type", "send"),
        ("messaging.destination.name", "order.events:order.created"),
        (
            "messaging.rabbitmq.destination.routing_key",
            "order.created",
        ),
    ] {
        assert_eq!(publish.attributes[name], value, "{name}");
    }
    let bus = match on {
        Backend::Servers => "rabbitmq",
        Backend::Embedded => "shopflow_embedded",
    };
    assert_eq!(publish.attributes["messaging.system"], bus);
    let queue = "notifications.order.created";
    let wait = trace.one("internal", &format!("wait {queue}"), Some(publish));
    let process = trace.one("consumer", &format!("process {queue}"), Some(publish));
    assert_eq!(process.attributes["messaging.operation.type"], "process");
    assert_eq!(process.attributes["messaging.system"], bus);
    assert_eq!(process.attributes["shopflow.order_id"], order);
    assert!(wait.time[1] <= process.time[1] && wait.time[0] >= root.time[0]);

    // From there to orders, to auth, and to the providers.
    for call in ["GET /orders/{id}", "GET /auth/users/{id}"] {
        let asks = trace.one("client", call, Some(process));
        trace.one("server", call, Some(asks));
    }
    if on == Backend::Servers {
        let mail = trace.one("client", "SESv2/SendEmail", Some(process));
        assert_eq!(mail.attributes["rpc.system.name"], "aws-api");
        let text = "POST /2010-04-01/Accounts/{sid}/Messages.json";
        trace.one("client", text, Some(process));
    }
    let failed: Vec<_> = trace.0.iter().filter(|span| span.failed).collect();
    assert!(failed.is_empty(), "{failed:?}");
}

async fn the_last_spans_are_sent_at_a_stop(on: Backend) {
    // Nothing is sent by itself within the test.
    let (world, collector) = traced(on, &[("OTEL_BSP_SCHEDULE_DELAY", "3600000")]).await;
    let jane = world.customer("jane").await;
    world.place(&jane).await;
    assert_eq!(collector.spans(), []);
    let process = world.process(ORDERS);
    process.terminate();
    let status = process.wait_exit(SOON).await.expect("it ends");
    assert_eq!(status.code(), Some(0), "{}", process.output());
    assert!(collector.spans().iter().any(is_order));
}

async fn what_an_attempt_failed_by_is_in_its_trace() {
    let (world, collector) = traced(Backend::Servers, &[]).await;
    let jane = world.customer("jane").await;
    let ses = &world.servers().ses;
    ses.script([shopflow_testkit::Reply::Throttle]);
    world.place(&jane).await;
    world.wait_notified(&jane, 2, "sent").await;
    let process = "process notifications.order.created";
    let publish = "publish order.events:order.created";
    let spans = collector
        .wait_for("both attempts, and what orders did", SOON, |spans| {
            spans.iter().filter(|span| span.name == process).count() == 2
                && spans.iter().any(is_order)
                && spans.iter().any(|span| span.name == publish)
        })
        .await;
    let root = spans.iter().find(|span| is_order(span)).unwrap();
    let trace = Trace::of(&spans, root);
    let publish = trace.one("producer", publish, Some(root));
    let attempts = trace.0.iter().filter(|span| span.name == process);
    let attempts: Vec<&Span> = attempts.collect();
    // The second one follows from the same event, not from the first attempt.
    assert!(attempts.iter().all(|one| one.parent_id == publish.id));
    let of = |attempt: &str| {
        let mut all = attempts.iter();
        let found = all.find(|one| one.attributes["shopflow.attempt"] == attempt);
        *found.unwrap_or_else(|| panic!("no attempt {attempt}"))
    };
    assert!(of("1").failed && !of("2").failed);
    let refused = trace.one("client", "SESv2/SendEmail", Some(of("1")));
    assert_eq!(refused.attributes["error.type"], "not_now");
}

async fn spans_go_by_grpc_as_well_with_the_headers_that_are_set() {
    let more = [
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=a%20b"),
        ("OTEL_RESOURCE_ATTRIBUTES", "service.name=shop"),
    ];
    let (world, collector) = traced(Backend::Servers, &more).await;
    world.auth.get("/auth/nothing").await;
    let spans = collector
        .wait_for("a span", SOON, |spans| !spans.is_empty())
        .await;
    assert_eq!(spans[0].service, "shop");
    let headers = &collector.headers()[0];
    assert_eq!(headers["content-type"], "application/grpc");
    assert_eq!(headers["x-tenant"], "a b");
}

async fn a_collector_with_tls_is_known_by_its_authority() {
    let folder = tempfile::tempdir().unwrap();
    let authority = folder.path().join("authority.pem");
    std::fs::write(&authority, Collector::AUTHORITY).unwrap();
    for protocol in ["http/protobuf", "grpc"] {
        let collector = Collector::start_tls().await;
        let mut world = World::prepare(Backend::Servers, |setup| {
            let endpoint = collector.endpoint().to_owned();
            setup.extra.push(("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint));
            setup
                .extra
                .push(("OTEL_EXPORTER_OTLP_PROTOCOL", protocol.into()));
            setup.extra.push(("OTEL_BSP_SCHEDULE_DELAY", "100".into()));
        })
        .await;
        // To the authorities of the system it is a stranger.
        world.launch(AUTH);
        world.wait_ready(AUTH).await;
        world.auth.get("/auth/nothing").await;
        let auth = world.process(AUTH);
        auth.wait_for_line("the collector takes no spans", SOON)
            .await;
        assert_eq!(collector.spans(), [], "{protocol}");
        world.kill(AUTH).await;

        let file = authority.to_str().unwrap().to_owned();
        world
            .setup
            .extra
            .push(("OTEL_EXPORTER_OTLP_CERTIFICATE", file));
        world.launch(AUTH);
        world.wait_ready(AUTH).await;
        world.auth.get("/auth/nothing").await;
        collector
            .wait_for("a span by TLS", SOON, |spans| !spans.is_empty())
            .await;
    }
}

async fn what_the_caller_does_not_record_is_not_recorded() {
    let (world, collector) = traced(Backend::Servers, &[]).await;
    let jane = world.customer("jane").await;
    let token = format!("Bearer {}", jane.access);
    let place = async |parent: &str| {
        let headers = [
            ("traceparent", parent),
            ("authorization", &token),
            ("content-type", "application/json"),
        ];
        let body = new_order().to_string();
        let placed = world
            .orders
            .request(Method::POST, "/orders", &headers, body);
        assert_eq!(placed.await.unwrap().status, 201);
    };
    let [left, taken] = [
        "4bf92f3577b34da6a3ce929d0e0e4736",
        "5bf92f3577b34da6a3ce929d0e0e4736",
    ];
    place(&format!("00-{left}-00f067aa0ba902b7-00")).await;
    world.wait_notified(&jane, 2, "sent").await;
    place(&format!("00-{taken}-00f067aa0ba902b7-01")).await;
    world.wait_notified(&jane, 4, "sent").await;
    let process = "process notifications.order.created";
    let spans = collector
        .wait_for("the second order's spans", SOON, |spans| {
            // Each process sends its own, when it likes.
            spans.iter().any(|span| span.name == process) && spans.iter().any(is_order)
        })
        .await;
    assert!(spans.iter().all(|span| span.trace_id != left));
    let root = spans.iter().find(|span| is_order(span)).unwrap();
    assert_eq!(root.trace_id, taken);
    assert_eq!(root.parent_id, "00f067aa0ba902b7", "the caller's span");
}

async fn a_collector_that_hangs_costs_spans_and_nothing_else() {
    let (world, collector) = traced(Backend::Servers, &[]).await;
    collector.hang();
    let jane = world.customer("jane").await;
    collector
        .wait_for("it hangs with spans in hand", SOON, |spans| {
            !spans.is_empty()
        })
        .await;
    for _ in 0..3 {
        world.place(&jane).await;
    }
    world.wait_notified(&jane, 6, "sent").await;
    for service in [AUTH, ORDERS, NOTIFY] {
        let begun = Instant::now();
        let process = world.process(service);
        process.terminate();
        let status = process.wait_exit(SOON).await.expect("it ends");
        assert_eq!(status.code(), Some(0), "{}", process.output());
        // Far below the grace of 30 s.
        assert!(
            begun.elapsed() < Duration::from_secs(15),
            "{:?}",
            begun.elapsed()
        );
    }
}

async fn spans_that_find_no_room_are_counted_as_lost() {
    let more = [
        ("OTEL_BSP_MAX_QUEUE_SIZE", "2"),
        ("OTEL_BSP_SCHEDULE_DELAY", "3600000"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "3600000"),
    ];
    let (world, collector) = traced(Backend::Servers, &more).await;
    collector.hang();
    let lost = "shopflow_trace_spans_lost_total ";
    assert_eq!(metric(&world.auth, lost).await, Some(0.0));
    let ask = async |times| {
        for _ in 0..times {
            world.auth.get("/auth/nothing").await;
        }
    };
    ask(2).await;
    let what = "two spans go out, and hang";
    collector
        .wait_for(what, SOON, |spans| spans.len() == 2)
        .await;
    // Two more wait for them, and the third finds no room.
    ask(3).await;
    wait_until("a span is lost", SOON, async || {
        metric(&world.auth, lost).await == Some(1.0)
    })
    .await;
    let told = "more spans than the collector takes";
    world.process(AUTH).wait_for_line(told, SOON).await;
}
