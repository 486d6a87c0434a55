//! Contract §2: sessions that end, accounts that change, and what admins see.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use shopflow_testkit::{Proxy, Response, wait_for, wait_until};

use crate::world::{AUTH, Backend, PASSWORD, Person, SOON, World, assert_problem, metric};

back_ends! {
    both:
        a_logout_ends_its_session_and_no_other,
        a_logout_everywhere_ends_every_session,
        another_password_ends_the_other_sessions_and_older_access_tokens,
        a_wrong_current_password_changes_nothing,
        a_deactivated_account_is_out_at_once_and_its_admin_can_let_it_in_again,
        an_account_deletes_itself_and_nobody_else,
        another_role_ends_older_access_tokens_and_comes_with_a_refresh,
        a_profile_is_changed_part_by_part,
        all_faults_of_a_change_come_together,
        who_may_change_whom,
        admins_list_users,
        admins_see_who_did_what;
    servers:
        every_instance_knows_of_a_revocation_within_a_second,
        a_lost_connection_for_revocations_is_made_again,
        one_connection_is_enough,
        a_change_of_role_by_hand_ends_older_tokens,
        without_the_database_no_token_is_believed_for_long;
}

/// A second, and as much again for a machine that does other things at the same time.
const KNOWN: Duration = Duration::from_secs(2);

async fn every_instance_knows_of_a_revocation_within_a_second() {
    let world = World::start(Backend::Servers).await;
    let jane = world.customer("jane").await;
    let (_process, second) = world.second(AUTH).await;
    let there = async |token: &str| {
        let client = second.with_token(token);
        client.post("/auth/validate", &Value::Null).await.status
    };
    for way in ["/auth/logout", "/auth/logout-all"] {
        let mut took = Duration::MAX;
        // The machine may stall once, and again; a service that is late is late every time.
        for _ in 0..5 {
            let person = world.login(&jane.email).await;
            assert_eq!(there(&person.access).await, 200);
            let out = send(&world, "POST", way, &person.access, &Value::Null).await;
            assert_eq!(out.status, 204);
            assert_eq!(validate(&world, &person.access).await, 401, "here at once");
            let begun = Instant::now();
            wait_until("it is known there", SOON, async || {
                there(&person.access).await == 401
            })
            .await;
            took = took.min(begun.elapsed());
            if took < KNOWN {
                break;
            }
        }
        assert!(took < KNOWN, "{way} took {took:?}");
    }
}

/// Waits for the connection on which an instance is told of revocations; its process id.
async fn listening(world: &World, but: i64) -> i64 {
    const FIND: &str = "SELECT coalesce(max(pid), 0)::bigint FROM pg_stat_activity
        WHERE datname = current_database() AND query LIKE 'LISTEN%'";
    wait_for("it listens", SOON, || async {
        let pid = world.count(FIND).await;
        (pid != 0 && pid != but).then_some(pid)
    })
    .await
}

async fn a_lost_connection_for_revocations_is_made_again() {
    let world = World::start(Backend::Servers).await;
    let (mut jane, lost) = (world.customer("jane").await, listening(&world, 0).await);
    world
        .execute(&format!("SELECT pg_terminate_backend({lost})"))
        .await;
    // The poll knows meanwhile; and it listens again.
    for _ in 0..2 {
        let out = send(&world, "POST", "/auth/logout", &jane.access, &Value::Null).await;
        assert_eq!(out.status, 204);
        assert_eq!(validate(&world, &jane.access).await, 401);
        listening(&world, lost).await;
        jane = world.login(&jane.email).await;
    }
    wait_until("it says so", SOON, async || {
        metric(&world.auth, "shopflow_revocations_listening").await == Some(1.0)
    })
    .await;
    let told = world.log(AUTH).matches("not told of revocations").count();
    assert_eq!(told, 1);
}

async fn one_connection_is_enough() {
    let one = ("DATABASE_MAX_CONNECTIONS", "1".to_owned());
    let mut world = World::prepare(Backend::Servers, |setup| setup.extra.push(one)).await;
    world.launch(AUTH);
    world.wait_ready(AUTH).await;
    let jane = world.customer("jane").await;
    let out = send(&world, "POST", "/auth/logout", &jane.access, &Value::Null).await;
    assert_eq!(out.status, 204);
    assert_eq!(validate(&world, &jane.access).await, 401);
}

