//! Load on a whole ShopFlow, all on this machine, at a fixed rate of orders: PostgreSQL, RabbitMQ,
//! the three services and stand-ins for SES and Twilio; or, with `--embedded`, `shopflow dev`.
//!
//! The load is open: each request has a time at which it is due, and its latency counts from then,
//! so a slow answer cannot hide the wait of those behind it.
//!
//! `table` measures every endpoint beside its floor instead: the least program that could do the same.

#![expect(clippy::print_stdout, reason = "the table is what was asked for")]

mod commands;
mod floor;
mod http;
mod load;
mod process;
mod revocations;
mod storm;
mod table;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::{Parser, Subcommand};
use core_kernel::{Clock, SystemClock};
use jiff::Timestamp;
use serde_json::{Value, json};
use shopflow_testkit::{Backend, Client, Service, Stack, wait_until};
use sqlx::{Connection, PgConnection};

use floor::Floor;
use table::{Scale, Table};

/// Orders at a fixed rate, and with each order one list and one token validation.
#[derive(Debug, Parser)]
struct Options {
    #[command(subcommand)]
    command: Option<Command>,
    /// The program to measure
    #[arg(long, global = true, default_value = "target/release/shopflow")]
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

#[derive(Debug, Subcommand)]
enum Command {
    Table(Table),
    Scale(Scale),
    /// A floor server, which the table starts by itself
    #[command(hide = true)]
    Floor(Floor),
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
    shopflow_testkit::keep_on_disk();
    match &options.command {
        Some(Command::Table(table)) => return table::report(table, &options.program).await,
        Some(Command::Scale(scale)) => return table::scale(scale, &options.program).await,
        Some(Command::Floor(floor)) => return floor::serve(floor).await,
        None => {}
    }
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
        storm::report(&stack, Duration::from_secs(options.seconds.into())).await;
        return;
    }
    let customers = customers(&stack, options.customers).await;
    let idle = Service::ALL.map(|service| resident(&stack, service));
    let time = Duration::from_secs(options.seconds.into());
    let samples = load(&stack, &customers, options.rate, time).await;
    let count = samples.len();
    let patience = Duration::from_secs(60);
    wait_until("every mail is sent", patience, async || {
        stack.mails().await.len() >= count
    })
    .await;
    report(&stack, &samples, idle, &options).await;
}

/// What orders at a fixed rate showed of what comes after the answer.
struct Flow {
    /// From just before the order is stored to the broker's confirm.
    confirms: Vec<Duration>,
    /// From the answer to the mail's arrival at SES.
    mails: Vec<Duration>,
}

/// Orders at this rate a minute on servers, to the last mail.
async fn at_rate(stack: &Stack, rate: u32, time: Duration, people: usize) -> Flow {
    let begun = SystemClock.now();
    let sent = stack.servers().ses.sent_count();
    let customers = customers(stack, people).await;
    let samples = load(stack, &customers, rate, time).await;
    let count = sent + samples.len();
    let all = async || stack.servers().ses.sent_count() >= count;
    wait_until("every mail is sent", Duration::from_secs(60), all).await;
    Flow {
        confirms: confirm_latencies(stack, begun).await,
        mails: mail_latencies(stack, &samples),
    }
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

/// Orders of these customers in turn, so many a minute for so long.
async fn load(
    stack: &Stack,
    customers: &Arc<Vec<Value>>,
    rate: u32,
    time: Duration,
) -> Vec<Sample> {
    let gap = Duration::from_secs(60) / rate;
    let total = u32::try_from(time.as_nanos() / gap.as_nanos()).unwrap_or(u32::MAX);
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
    heading();
    let of = |take: fn(&Sample) -> Duration| samples.iter().map(take).collect::<Vec<_>>();
    row("POST /orders", &of(|sample| sample.create));
    row("GET /orders", &of(|sample| sample.list));
    row("POST /auth/validate", &of(|sample| sample.validate));
    match stack.backend() {
        Backend::Servers => {
            row(
                "placed to broker confirm",
                &confirm_latencies(stack, Timestamp::MIN).await,
            );
            row("answered to mail at SES", &mail_latencies(stack, samples));
        }
        Backend::Embedded => row(
            "placed to mail in inbox",
            &inbox_latencies(stack, samples).await,
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

fn heading() {
    println!(
        "{:<28}{:>9}{:>9}{:>9}{:>9}",
        "milliseconds", "p50", "p95", "p99", "max"
    );
}

fn row(name: &str, latencies: &[Duration]) {
    let at = |percent| percentile(latencies, percent).as_secs_f64() * 1000.0;
    println!(
        "{name:<28}{:>9.1}{:>9.1}{:>9.1}{:>9.1}",
        at(50),
        at(95),
        at(99),
        at(100)
    );
}

/// So many of a hundred took no longer.
fn percentile(latencies: &[Duration], percent: usize) -> Duration {
    let mut sorted = latencies.to_vec();
    sorted.sort_unstable();
    let index = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
    sorted.get(index).copied().unwrap_or_default()
}

/// From the time that the order bears, taken just before it is stored, to the broker's confirm; of
/// orders placed since a time.
async fn confirm_latencies(stack: &Stack, since: Timestamp) -> Vec<Duration> {
    let mut database = PgConnection::connect(&stack.setup.database_url)
        .await
        .expect("the database answers");
    let seconds: Vec<f64> = sqlx::query_scalar(
        "SELECT extract(epoch FROM published_at - created_at)::float8 FROM order_outbox
         WHERE created_at >= to_timestamp($1)",
    )
    .bind(since.as_duration().as_secs_f64())
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
    process::resident(&stack.process(service).pid().to_string())
}
