//! What is told of every attempt to send, and a provider that fails for everybody.

use serde_json::Value;
use shopflow_testkit::{Channel, Fault, wait_until};

use crate::world::{Backend, NOTIFY, SOON, World};

back_ends! {
    both:
        every_attempt_is_on_record_and_told_to_admins,
        a_provider_that_fails_for_everybody_dead_letters_nothing;
    servers:
        where_that_is_the_policy_a_lost_answer_is_parked_and_sent_on_replay;
}

async fn every_attempt_is_on_record_and_told_to_admins(on: Backend) {
    let world = World::start(on).await;
    let jane = world.customer_with("jane", None).await;
    let admin = world.admin().await;
    let once = Some(1);
    world
        .fail(Channel::Email, Fault::Throttle, once, None)
        .await;
    world.place(&jane).await;
    world.wait_notified(&jane, 1, "sent").await;

    let id = world.notifications(&jane).await[0]["id"].clone();
    let path = format!("/notifications/{}/attempts", id.as_str().unwrap());
    let told = world.notify.with_token(&admin.access).get(&path).await;
    assert_eq!(told.status, 200, "{}", told.text());
    let told = told.json();
    let attempts = told["data"].as_array().unwrap();
    let outcomes: Vec<_> = attempts.iter().map(|one| &one["outcome"]).collect();
    assert_eq!(outcomes, ["not_now", "sent"], "{told}");
    assert!(attempts[0]["reason"].is_string() && attempts[0]["provider_ref"].is_null());
    assert!(attempts[1]["provider_ref"].is_string() && attempts[1]["reason"].is_null());
    assert!(attempts[0]["began_at"].as_str() <= attempts[0]["ended_at"].as_str());

    let unknown = "/notifications/01890000-0000-7000-8000-000000000000/attempts";
    for (path, token, status) in [
        (path.as_str(), &jane.access, 403),
        (unknown, &jane.access, 403),
        (unknown, &admin.access, 404),
        ("/notifications/x/attempts", &admin.access, 404),
    ] {
        let answer = world.notify.with_token(token).get(path).await;
        assert_eq!(answer.status, status, "{path}: {}", answer.text());
    }
}

async fn breaker(world: &World) -> bool {
    let metrics = world.client(NOTIFY).get("/metrics").await.text();
    metrics.contains("shopflow_breaker_open{of=\"email\"} 1")
}

async fn a_provider_that_fails_for_everybody_dead_letters_nothing(on: Backend) {
    let world = World::start(on).await;
    let mut people = Vec::new();
    for name in ["ann", "bob", "cat", "dan", "eve", "fay"] {
        people.push(world.customer_with(name, None).await);
    }
    world
        .fail(Channel::Email, Fault::ServerError, None, None)
        .await;
    for person in &people {
        world.place(person).await;
    }
    wait_until("sending is paused", SOON, || breaker(&world)).await;
    // Probes go on, for longer than it would take to use up all attempts were they counted.
    let calls = "SELECT count(*) FROM notification_attempts WHERE outcome = 'unknown'";
    let before = world.count(calls).await;
    wait_until("twelve probes were made", SOON * 2, || async {
        world.count(calls).await >= before + 12
    })
    .await;
    assert_eq!(world.dead_letters().await, 0);
    assert!(breaker(&world).await);

    world.heal().await;
    for person in &people {
        world.wait_notified(person, 1, "sent").await;
    }
    assert_eq!(world.dead_letters().await, 0);
    assert_eq!(world.mails().await.len(), 6);
    wait_until("sending goes on", SOON, || async { !breaker(&world).await }).await;
}

async fn where_that_is_the_policy_a_lost_answer_is_parked_and_sent_on_replay() {
    let world = World::start_with(Backend::Servers, |setup| {
        setup.extra.push(("AMBIGUOUS_EMAIL", "park".into()));
    })
    .await;
    let jane = world.customer_with("jane", None).await;
    world.fail(Channel::Email, Fault::Lost, Some(1), None).await;
    world.place(&jane).await;
    let letter = world.dead_letter().await;
    assert_eq!(letter.error_class, "ambiguous");
    assert_eq!(letter.attempts, 1);
    world.wait_notified(&jane, 1, "failed").await;
    assert_eq!(world.mails().await.len(), 1);

    // Who replays it wants it sent.
    world
        .redeliver(&letter.body, letter.message_id.as_deref())
        .await;
    world.wait_notified(&jane, 1, "sent").await;
    assert_eq!(world.mails().await.len(), 2);
    let told = world.notifications(&jane).await;
    assert_eq!(told[0]["status"], Value::from("sent"));
}