async fn a_change_of_role_by_hand_ends_older_tokens() {
    let world = World::start(Backend::Servers).await;
    let jane = world.customer("jane").await;
    world.execute("UPDATE users SET role = 'admin'").await;
    wait_until("the older token ends", SOON, async || {
        validate(&world, &jane.access).await == 401
    })
    .await;
    let admin = world.login(&jane.email).await;
    let users = send(&world, "GET", "/auth/users", &admin.access, &Value::Null).await;
    assert_eq!(users.status, 200, "{}", users.text());
}

async fn without_the_database_no_token_is_believed_for_long() {
    let mut proxy = None;
    let world = World::start_with(Backend::Servers, |setup| {
        let through = Proxy::for_url(&setup.database_url);
        setup.database_url = through.proxied_url(&setup.database_url);
        proxy = Some(through);
    })
    .await;
    let proxy = proxy.expect("made above");
    let jane = world.customer("jane").await;
    assert_eq!(validate(&world, &jane.access).await, 200);
    proxy.cut();
    wait_until("nobody can tell any more", SOON, async || {
        validate(&world, &jane.access).await == 503
    })
    .await;
    proxy.heal();
    wait_until("it is known again", SOON, async || {
        validate(&world, &jane.access).await == 200
    })
    .await;
}

async fn send(world: &World, method: &str, path: &str, who: &str, body: &Value) -> Response {
    let bearer = format!("Bearer {who}");
    let headers = [
        ("authorization", &*bearer),
        ("content-type", "application/json"),
    ];
    let method = method.parse().unwrap();
    let body = match body {
        Value::Null => String::new(),
        body => body.to_string(),
    };
    let answer = world.auth.request(method, path, &headers, body).await;
    answer.unwrap()
}

async fn patch(world: &World, who: &Person, id: &str, body: Value) -> Response {
    let path = format!("/auth/users/{id}");
    send(world, "PATCH", &path, &who.access, &body).await
}

async fn validate(world: &World, token: &str) -> u16 {
    let client = world.auth.with_token(token);
    client.post("/auth/validate", &Value::Null).await.status
}

async fn refresh(world: &World, who: &Person) -> Response {
    let body = json!({ "refresh_token": who.refresh });
    world.auth.post("/auth/refresh", &body).await
}

/// Whether access and refresh token of a person count.
async fn counts(world: &World, who: &Person) -> (bool, bool) {
    let access = validate(world, &who.access).await == 200;
    (access, refresh(world, who).await.status == 200)
}

async fn logged_in(world: &World, email: &str, password: &str) -> Response {
    let body = json!({ "email": email, "password": password });
    world.auth.post_again("/auth/login", &body).await
}

async fn a_logout_ends_its_session_and_no_other(on: Backend) {
    let world = World::start(on).await;
    let jane = world.customer("jane").await;
    let other = world.login(&jane.email).await;
    let out = send(&world, "POST", "/auth/logout", &jane.access, &Value::Null).await;
    assert_eq!((out.status, &*out.text()), (204, ""));
    assert_eq!(counts(&world, &jane).await, (false, false));
    let again = send(&world, "POST", "/auth/logout", &jane.access, &Value::Null).await;
    assert_problem(&again, 401, "invalid_token");
    let order = world.try_place(&jane).await;
    assert_problem(&order, 401, "invalid_token");
    assert_eq!(counts(&world, &other).await, (true, true));
    // The refresh token is none to log out with.
    let wrong = send(&world, "POST", "/auth/logout", &jane.refresh, &Value::Null).await;
    assert_problem(&wrong, 401, "invalid_token");
}

async fn a_logout_everywhere_ends_every_session(on: Backend) {
    let world = World::start(on).await;
    let (jane, joe) = (world.customer("jane").await, world.customer("joe").await);
    let other = world.login(&jane.email).await;
    let out = send(
        &world,
        "POST",
        "/auth/logout-all",
        &jane.access,
        &Value::Null,
    )
    .await;
    assert_eq!(out.status, 204, "{}", out.text());
    for person in [&jane, &other] {
        assert_eq!(counts(&world, person).await, (false, false));
    }
    assert_eq!(counts(&world, &joe).await, (true, true));
    let back = world.login(&jane.email).await;
    assert_eq!(counts(&world, &back).await, (true, true));
}

