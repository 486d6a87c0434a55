//! A storm of logins, and tokens that are validated beside it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use core_auth::{Password, PasswordCrypto, ScryptParams};
use serde_json::{Value, json};
use shopflow_testkit::{Client, Stack};

/// Logins under way at once: more than there are turns to hash.
const CLIENTS: usize = 8;

/// Between two validations.
const GAP: Duration = Duration::from_millis(10);

/// What a storm showed.
pub(crate) struct Storm {
    /// Hashes a second on all cores, with nothing else to do.
    pub(crate) raw: f64,
    /// Logins a second.
    pub(crate) logins: f64,
    /// What validations took meanwhile.
    pub(crate) validations: Vec<Duration>,
}

/// So many logins as there can be for this long, and a validation every 10 ms.
pub(crate) async fn measure(stack: &Stack, time: Duration) -> Storm {
    let raw = tokio::task::spawn_blocking(move || raw(time)).await;
    let raw = raw.expect("no hash panics");
    let account = json!({
        "email": "storm@example.com", "password": "S3cur3P@ssw0rd!", "first_name": "Load",
        "last_name": "Test",
    });
    stack.auth.post("/auth/register", &account).await;
    let tokens = stack.auth.post("/auth/login", &account).await.json();
    let token = tokens["access_token"].as_str().unwrap_or_default();
    let validator = stack.auth.with_token(token);

    let stop = Arc::new(AtomicBool::new(false));
    let done = Arc::new(AtomicUsize::new(0));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let (auth, account) = (stack.auth.clone(), account.clone());
            tokio::spawn(logins(auth, account, stop.clone(), done.clone()))
        })
        .collect();
    let (begun, mut due) = (Instant::now(), Instant::now());
    let mut validating = tokio::task::JoinSet::new();
    while begun.elapsed() < time {
        tokio::time::sleep_until(due.into()).await;
        validating.spawn(validate(due, validator.clone()));
        due += GAP;
    }
    let logins = done.load(Ordering::Relaxed) as f64 / begun.elapsed().as_secs_f64();
    stop.store(true, Ordering::Relaxed);
    for client in clients {
        client.await.expect("no client panics");
    }
    Storm {
        raw,
        logins,
        validations: validating.join_all().await,
    }
}

/// Measures and prints.
pub(crate) async fn report(stack: &Stack, time: Duration) {
    let Storm {
        raw,
        logins,
        validations,
    } = measure(stack, time).await;
    let share = 100.0 * logins / raw;
    println!("hashes alone, on all cores      {raw:.2}/s");
    println!("logins                          {logins:.2}/s ({share:.0} %)\n");
    super::heading();
    super::row("POST /auth/validate", &validations);
}

/// How many hashes a second this machine computes on all its cores.
fn raw(time: Duration) -> f64 {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let begun = Instant::now();
    let count = || {
        let crypto = PasswordCrypto::new(ScryptParams::default());
        let password = Password::attempt("S3cur3P@ssw0rd!");
        let mut count = 0_u32;
        while begun.elapsed() < time {
            crypto.verify(&password, None).expect("a hash");
            count += 1;
        }
        count
    };
    let total = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..cores).map(|_| scope.spawn(count)).collect();
        let counts = threads
            .into_iter()
            .map(|thread| thread.join().expect("no hash panics"));
        counts.sum::<u32>()
    });
    f64::from(total) / begun.elapsed().as_secs_f64()
}

async fn logins(auth: Client, account: Value, stop: Arc<AtomicBool>, done: Arc<AtomicUsize>) {
    while !stop.load(Ordering::Relaxed) {
        if auth.post("/auth/login", &account).await.status == 200 {
            done.fetch_add(1, Ordering::Relaxed);
        }
    }
}

async fn validate(due: Instant, auth: Client) -> Duration {
    let answer = auth.post("/auth/validate", &Value::Null).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    due.elapsed()
}
