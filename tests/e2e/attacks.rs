//! What is tried against tokens and logins, over the wire. The tokens themselves are forged in
//! `core-auth/src/token/tests/attacks.rs`.

use futures_util::future::join_all;
use serde_json::json;

use crate::world::{AUTH, Backend, World, assert_problem};

back_ends! {
    both:
        a_token_of_any_length_is_refused_and_the_service_goes_on,
        a_storm_of_logins_takes_no_more_memory_than_the_hashes_under_way;
}

async fn a_token_of_any_length_is_refused_and_the_service_goes_on(on: Backend) {
    let world = World::start(on).await;
    let jane = world.customer("jane").await;
    for length in [1, 4096, 8192, 100_000] {
        let long = world.auth.with_token(&"x".repeat(length));
        let bearer = long.post("/auth/validate", &json!(null)).await;
        // Heads beyond all measure are not even read.
        let refused = if length < 100_000 { 401 } else { 431 };
        assert_eq!(bearer.status, refused, "{length}");
        let body = json!({ "refresh_token": format!("{}{}", jane.refresh, "x".repeat(length)) });
        let refresh = world.auth.post("/auth/refresh", &body).await;
        assert_problem(&refresh, 401, "invalid_token");
    }
    let good = world.auth.with_token(&jane.access);
    assert_eq!(good.post("/auth/validate", &json!(null)).await.status, 200);
}

/// The most memory that a process ever had, in MiB.
fn peak(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let kib = line.unwrap().split_whitespace().nth(1).unwrap();
    kib.parse::<u64>().unwrap() / 1024
}

async fn a_storm_of_logins_takes_no_more_memory_than_the_hashes_under_way(on: Backend) {
    let world = World::start(on).await;
    let pid = world.process(AUTH).pid();
    let before = peak(pid);
    let body = json!({ "email": "nobody@example.com", "password": "Wr0ng!Passw0rd" });
    let answers = join_all((0..40).map(|_| world.auth.post("/auth/login", &body))).await;
    for answer in answers {
        // Who waits too long for a turn is told so.
        assert!(matches!(answer.status, 401 | 503), "{}", answer.text());
    }
    // Each hash takes 16 MiB: all at once would be 640.
    let (cores, took) = (std::thread::available_parallelism(), peak(pid) - before);
    let most = 16 * (cores.unwrap().get() as u64).min(16) + 64;
    assert!(took < most, "{took} MiB on top of {before}");
}