async fn another_password_ends_the_other_sessions_and_older_access_tokens(on: Backend) {
    let world = World::start(on).await;
    let jane = world.customer("jane").await;
    let other = world.login(&jane.email).await;
    let new = "An0ther!Passw0rd";
    let path = format!("/auth/users/{}/password", jane.id);
    let body = json!({ "current_password": PASSWORD, "new_password": new });
    let changed = send(&world, "POST", &path, &jane.access, &body).await;
    assert_eq!(changed.status, 204, "{}", changed.text());
    assert_eq!(counts(&world, &other).await, (false, false));
    // The session that asked goes on, with a fresh access token.
    assert_eq!(validate(&world, &jane.access).await, 401);
    let pair = refresh(&world, &jane).await;
    assert_eq!(pair.status, 200, "{}", pair.text());
    let access = pair.json()["access_token"].as_str().unwrap().to_owned();
    assert_eq!(validate(&world, &access).await, 200);
    assert_eq!(logged_in(&world, &jane.email, PASSWORD).await.status, 401);
    assert_eq!(logged_in(&world, &jane.email, new).await.status, 200);
}

async fn a_wrong_current_password_changes_nothing(on: Backend) {
    let world = World::start(on).await;
    let (jane, joe) = (world.customer("jane").await, world.customer("joe").await);
    let path = format!("/auth/users/{}/password", jane.id);
    let body =
        |current: &str, new: &str| json!({ "current_password": current, "new_password": new });
    let good = body(PASSWORD, "An0ther!Passw0rd");
    let wrong = body("Wr0ng!Passw0rd", "An0ther!Passw0rd");
    let answer = send(&world, "POST", &path, &jane.access, &wrong).await;
    assert_problem(&answer, 403, "invalid_credentials");
    let weak = send(&world, "POST", &path, &jane.access, &body(PASSWORD, "weak")).await;
    assert_problem(&weak, 400, "validation_failed");
    assert_eq!(weak.json()["errors"][0]["pointer"], "/new_password");
    let others = send(&world, "POST", &path, &joe.access, &good).await;
    assert_problem(&others, 403, "forbidden");
    assert_eq!(counts(&world, &jane).await, (true, true));
    assert_eq!(logged_in(&world, &jane.email, PASSWORD).await.status, 200);
}

async fn a_deactivated_account_is_out_at_once_and_its_admin_can_let_it_in_again(on: Backend) {
    let world = World::start(on).await;
    let (jane, admin) = (world.customer("jane").await, world.admin().await);
    let off = patch(&world, &admin, &jane.id, json!({ "is_active": false })).await;
    assert_eq!(off.status, 200, "{}", off.text());
    assert_eq!(off.json()["is_active"], false);
    assert_eq!(counts(&world, &jane).await, (false, false));
    let answer = logged_in(&world, &jane.email, PASSWORD).await;
    assert_problem(&answer, 403, "account_deactivated");
    let wrong = logged_in(&world, &jane.email, "Wr0ng!Passw0rd").await;
    assert_problem(&wrong, 401, "invalid_credentials");

    let on_again = patch(&world, &admin, &jane.id, json!({ "is_active": true })).await;
    assert_eq!(on_again.json()["is_active"], true);
    assert_eq!(
        counts(&world, &jane).await,
        (false, false),
        "old sessions stay ended"
    );
    let back = world.login(&jane.email).await;
    assert_eq!(counts(&world, &back).await, (true, true));
}

async fn an_account_deletes_itself_and_nobody_else(on: Backend) {
    let world = World::start(on).await;
    let (jane, joe) = (world.customer("jane").await, world.customer("joe").await);
    let admin = world.admin().await;
    let delete = async |who: &Person, id: &str| {
        let path = format!("/auth/users/{id}");
        send(&world, "DELETE", &path, &who.access, &Value::Null).await
    };
    let unknown = "00000000-0000-4000-8000-000000000000";
    for id in [&*joe.id, unknown] {
        assert_problem(&delete(&jane, id).await, 403, "forbidden");
    }
    assert_eq!(delete(&jane, &jane.id).await.status, 204);
    assert_eq!(counts(&world, &jane).await, (false, false));
    assert_problem(&delete(&admin, unknown).await, 404, "not_found");
    for _ in 0..2 {
        assert_eq!(delete(&admin, &joe.id).await.status, 204, "and again");
    }
    // The account stays: an admin still sees it.
    let path = format!("/auth/users/{}", jane.id);
    let seen = send(&world, "GET", &path, &admin.access, &Value::Null).await;
    assert_eq!(seen.json()["is_active"], false);
}

