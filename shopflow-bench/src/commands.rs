//! What admin commands take: the start of the process, listings of a million rows, and the replay of
//! dead letters.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use serde_json::json;
use shopflow_testkit::{postgres, rabbitmq};
use sqlx::{Connection, PgConnection};

/// Rows of each table.
const ROWS: i64 = 1_000_000;

/// How often a command is run; its median is told.
const RUNS: usize = 9;

/// Listings of 100 rows, each with the tables it reads. `{user}` is a customer, and `{id}` a row.
const LISTINGS: &[&str] = &[
    "orders list",
    "orders list --status pending",
    "orders list --status delivered",
    "orders list --older-than 480h",
    "orders list --user {user}",
    "orders list --user {user} --status delivered",
    "users list",
    "users list --role admin",
    "users list --role customer",
    "users list --active",
    "users list --inactive",
    "users list --email user500000@example.com",
    "notifications list",
    "notifications list --status failed",
    "notifications list --status queued",
    "notifications list --status sent",
    "notifications list --channel sms",
    "notifications list --type order_shipped",
    "notifications list --user {user}",
    "notifications list --older-than 480h",
    "outbox list",
];

/// Customers, admins, orders in all states, their notifications, and an outbox that waits: a minute
/// between one row and the next.
const FILL: &[&str] = &[
    "INSERT INTO users (id, email, password_hash, first_name, last_name, role, is_active, created_at,
                        updated_at)
     SELECT md5('user' || n)::uuid, 'user' || n || '@example.com', '-', 'Jane', 'Doe',
            CASE WHEN n % 100000 = 0 THEN 'admin' ELSE 'customer' END, n % 1000 <> 7,
            now() - n * interval '1 minute', now() - n * interval '1 minute'
     FROM generate_series(1, $1) AS n",
    "INSERT INTO orders (id, user_id, status, items, shipping_address, total_amount, confirmed_at,
                         shipped_at, delivered_at, created_at, updated_at)
     SELECT gen_random_uuid(), md5('user' || n % 1000)::uuid, status, '[]', '{}', 1 + n % 1000,
            CASE WHEN status <> 'pending' THEN at END,
            CASE WHEN status IN ('shipped', 'delivered') THEN at END,
            CASE WHEN status = 'delivered' THEN at END, at, at
     FROM (SELECT n, now() - n * interval '1 minute' AS at,
                  CASE WHEN n % 1000 = 0 THEN 'pending' WHEN n % 20 = 1 THEN 'confirmed'
                       WHEN n % 20 = 2 THEN 'shipped' ELSE 'delivered' END AS status
           FROM generate_series(1, $1) AS n) AS made",
    "INSERT INTO notifications (id, user_id, order_id, channel, type, recipient, body, status, sent_at,
                                created_at, event_id)
     SELECT gen_random_uuid(), md5('user' || n % 1000)::uuid, gen_random_uuid(),
            CASE WHEN n % 3 = 0 THEN 'sms' ELSE 'email' END,
            CASE WHEN n % 2 = 0 THEN 'order_shipped' ELSE 'order_created' END, '-', 'body',
            CASE WHEN n % 10000 = 0 THEN 'failed' WHEN n % 100000 = 1 THEN 'queued' ELSE 'sent' END,
            now() - n * interval '1 minute', now() - n * interval '1 minute', gen_random_uuid()
     FROM generate_series(1, $1) AS n",
    "INSERT INTO order_outbox (event_id, subject, event_type, routing_key, payload, traceparent,
                               created_at, published_at)
     SELECT gen_random_uuid(), gen_random_uuid(), 'OrderCreated', 'order.created', '{}', '-',
            now() - n * interval '1 second', CASE WHEN n % 2 = 0 THEN now() END
     FROM generate_series(1, $1) AS n",
    "VACUUM ANALYZE",
];

/// Measures and tells all three.
pub(crate) async fn report(program: &Path, letters: usize) {
    println!("{:<56}{:>9}", "milliseconds, the whole process", "p50");
    start(program);
    listings(program).await;
    replay(program, letters).await;
}

fn start(program: &Path) {
    for args in ["--version", "--help"] {
        let took = median(|| run(program, &[args], &[]));
        println!("shopflow {args:<47}{took:>9.1}");
    }
}

