//! `shopflow users sessions end --session`: one login of several.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use shopflow_testkit::{Client, wait_until};

use super::{Told, told};
use crate::world::{AUTH, Backend, Person, SOON, World};

back_ends! {
    both:
        one_session_ends_with_its_tokens_and_the_other_goes_on,
        an_end_of_one_session_is_audited_once,
        a_session_of_somebody_else_is_exit_code_three;
    servers:
        every_instance_knows_of_an_end_at_the_terminal_within_a_second;
}

/// The ids of a user's sessions, newest first.
async fn sessions(world: &World, who: &Person) -> Vec<String> {
    let list = ["users", "sessions", "list", &who.email, "--output", "json"];
    let listed = told(world, &list).await.json();
    let all = listed["data"].as_array().unwrap().clone();
    let id = |one: &Value| one["id"].as_str().unwrap().to_owned();
    all.iter().map(id).collect()
}

async fn end(world: &World, who: &str, session: &str, more: &[&str]) -> Told {
    let args = ["users", "sessions", "end", who, "--session", session];
    told(world, &[&args, more].concat()).await
}

async fn validated(auth: &Client, who: &Person) -> u16 {
    let client = auth.with_token(&who.access);
    client.post("/auth/validate", &Value::Null).await.status
}

async fn one_session_ends_with_its_tokens_and_the_other_goes_on(on: Backend) {
    let world = World::start(on).await;
    let first = world.customer("jane").await;
    let second = world.login(&first.email).await;
    let id = sessions(&world, &first).await[0].clone();

    let asked = end(&world, &first.email, &id, &[]).await;
    let why = "error: --yes: is required where there is no terminal to ask at\n";
    assert_eq!((asked.code, &*asked.output), (Some(2), why));
    assert_eq!(validated(&world.auth, &second).await, 200);

    let ended = end(&world, &first.email, &id, &["--yes"]).await;
    let said = format!("session {id} of jane@example.com has ended\n");
    assert_eq!((ended.code, ended.output), (Some(0), said));
    wait_until("its access token is refused", SOON, async || {
        validated(&world.auth, &second).await == 401
    })
    .await;
    assert_eq!(validated(&world.auth, &first).await, 200);
    for (who, status) in [(&second, 401), (&first, 200)] {
        let refresh = json!({ "refresh_token": who.refresh });
        let refreshed = world.auth.post("/auth/refresh", &refresh).await;
        assert_eq!(refreshed.status, status);
    }
}

async fn an_end_of_one_session_is_audited_once(on: Backend) {
    let world = World::start(on).await;
    let jane = world.customer("jane").await;
    let id = sessions(&world, &jane).await[0].clone();
    for said in ["has ended", "had ended before"] {
        let ended = end(&world, &jane.id, &id, &["--yes"]).await;
        let said = format!("session {id} of jane@example.com {said}\n");
        assert_eq!((ended.code, ended.output), (Some(0), said));
    }
    let audit = ["users", "audit", &jane.email, "--output", "json"];
    let audit = told(&world, &audit).await.json();
    let all = audit["data"].as_array().unwrap();
    let ends = all
        .iter()
        .filter(|entry| entry["action"] == "session_ended");
    let ends: Vec<_> = ends.collect();
    assert_eq!(ends.len(), 1, "{audit}");
    assert_eq!(ends[0]["from"], id);
    assert_eq!(
        ends[0]["actor"],
        json!({ "id": "cli:ada", "role": "operator" })
    );
}

async fn a_session_of_somebody_else_is_exit_code_three(on: Backend) {
    let world = World::start(on).await;
    let (jane, joe) = (world.customer("jane").await, world.customer("joe").await);
    let joes = sessions(&world, &joe).await[0].clone();
    for id in [&*joes, "019c6a2e-5b1f-7c3d-8e4f-5a6b7c8d9e0f", "17"] {
        let told = end(&world, &jane.email, id, &["--yes"]).await;
        let said = format!("error: jane@example.com has no session {id}\n");
        assert_eq!((told.code, told.output), (Some(3), said));
    }
    assert_eq!(validated(&world.auth, &joe).await, 200);
}

async fn every_instance_knows_of_an_end_at_the_terminal_within_a_second() {
    let world = World::start(Backend::Servers).await;
    let jane = world.customer("jane").await;
    let (_process, second) = world.second(AUTH).await;
    // A second, and as much again for a machine that does other things at the same time.
    let known = Duration::from_secs(2);
    let mut took = Duration::MAX;
    // The machine may stall once, and again; a service that is late is late every time.
    for _ in 0..5 {
        let jane = world.login(&jane.email).await;
        assert_eq!(validated(&second, &jane).await, 200);
        let id = sessions(&world, &jane).await[0].clone();
        let ended = end(&world, &jane.email, &id, &["--yes"]).await;
        let begun = Instant::now();
        assert_eq!(ended.code, Some(0), "{}", ended.output);
        for auth in [&second, &world.auth] {
            wait_until("it is known", SOON, async || {
                validated(auth, &jane).await == 401
            })
            .await;
        }
        took = took.min(begun.elapsed());
        if took < known {
            break;
        }
    }
    assert!(took < known, "it took {took:?}");
}