async fn another_role_ends_older_access_tokens_and_comes_with_a_refresh(on: Backend) {
    let world = World::start(on).await;
    let (jane, admin) = (world.customer("jane").await, world.admin().await);
    let promoted = patch(&world, &admin, &jane.id, json!({ "role": "admin" })).await;
    assert_eq!(promoted.json()["role"], "admin");
    assert_eq!(validate(&world, &jane.access).await, 401);
    let pair = refresh(&world, &jane).await;
    assert_eq!(pair.status, 200, "{}", pair.text());
    let as_admin = pair.json()["access_token"].as_str().unwrap().to_owned();
    let users = send(&world, "GET", "/auth/users", &as_admin, &Value::Null).await;
    assert_eq!(users.status, 200);
    // Back again: not even the token of the same role counts any more.
    let demoted = patch(&world, &admin, &jane.id, json!({ "role": "customer" })).await;
    assert_eq!(demoted.json()["role"], "customer");
    for token in [&jane.access, &as_admin] {
        assert_eq!(validate(&world, token).await, 401);
    }
}

async fn a_profile_is_changed_part_by_part(on: Backend) {
    let world = World::start(on).await;
    let jane = world.customer("jane").await;
    let path = format!("/auth/users/{}", jane.id);
    let before = send(&world, "GET", &path, &jane.access, &Value::Null).await;
    let before = before.json();
    let changed = patch(&world, &jane, &jane.id, json!({ "first_name": " Joan " })).await;
    assert_eq!(changed.status, 200, "{}", changed.text());
    let changed = changed.json();
    assert_eq!(changed["first_name"], "Joan");
    for same in [
        "id",
        "email",
        "last_name",
        "phone",
        "role",
        "is_active",
        "created_at",
    ] {
        assert_eq!(changed[same], before[same], "{same}");
    }
    assert!(changed["updated_at"].as_str() > before["updated_at"].as_str());
    let cleared = patch(&world, &jane, &jane.id, json!({ "phone": null })).await;
    assert_eq!(cleared.json()["phone"], Value::Null);
    let nothing = patch(&world, &jane, &jane.id, json!({})).await;
    assert_eq!(nothing.json(), cleared.json());
    let found = send(&world, "GET", &path, &jane.access, &Value::Null).await;
    assert_eq!(found.json(), cleared.json());
    assert_eq!(
        validate(&world, &jane.access).await,
        200,
        "no token ends with it"
    );
}

async fn all_faults_of_a_change_come_together(on: Backend) {
    let world = World::start(on).await;
    let (jane, admin) = (world.customer("jane").await, world.admin().await);
    let body = json!({
        "first_name": null, "last_name": " ", "phone": "none", "role": "service", "is_active": "no"
    });
    let answer = patch(&world, &admin, &jane.id, body).await;
    assert_problem(&answer, 400, "validation_failed");
    let errors = answer.json()["errors"].clone();
    let pointers: Vec<_> = errors
        .as_array()
        .unwrap()
        .iter()
        .map(|e| &e["pointer"])
        .collect();
    assert_eq!(
        pointers,
        ["/first_name", "/last_name", "/phone", "/role", "/is_active"]
    );
}

