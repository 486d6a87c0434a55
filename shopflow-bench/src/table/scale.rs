//! What things cost as the work grows: more rows, longer orders, more connections, more replicas.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;
use shopflow_testkit::{Process, Service};

use super::cases::closed;
use super::figure::{self, Figure, Goal};
use super::flow;
use super::rig::{ORDER, Rig};
use crate::http::request;
use crate::load::{self, Target, Wire};
use crate::process;

/// Requests a second at which the cost of rows is measured: few, so that none waits for another.
const RATE: u32 = 50;

/// Connections of a closed load that is about something else.
const CONNECTIONS: usize = 64;

/// Orders on a page.
const PAGE: i32 = 20;

/// Measures how costs grow, on durable servers of its own.
#[derive(Debug, clap::Args)]
pub(crate) struct Scale {
    /// Orders of one customer, and accounts, at which rows are measured; growing
    #[arg(long, value_delimiter = ',', default_value = "10000,1000000")]
    rows: Vec<i32>,
    /// For how many seconds each load runs
    #[arg(long, default_value_t = 5)]
    seconds: u32,
    /// Measure this alone
    #[arg(long)]
    only: Option<Part>,
}

/// What grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    Items,
    Connections,
    Replicas,
    Rows,
}

/// Measures and prints.
pub(crate) async fn report(scale: &Scale, program: &Path) {
    let mut rig = Rig::start(program).await;
    let time = Duration::from_secs(scale.seconds.into());
    // What it would make of the orders is another figure.
    rig.stack.kill(Service::Notify).await;
    let wanted = |part| scale.only.is_none_or(|only| only == part);
    let mut figures = Vec::new();
    if wanted(Part::Items) {
        figures.extend(items(&mut rig, time).await);
    }
    if wanted(Part::Connections) {
        figures.extend(connections(&mut rig, time).await);
    }
    if wanted(Part::Replicas) {
        figures.extend(replicas(&mut rig, time).await);
    }
    if wanted(Part::Rows) {
        for count in &scale.rows {
            figures.extend(rows(&mut rig, *count, time).await);
        }
    }
    println!("{}", figure::render(&figures));
}

/// Requests for one thing by one caller.
fn same(port: u16, status: u16, method: &str, path: &str, token: &str, body: &str) -> Target {
    let bytes = request(method, path, token, body);
    Target::new(port, status, move |_| bytes.clone())
}

fn answer(target: &Target) -> Value {
    let text = target.once().expect("the service answers");
    serde_json::from_str(&text).expect("the answer is JSON")
}

/// The median and the 99th percentile at a moderate rate.
fn latency(name: &str, target: &Target, time: Duration, goal: Option<Goal>) -> [Figure; 2] {
    let taken = load::open(target, RATE, time).expect("the service answers");
    let ms = |percent| taken.value_at_percentile(percent) as f64 / 1000.0;
    let median = Figure::new(format!("{name}, p50"), ms(50.0), "ms");
    let median = match goal {
        Some(goal) => median.wanted(goal),
        None => median,
    };
    [median, Figure::new(format!("{name}, p99"), ms(99.0), "ms")]
}

/// Orders that a walk passes at a time: as many as a page may have.
const STRIDE: i32 = 100;

/// Somebody who goes through a list from its begin, by cursors. To pass over millions in one request takes
/// longer than a request may.
struct Walk {
    port: u16,
    token: String,
    passed: i32,
    cursor: Option<String>,
}

impl Walk {
    fn new(port: u16, token: &str) -> Self {
        let token = token.to_owned();
        Self {
            port,
            token,
            passed: 0,
            cursor: None,
        }
    }

    /// The cursor behind so many orders, of which there are more.
    fn to(&mut self, orders: i32) -> String {
        let mut wire = Wire::open(([127, 0, 0, 1], self.port)).expect("the service listens");
        while self.passed < orders {
            let from = self.cursor.as_ref();
            let from = from.map_or(String::new(), |cursor| format!("&cursor={cursor}"));
            let path = format!("/orders?limit={STRIDE}{from}");
            let page = same(self.port, 200, "GET", &path, &self.token, "");
            let page = wire.body(&page).expect("the service answers");
            let page: Value = serde_json::from_str(&page).expect("the answer is JSON");
            let next = page["pagination"]["next_cursor"].as_str();
            self.cursor = Some(next.expect("a cursor").to_owned());
            self.passed += STRIDE;
        }
        self.cursor.clone().unwrap_or_default()
    }
}

