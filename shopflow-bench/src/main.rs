//! Load on a whole ShopFlow, all on this machine, at a fixed rate of orders: PostgreSQL, RabbitMQ,
//! the three services and stand-ins for SES and Twilio; or, with `--embedded`, `shopflow dev`.
//!
//! The load is open: each request has a time at which it is due, and its latency counts from then,
//! so a slow answer cannot hide the wait of those behind it.

#![expect(clippy::print_stdout, reason = "the table is what was asked for")]

mod commands;
mod revocations;
mod storm;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Parser;
use jiff::Timestamp;
use serde_json::{Value, json};
use shopflow_testkit::{Backend, Client, Service, Stack, wait_until};
use sqlx::{Connection, PgConnection};

/// Orders at a fixed rate, and with each order one list and one token validation.
#[derive(Debug, Parser)]
struct Options {
    /// The program to measure
    #[arg(long, default_value = "target/release/shopflow")]
    program: PathBuf,
    /// Orders a minute
    #[arg(long, default_value_t = 500)]
    rate: u32,
    /// For how many seconds
    #[arg(long, default_value_t = 300)]
    seconds: u32,
    /// Measure `shopflow dev` instead of the services on servers
    #[arg(long)]
    embedded: bool,
    /// Measure logins instead of orders, as many as there can be, and validations beside them
    #[arg(long)]
    storm: bool,
    /// Measure instead what it takes to remember so many revoked sessions
    #[arg(long, value_name = "COUNT")]
    revocations: Option<usize>,
    /// Measure admin commands instead: their start, listings of a million rows, and the replay of so
    /// many dead letters
    #[arg(long, value_name = "LETTERS")]
    commands: Option<usize>,
    /// Customers who order in turn
    #[arg(long, default_value_t = 10)]
    customers: usize,
}

/// What one order's three requests took, and when the order was answered.
struct Sample {
    number: Option<String>,
    placed_at: Option<Timestamp>,
    answered: Instant,
    create: Duration,
    list: Duration,
    validate: Duration,
    errors: usize,
}

#[tokio::main]
async fn main() {
    let options = Options::parse();
    if let Some(count) = options.revocations {
        revocations::report(count);
        return;
    }
    if let Some(letters) = options.commands {
        commands::report(&options.program, letters).await;
        return;
    }
    let backend = match options.embedded {
        true => Backend::Embedded,
        false => Backend::Servers,
    };
    let stack = Stack::start(backend, &options.program, |_| ()).await;
    if options.storm {
        storm::report(&stack, options.seconds).await;
        return;
    }
    let customers = customers(&stack, options.customers).await;
    let idle = Service::ALL.map(|service| resident(&stack, service));
    let samples = load(&stack, &customers, &options).await;
    let count = samples.len();
    let patience = Duration::from_secs(60);
    wait_until("every mail is sent", patience, async || {
        stack.mails().await.len() >= count
    })
    .await;
    report(&stack, &samples, idle, &options).await;
}

async fn customers(stack: &Stack, count: usize) -> Arc<Vec<Value>> {
    let mut tokens = Vec::new();
    for index in 0..count {
        let email = format!("customer{index}@example.com");
        let account = json!({
            "email": email, "password": "S3cur3P@ssw0rd!", "first_name": "Load",
            "last_name": "Test", "phone": "+15551234567",
        });
        stack.auth.post("/auth/register", &account).await;
        tokens.push(stack.auth.post("/auth/login", &account).await.json());
    }
    Arc::new(tokens)
}

async fn load(stack: &Stack, customers: &Arc<Vec<Value>>, options: &Options) -> Vec<Sample> {
    let total = options.rate * options.seconds / 60;
    let gap = Duration::from_secs(60) / options.rate;
    let begun = Instant::now();
    let mut running = tokio::task::JoinSet::new();
    for index in 0..total {
        let due = begun + gap * index;
        tokio::time::sleep_until(due.into()).await;
        let token = &customers[index as usize % customers.len()]["access_token"];
        let token = token.as_str().unwrap_or_default();
        let (auth, orders) = (stack.auth.with_token(token), stack.orders.with_token(token));
        running.spawn(one(due, auth, orders));
    }
    running.join_all().await
}

async fn one(due: Instant, auth: Client, orders: Client) -> Sample {
    let order = json!({
        "items": [
            { "product_id": "f47ac10b-58cc-4372-a567-0e02b2c3d479", "product_name": "Wireless Headphones", "quantity": 2, "unit_price": 49.99 },
            { "product_id": "6ba7b810-9dad-11d1-80b4-00c04fd430c8", "product_name": "USB-C Cable", "quantity": 1, "unit_price": 12.99 }
        ],
        "shipping_address": { "street": "742 Evergreen Terrace", "city": "Springfield", "state": "IL", "zip_code": "62704", "country": "US" },
    });
    let placed = orders.post("/orders", &order).await;
    let (answered, create) = (Instant::now(), due.elapsed());
    let listing = Instant::now();
    let listed = orders.get("/orders").await;
    let list = listing.elapsed();
    let validating = Instant::now();
    let valid = auth.post("/auth/validate", &Value::Null).await;
    let validate = validating.elapsed();
    let expected = [
        (placed.status, 201),
        (listed.status, 200),
        (valid.status, 200),
    ];
    let order = placed.json();
    Sample {
        number: order["id"].as_str().map(|id| id[..8].to_owned()),
        placed_at: time(&order["created_at"]),
        answered,
        create,
        list,
        validate,
        errors: expected
            .iter()
            .filter(|(got, wanted)| got != wanted)
            .count(),
    }
}

