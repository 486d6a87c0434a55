//! Users who were deactivated 90 days ago, and what was said to them.

use serde_json::{Value, json};
use shopflow_testkit::{Database, Service, postgres};

use super::{days_ago, retention};
use crate::world::{AUTH, Backend, ORDERS, Person, World, assert_problem, run};

back_ends! {
    both:
        a_user_deactivated_for_90_days_is_purged_with_sessions_and_addresses,
        a_deactivation_by_hand_counts_from_when_it_was_made,
        who_was_purged_is_told_to_services_and_admins;
    servers:
        the_notifications_alone_ask_the_auth_service_who_was_purged,
        a_wrong_auth_service_masks_nobody;
}

async fn set_active(world: &World, admin: &Person, who: &Person, is_active: bool) {
    let path = format!("/auth/users/{}", who.id);
    let body = json!({ "is_active": is_active });
    let client = world.auth.with_token(&admin.access);
    let answer = client.patch(&path, &body).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
}

async fn deactivated(world: &World, who: &Person, days: u32) {
    let (ago, email) = (days_ago(world.backend(), days), &who.email);
    let set = format!("UPDATE users SET deactivated_at = {ago} WHERE email = '{email}'");
    world.execute(&set).await;
}

async fn is_there(world: &World, who: &Person) -> bool {
    let email = &who.email;
    let sql = format!("SELECT count(*) FROM users WHERE email = '{email}'");
    world.count(&sql).await == 1
}

async fn a_user_deactivated_for_90_days_is_purged_with_sessions_and_addresses(on: Backend) {
    let world = World::start(on).await;
    let admin = world.admin().await;
    let mut people = Vec::new();
    for name in ["jane", "joe", "amy"] {
        let one = world.customer(name).await;
        world.place(&one).await;
        world.wait_notified(&one, 2, "sent").await;
        set_active(&world, &admin, &one, false).await;
        people.push(one);
    }
    let [jane, joe, amy] = &people[..] else {
        panic!("three people");
    };
    deactivated(&world, jane, 91).await;
    deactivated(&world, joe, 91).await;
    deactivated(&world, amy, 89).await;
    set_active(&world, &admin, joe, true).await;

    let folder = tempfile::tempdir().unwrap();
    let told = retention(&world, folder.path(), &[]).await;
    assert_eq!(told.code, Some(0), "{}", told.output);
    assert_eq!(told.of("auth")["purged"], 1, "{}", told.output);
    assert_eq!(told.of("notify")["masked"], 2, "{}", told.output);
    assert!(!is_there(&world, jane).await);
    assert!(is_there(&world, joe).await && is_there(&world, amy).await);
    let orphans = "SELECT count(*) FROM sessions WHERE user_id NOT IN (SELECT id FROM users)";
    assert_eq!(world.count(orphans).await, 0);

    let client = world.auth.with_token(&admin.access);
    let audit = client.get(&format!("/auth/users/{}/audit", jane.id)).await;
    let audit = audit.json();
    assert_eq!(audit["data"][0]["action"], "purged", "{audit}");
    assert_eq!(audit["data"][1]["action"], "deactivated", "{audit}");

    let notify = world.notify.with_token(&admin.access);
    for (who, masked) in [(jane, true), (joe, false), (amy, false)] {
        let path = format!("/notifications?user_id={}", who.id);
        let listed = notify.get(&path).await.json();
        let listed = listed["data"].as_array().unwrap().clone();
        assert_eq!(listed.len(), 2);
        for one in listed {
            assert_eq!(one["recipient"] == "purged", masked, "{one}");
        }
    }
    let words = "SELECT count(*) FROM notifications WHERE recipient = 'purged'
        AND (body <> '' OR body_text IS NOT NULL OR error_message IS NOT NULL)";
    assert_eq!(world.count(words).await, 0);

    let list = ["retention", "list", "--output", "json"];
    let (code, output) = world.administer(&list, &[]).await;
    assert_eq!(code, Some(0), "{output}");
    let runs: Value = serde_json::from_str(&output).unwrap();
    let runs = runs["data"].as_array().unwrap();
    assert_eq!(runs.len(), 3, "{output}");
    let auth = runs.iter().find(|run| run["service"] == "auth").unwrap();
    assert_eq!(
        (&auth["outcome"], &auth["purged"]),
        (&json!("done"), &json!(1))
    );
    assert!(
        auth["actor"].as_str().unwrap().starts_with("cli:"),
        "{auth}"
    );
    let (code, table) = world.administer(&["retention", "list"], &[]).await;
    assert!(code == Some(0) && table.starts_with("STARTED"), "{table}");
}