async fn listings(program: &Path) {
    let url = postgres().await.database().await;
    let env = [("DATABASE_URL", &*url)];
    for service in ["auth", "orders", "notify"] {
        run(program, &["migrate", service], &env);
    }
    let mut database = PgConnection::connect(&url).await.expect("PostgreSQL");
    for sql in FILL {
        let mut filled = sqlx::query(*sql);
        if sql.contains("$1") {
            filled = filled.bind(ROWS);
        }
        filled.execute(&mut database).await.expect("rows");
    }
    let user = "SELECT md5('user500')::uuid::text";
    let user: String = sqlx::query_scalar(user)
        .fetch_one(&mut database)
        .await
        .expect("a user");
    for listing in LISTINGS {
        let typed = format!(
            "{} --limit 100 --output json",
            listing.replace("{user}", &user)
        );
        let args: Vec<&str> = typed.split_whitespace().collect();
        let before = scans(&mut database).await;
        let took = median(|| run(program, &args, &env));
        let served = served(&before, &scans(&mut database).await);
        println!("shopflow {listing:<47}{took:>9.1}  {served}");
    }
}

/// How often each index was used, and each table read from its begin to its end.
async fn scans(database: &mut PgConnection) -> BTreeMap<String, i64> {
    // What a command did is counted when its connection has ended.
    tokio::time::sleep(Duration::from_millis(200)).await;
    let sql = "SELECT indexrelname::text, idx_scan FROM pg_stat_user_indexes
               UNION ALL SELECT 'all of ' || relname, seq_scan FROM pg_stat_user_tables";
    let rows: Vec<(String, i64)> = sqlx::query_as(sql)
        .fetch_all(database)
        .await
        .expect("statistics");
    rows.into_iter().collect()
}

fn served(before: &BTreeMap<String, i64>, after: &BTreeMap<String, i64>) -> String {
    let used = after.iter().filter(|(name, scans)| {
        let more = *scans - before.get(*name).copied().unwrap_or_default();
        more >= i64::try_from(RUNS).unwrap_or(i64::MAX) && !name.contains("migrations")
    });
    used.map(|(name, _)| &**name).collect::<Vec<_>>().join(", ")
}

async fn replay(program: &Path, letters: usize) {
    let vhost = rabbitmq().await.vhost().await;
    let env = [("RABBITMQ_URL", vhost.url())];
    let file = std::env::temp_dir().join(format!("letters-{}.ndjson", std::process::id()));
    let lines: Vec<String> = (0..letters).map(letter).collect();
    std::fs::write(&file, lines.join("\n")).expect("a temporary file");
    let path = file.display().to_string();
    run(program, &["dlq", "import", &path], &env);
    let begun = Instant::now();
    run(program, &["dlq", "replay"], &env);
    let rate = letters as f64 / begun.elapsed().as_secs_f64();
    println!("shopflow dlq replay, {letters} letters: {rate:.0}/s");
    // Whoever reads the figures has no use for it.
    let _ = std::fs::remove_file(file);
}

/// A letter as `dlq export` writes it; its event has the size of a real one.
fn letter(number: usize) -> String {
    let id = format!("019c6b2e-0000-7000-8000-{number:012}");
    let body = json!({
        "event_id": id, "event_type": "OrderCreated", "timestamp": "2026-02-17T11:00:00.000Z",
        "version": "1.0",
        "payload": {
            "order_id": "b2c3d4e5-f6a7-4901-8cde-f12345678901", "user_id": id, "status": "pending",
            "total_amount": 112.97, "currency": "USD", "items_count": 2,
            "shipping_address": { "city": "Springfield", "state": "IL", "country": "US" },
        },
    });
    json!({
        "message_id": id, "queue": "notifications.order.created", "type": "OrderCreated",
        "class": "exhausted", "reason": "email: throttled", "attempts": 4, "channels": ["email"],
        "first_failed_at": "2026-02-17T11:00:00.000Z", "failed_at": "2026-02-17T11:00:21.000Z",
        "traceparent": null, "tracestate": null, "body": body.to_string(),
    })
    .to_string()
}

/// The median of some runs, in milliseconds.
fn median(mut run: impl FnMut() -> Output) -> f64 {
    let mut all: Vec<Duration> = (0..RUNS)
        .map(|_| {
            let begun = Instant::now();
            run();
            begun.elapsed()
        })
        .collect();
    all.sort_unstable();
    all[RUNS / 2].as_secs_f64() * 1000.0
}

/// Runs a command that has to go well.
fn run(program: &Path, args: &[&str], env: &[(&str, &str)]) -> Output {
    let output = Command::new(program)
        .args(args)
        .envs(env.iter().copied())
        .output();
    let output = output.expect("the program runs");
    assert!(output.status.success(), "{args:?}: {output:?}");
    output
}