async fn report(stack: &Stack, samples: &[Sample], idle: [u64; 3], options: &Options) {
    let errors: usize = samples.iter().map(|sample| sample.errors).sum();
    println!(
        "{} orders in {} s ({} a minute), {errors} errors\n",
        samples.len(),
        options.seconds,
        options.rate
    );
    println!(
        "{:<28}{:>9}{:>9}{:>9}{:>9}",
        "milliseconds", "p50", "p95", "p99", "max"
    );
    let of = |take: fn(&Sample) -> Duration| samples.iter().map(take).collect();
    row("POST /orders", of(|sample| sample.create));
    row("GET /orders", of(|sample| sample.list));
    row("POST /auth/validate", of(|sample| sample.validate));
    match stack.backend() {
        Backend::Servers => {
            row("placed to broker confirm", confirm_latencies(stack).await);
            row("answered to mail at SES", mail_latencies(stack, samples));
        }
        Backend::Embedded => row(
            "placed to mail in inbox",
            inbox_latencies(stack, samples).await,
        ),
    }
    println!("\n{:<28}{:>9}{:>9}", "resident MiB", "idle", "load");
    for (service, idle) in Service::ALL.into_iter().zip(idle) {
        println!(
            "{:<28}{idle:>9}{:>9}",
            service.name(),
            resident(stack, service)
        );
    }
}

fn row(name: &str, mut latencies: Vec<Duration>) {
    latencies.sort_unstable();
    let at = |percent: usize| {
        let index = (latencies.len() * percent / 100).min(latencies.len().saturating_sub(1));
        latencies
            .get(index)
            .map_or(0.0, |latency| latency.as_secs_f64() * 1000.0)
    };
    println!(
        "{name:<28}{:>9.1}{:>9.1}{:>9.1}{:>9.1}",
        at(50),
        at(95),
        at(99),
        at(100)
    );
}

/// From the time that the order bears, taken just before it is stored, to the broker's confirm.
async fn confirm_latencies(stack: &Stack) -> Vec<Duration> {
    let mut database = PgConnection::connect(&stack.setup.database_url)
        .await
        .expect("the database answers");
    let seconds: Vec<f64> = sqlx::query_scalar(
        "SELECT extract(epoch FROM published_at - created_at)::float8 FROM order_outbox",
    )
    .fetch_all(&mut database)
    .await
    .expect("the outbox can be read");
    seconds
        .into_iter()
        .map(|seconds| Duration::from_secs_f64(seconds.max(0.0)))
        .collect()
}

/// From the answer to the customer to the mail's arrival at SES; the order's number is in both.
fn mail_latencies(stack: &Stack, samples: &[Sample]) -> Vec<Duration> {
    let sent = stack.servers().ses.sent();
    let arrived: HashMap<&str, Instant> = sent
        .iter()
        .filter_map(|mail| Some((mail.subject.rsplit_once('#')?.1, mail.at)))
        .collect();
    samples
        .iter()
        .filter_map(|sample| {
            let at = arrived.get(sample.number.as_deref()?)?;
            Some(at.saturating_duration_since(sample.answered))
        })
        .collect()
}

/// From the time that the order bears to the time that its mail bears.
async fn inbox_latencies(stack: &Stack, samples: &[Sample]) -> Vec<Duration> {
    let path = "/inbox/messages?channel=email&limit=10000";
    let messages = stack.notify.get(path).await.json();
    let messages = messages["data"].as_array().into_iter().flatten();
    let arrived: HashMap<&str, Timestamp> = messages
        .filter_map(|mail| {
            Some((
                mail["order_id"].as_str()?.get(..8)?,
                time(&mail["created_at"])?,
            ))
        })
        .collect();
    samples
        .iter()
        .filter_map(|sample| {
            let at = arrived.get(sample.number.as_deref()?)?;
            at.duration_since(sample.placed_at?).try_into().ok()
        })
        .collect()
}

fn time(value: &Value) -> Option<Timestamp> {
    value.as_str()?.parse().ok()
}

/// Resident memory of a service in MiB.
fn resident(stack: &Stack, service: Service) -> u64 {
    resident_of(&stack.process(service).pid().to_string())
}

/// Resident memory of this process in MiB.
fn own_resident() -> u64 {
    resident_of("self")
}

fn resident_of(process: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().nth(1));
    kib.and_then(|kib| kib.parse::<u64>().ok())
        .unwrap_or_default()
        / 1024
}