async fn a_deactivation_by_hand_counts_from_when_it_was_made(on: Backend) {
    let world = World::start(on).await;
    let jane = world.customer("jane").await;
    let (ago, email) = (days_ago(on, 400), &jane.email);
    let born =
        format!("UPDATE users SET created_at = {ago}, updated_at = {ago} WHERE email = '{email}'");
    world.execute(&born).await;
    let off = match on {
        Backend::Servers => "false",
        Backend::Embedded => "0",
    };
    let hand = format!("UPDATE users SET is_active = {off} WHERE email = '{email}'");
    world.execute(&hand).await;
    let folder = tempfile::tempdir().unwrap();
    let told = retention(&world, folder.path(), &[]).await;
    assert_eq!(told.of("auth")["purged"], 0, "{}", told.output);
    assert!(is_there(&world, &jane).await);

    let ago = days_ago(on, 91);
    let aged = format!("UPDATE users SET updated_at = {ago} WHERE email = '{email}'");
    world.execute(&aged).await;
    let told = retention(&world, folder.path(), &[]).await;
    assert_eq!(told.of("auth")["purged"], 1, "{}", told.output);
    assert!(!is_there(&world, &jane).await);
}

/// Makes a user and purges them.
async fn purged(world: &World, name: &str) -> Person {
    let who = world.customer(name).await;
    let client = world.auth.with_token(&who.access);
    let gone = client.delete(&format!("/auth/users/{}", who.id)).await;
    assert_eq!(gone.status, 204, "{}", gone.text());
    deactivated(world, &who, 91).await;
    let folder = tempfile::tempdir().unwrap();
    let told = retention(world, folder.path(), &[]).await;
    assert_eq!(told.of("auth")["purged"], 1, "{}", told.output);
    who
}

async fn who_was_purged_is_told_to_services_and_admins(on: Backend) {
    let world = World::start(on).await;
    let path = "/auth/purged-users";
    let mut gone = Vec::new();
    for name in ["jane", "joe", "amy"] {
        gone.push(purged(&world, name).await.id);
    }
    let kay = world.customer("kay").await;
    let admin = world.admin().await;
    assert_problem(&world.auth.get(path).await, 401, "invalid_token");
    let customer = world.auth.with_token(&kay.access);
    assert_problem(&customer.get(path).await, 403, "forbidden");
    let service = world.service_token("notification-service");
    for token in [&service, &admin.access] {
        let client = world.auth.with_token(token);
        let first = client.get(&format!("{path}?limit=2")).await.json();
        let after = first["next_after"].as_i64().unwrap();
        let second = client.get(&format!("{path}?limit=2&after={after}")).await;
        let second = second.json();
        assert_eq!(second["next_after"], Value::Null, "{second}");
        let pages = [&first, &second].map(|page| page["data"].as_array().unwrap().clone());
        let told: Vec<_> = pages.iter().flatten().map(|one| &one["user_id"]).collect();
        assert_eq!(json!(told), json!(gone));
        let bad = client.get(&format!("{path}?limit=0&after=x")).await;
        assert_problem(&bad, 400, "validation_failed");
    }
}

/// A database with nothing but notifications: one of this user, one of another.
async fn notifications_of(who: &Person) -> (String, Database) {
    let url = postgres().await.database().await;
    let migrated = run(&["migrate", "notify"], &[("DATABASE_URL", &url)]).await;
    assert_eq!(migrated.0, Some(0), "{}", migrated.1);
    let mut database = Database::open(&url).await;
    for user in [format!("'{}'", who.id), "gen_random_uuid()".to_owned()] {
        let sql = format!(
            "INSERT INTO notifications
                 (user_id, channel, type, recipient, body, status, event_id)
             VALUES ({user}, 'sms', 'order_created', '+15551234567', 'Your order', 'sent',
                     gen_random_uuid())"
        );
        database.execute(&sql).await;
    }
    (url, database)
}

const MASKED: &str = "SELECT count(*) FROM notifications WHERE recipient = 'purged'";

/// Runs retention on that database, with this service to ask who was purged, or none.
async fn ask(world: &World, url: &str, whom: Option<Service>) -> (Option<i32>, String) {
    let token = world.service_token("notification-service");
    let base = whom.map(|whom| format!("http://127.0.0.1:{}", world.setup.ports[whom as usize]));
    let mut env = vec![("DATABASE_URL", url)];
    if let Some(base) = &base {
        env.extend([
            ("AUTH_SERVICE_URL", &**base),
            ("AUTH_SERVICE_TOKEN", &token),
        ]);
    }
    run(&["retention", "run"], &env).await
}

async fn the_notifications_alone_ask_the_auth_service_who_was_purged() {
    let world = World::start(Backend::Servers).await;
    let jane = purged(&world, "jane").await;
    let (url, mut database) = notifications_of(&jane).await;
    let (code, output) = ask(&world, &url, None).await;
    assert_eq!(code, Some(0), "{output}");
    assert!(output.contains("set AUTH_SERVICE_URL"), "{output}");
    assert_eq!(database.number(MASKED).await, 0);
    let (code, output) = ask(&world, &url, Some(AUTH)).await;
    assert_eq!(code, Some(0), "{output}");
    assert_eq!(database.number(MASKED).await, 1);
}

async fn a_wrong_auth_service_masks_nobody() {
    let world = World::start(Backend::Servers).await;
    let jane = purged(&world, "jane").await;
    let (url, mut database) = notifications_of(&jane).await;
    let (code, output) = ask(&world, &url, Some(ORDERS)).await;
    assert_eq!(code, Some(1), "{output}");
    assert!(output.contains("asking who was purged"), "{output}");
    assert_eq!(database.number(MASKED).await, 0);
}