async fn who_may_change_whom(on: Backend) {
    let world = World::start(on).await;
    let (jane, joe) = (world.customer("jane").await, world.customer("joe").await);
    let admin = world.admin().await;
    let service = world.service_token("support");
    let name = json!({ "first_name": "Joan" });
    let unknown = "00000000-0000-4000-8000-000000000000";
    for id in [&*joe.id, unknown] {
        assert_problem(
            &patch(&world, &jane, id, name.clone()).await,
            403,
            "forbidden",
        );
    }
    for more in [
        json!({ "role": "admin", "first_name": "Joan" }),
        json!({ "is_active": null }),
    ] {
        let answer = patch(&world, &jane, &jane.id, more).await;
        assert_problem(&answer, 403, "forbidden");
    }
    let path = format!("/auth/users/{}", jane.id);
    let seen = send(&world, "GET", &path, &jane.access, &Value::Null)
        .await
        .json();
    assert_eq!(
        (&seen["role"], &seen["first_name"]),
        (&json!("customer"), &json!("Jane"))
    );
    let by_service = send(&world, "PATCH", &path, &service, &name).await;
    assert_problem(&by_service, 403, "forbidden");
    for path in ["/auth/users", &*format!("{path}/audit")] {
        for token in [&jane.access, &service] {
            let answer = send(&world, "GET", path, token, &Value::Null).await;
            assert_problem(&answer, 403, "forbidden");
        }
        assert_problem(&world.auth.get(path).await, 401, "invalid_token");
    }
    assert_eq!(
        patch(&world, &admin, &joe.id, name.clone()).await.status,
        200
    );
    assert_problem(
        &patch(&world, &admin, unknown, name.clone()).await,
        404,
        "not_found",
    );
    assert_problem(&patch(&world, &admin, "me", name).await, 404, "not_found");
}

async fn admins_list_users(on: Backend) {
    let world = World::start(on).await;
    let (jane, admin) = (world.customer("jane").await, world.admin().await);
    world.customer("joe").await;
    let list = async |query: &str| {
        let path = format!("/auth/users{query}");
        send(&world, "GET", &path, &admin.access, &Value::Null).await
    };
    let found = list("?email=%20JANE%40example.com").await.json();
    assert_eq!(
        found["pagination"],
        json!({ "page": 1, "limit": 20, "total_items": 1, "total_pages": 1 })
    );
    let path = format!("/auth/users/{}", jane.id);
    let profile = send(&world, "GET", &path, &admin.access, &Value::Null).await;
    assert_eq!(found["data"], json!([profile.json()]));
    for (query, total) in [
        ("?email=jane@example.com&role=admin", 0),
        ("?email=jane@example.com&is_active=true", 1),
        ("?email=jane@example.com&is_active=false", 0),
        ("?email=nobody", 0),
    ] {
        let page = list(query).await.json();
        assert_eq!(page["pagination"]["total_items"], total, "{query}");
    }
    let newest = list("?role=customer&limit=1").await.json();
    assert_eq!(newest["data"][0]["email"], "joe@example.com");
    let answer = list("?role=service&is_active=1&limit=0&page=x").await;
    assert_problem(&answer, 400, "validation_failed");
    assert_eq!(answer.json()["errors"].as_array().unwrap().len(), 4);
}

async fn admins_see_who_did_what(on: Backend) {
    let world = World::start(on).await;
    let (jane, admin) = (world.customer("jane").await, world.admin().await);
    patch(
        &world,
        &admin,
        &jane.id,
        json!({ "role": "admin", "first_name": "Joan" }),
    )
    .await;
    let off = patch(&world, &admin, &jane.id, json!({ "is_active": false })).await;
    let path = format!("/auth/users/{}/audit", jane.id);
    let audit = send(&world, "GET", &path, &admin.access, &Value::Null).await;
    assert_eq!(audit.status, 200, "{}", audit.text());
    let audit = audit.json();
    let entries = audit["data"].as_array().unwrap();
    let actions: Vec<_> = entries.iter().map(|entry| &entry["action"]).collect();
    // Newest first; what came together stands in the order in which it was written, backwards.
    assert_eq!(
        actions,
        ["deactivated", "role_changed", "profile_changed", "created"]
    );
    assert_eq!(audit["pagination"]["total_items"], 4);
    assert_eq!(
        entries[0]["actor"],
        json!({ "id": admin.id, "role": "admin" })
    );
    assert_eq!(
        Some(entries[0]["request_id"].as_str().unwrap()),
        off.header("x-request-id")
    );
    assert_eq!(
        (&entries[1]["from"], &entries[1]["to"]),
        (&json!("customer"), &json!("admin"))
    );
    assert!(
        entries
            .iter()
            .all(|entry| entry["at"].as_str().unwrap().ends_with('Z'))
    );
    let text = audit.to_string();
    assert!(
        !text.contains("Joan") && !text.contains(&jane.email),
        "{text}"
    );
}