/// Lists, single rows and new ones, with so many orders of one customer and so many accounts.
async fn rows(rig: &mut Rig, count: i32, time: Duration) -> Vec<Figure> {
    rig.grow(count).await;
    let (auth, orders) = (rig.port(Service::Auth), rig.port(Service::Orders));
    let (token, admin) = (rig.customer.token.clone(), rig.admin.token.clone());
    let get = |port, path: &str, token: &str| same(port, 200, "GET", path, token, "");
    let list = |query: &str| get(orders, &format!("/orders?limit={PAGE}{query}"), &token);
    let mut walk = Walk::new(orders, &token);
    let one = rig.orders(rig.customer.id).await[0];
    let user = rig.customer.id;
    let first = list("&page=1");
    let most = |ms| Some(Goal::AtMost(ms));
    let begun = Instant::now();
    answer(&first);
    let counted = format!("{count} rows: orders, page 1, counted for the first time");
    let counted = Figure::new(counted, begun.elapsed().as_secs_f64() * 1000.0, "ms");
    let mut figures = vec![counted];
    let mut tell = |what: &str, target: &Target, goal| {
        let name = format!("{count} rows: {what}");
        figures.extend(latency(&name, target, time, goal));
    };
    tell("orders, page 1 with the total", &first, most(3.0));
    tell("orders, page 500 with the total", &list("&page=500"), None);
    for (place, passed) in [
        ("begin", STRIDE),
        ("middle", count / 2),
        ("end", count - 2 * STRIDE),
    ] {
        let behind = list(&format!("&cursor={}", walk.to(passed)));
        let name = format!("orders, behind a cursor, {place}");
        tell(&name, &behind, most(2.0));
    }
    let path = format!("/orders/{one}");
    tell("one order", &get(orders, &path, &token), None);
    let place = same(orders, 201, "POST", "/orders", &token, ORDER);
    tell("a new order", &place, None);
    let path = format!("/auth/users/{user}");
    tell("one account", &get(auth, &path, &token), None);
    let path = "/auth/users?email=user7%40example.com";
    tell("accounts by address", &get(auth, path, &admin), None);
    rig.published().await;
    figures
}

/// Orders of 1 to 100 lines: placed and read.
async fn items(rig: &mut Rig, time: Duration) -> Vec<Figure> {
    let mut figures = Vec::new();
    for count in [1, 10, 100] {
        let mut order: Value = serde_json::from_str(ORDER).expect("an order");
        let line = order["items"][0].clone();
        order["items"] = Value::Array(vec![line; count]);
        let body = order.to_string();
        let port = rig.port(Service::Orders);
        let token = rig.customer.token.clone();
        let place = same(port, 201, "POST", "/orders", &token, &body);
        let id = answer(&place)["id"].as_str().expect("an id").to_owned();
        let read = same(port, 200, "GET", &format!("/orders/{id}"), &token, "");
        for (what, target) in [("POST /orders", place), ("GET /orders/{id}", read)] {
            let pid = rig.pid(Service::Orders);
            let did = closed(rig, &target, CONNECTIONS, pid, time).await;
            let name = format!("{what}, {count} lines");
            figures.push(Figure::new(&name, did.rate, "/s"));
            figures.push(Figure::new(format!("{name}, processor"), did.cpu, "us"));
            rig.published().await;
        }
    }
    figures
}

/// From a handful of connections to 2,000.
async fn connections(rig: &mut Rig, time: Duration) -> Vec<Figure> {
    let token = rig.customer.token.clone();
    let one = rig.orders(rig.customer.id).await[0];
    let validate = same(
        rig.port(Service::Auth),
        200,
        "POST",
        "/auth/validate",
        &token,
        "",
    );
    let path = format!("/orders/{one}");
    let get = same(rig.port(Service::Orders), 200, "GET", &path, &token, "");
    let mut figures = Vec::new();
    for count in [10, 100, 500, 2000] {
        for (what, service, target) in [
            ("POST /auth/validate", Service::Auth, &validate),
            ("GET /orders/{id}", Service::Orders, &get),
        ] {
            let pid = rig.pid(service);
            let did = closed(rig, target, count, pid, time).await;
            let name = format!("{what}, {count} connections");
            figures.push(Figure::new(&name, did.rate, "/s"));
            let memory = process::resident(&pid.to_string()) as f64;
            let name = format!("{name}, resident after it");
            figures.push(Figure::new(name, memory, "MiB"));
        }
    }
    figures
}

/// One and two of each service, on the same cores.
async fn replicas(rig: &mut Rig, time: Duration) -> Vec<Figure> {
    let token = rig.customer.token.clone();
    let mut figures = Vec::new();
    for (what, service, target) in [
        (
            "POST /auth/validate",
            Service::Auth,
            same(
                rig.port(Service::Auth),
                200,
                "POST",
                "/auth/validate",
                &token,
                "",
            ),
        ),
        (
            "POST /orders",
            Service::Orders,
            same(
                rig.port(Service::Orders),
                201,
                "POST",
                "/orders",
                &token,
                ORDER,
            ),
        ),
    ] {
        let pid = rig.pid(service);
        let alone = closed(rig, &target, CONNECTIONS, pid, time).await.rate;
        rig.published().await;
        let (second, port) = rig.second(service).await;
        let beside = load::Closed::begin(&target.at(port), CONNECTIONS / 2);
        let begun = std::time::Instant::now();
        let ours = closed(rig, &target, CONNECTIONS / 2, pid, time).await.rate;
        let theirs = beside.done() as f64 / begun.elapsed().as_secs_f64();
        beside.end().expect("every answer is right");
        figures.push(Figure::new(format!("{what}, one replica"), alone, "/s"));
        let both = Figure::new(format!("{what}, two replicas"), ours + theirs, "/s");
        figures.push(both.over(alone));
        rig.published().await;
        Process::terminate(&second);
    }
    rig.forget_events().await;
    let one = flow::drained(rig, 1).await;
    let two = flow::drained(rig, 2).await;
    figures.push(Figure::new("drain, one replica of notify", one, "orders/s"));
    figures.push(Figure::new("drain, two replicas", two, "orders/s").over(one));
    figures
}
