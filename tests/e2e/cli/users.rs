//! `shopflow users`.

use serde_json::{Value, json};

use super::{told, told_with};
use crate::world::{Backend, JWT_SECRET, PASSWORD, World};

back_ends! {
    both:
        users_are_listed_by_role_and_activity_as_over_http,
        a_user_is_shown_by_id_or_email,
        an_unknown_user_is_exit_code_three,
        a_promotion_is_audited_with_who_made_it,
        the_last_active_admin_stays_unless_forced,
        a_deactivated_user_cannot_log_in_until_activated,
        sessions_are_listed_and_end_only_when_that_is_confirmed,
        a_password_is_set_and_ends_the_sessions,
        a_mail_for_another_password_goes_out;
}

async fn users_are_listed_by_role_and_activity_as_over_http(on: Backend) {
    let world = World::start(on).await;
    let (admin, jane) = (world.admin().await, world.customer("jane").await);
    let list = ["users", "list", "--email", &jane.email, "--output", "json"];
    let listed = told(&world, &list).await.json();
    let http = world.auth.with_token(&admin.access);
    let path = format!("/auth/users?email={}", jane.email);
    assert_eq!(
        listed,
        json!({ "data": http.get(&path).await.json()["data"] })
    );

    let admins = told(&world, &["users", "list", "--role", "admin", "--active"]).await;
    let lines = admins.lines();
    assert_eq!(lines[0], ["ID", "EMAIL", "ROLE", "ACTIVE", "CREATED"]);
    let row = lines.iter().find(|line| line[0] == admin.id).unwrap();
    assert_eq!(row[1..4], ["admin@example.com", "admin", "yes"]);
    assert!(
        row[4].ends_with("CET") || row[4].ends_with("CEST"),
        "{row:?}"
    );
    assert!(!admins.output.contains(&jane.email));

    let none = told(&world, &["users", "list", "--inactive", "--output", "json"]).await;
    assert_eq!(none.json(), json!({ "data": [] }));
}

async fn a_user_is_shown_by_id_or_email(on: Backend) {
    let world = World::start(on).await;
    let jane = world.customer("jane").await;
    let own = world.auth.with_token(&jane.access);
    let profile = own.get(&format!("/auth/users/{}", jane.id)).await.json();
    for name in [&jane.id, "Jane@Example.com"] {
        let shown = told(&world, &["users", "show", name, "--output", "json"]).await;
        assert_eq!(shown.json(), profile);
    }
    let shown = told(&world, &["users", "show", &jane.id]).await;
    let facts = shown.lines();
    for fact in [
        ["User", &*jane.id],
        ["Email", "jane@example.com"],
        ["Name", "Jane Doe"],
        ["Phone", "+15551234567"],
        ["Role", "customer"],
        ["Active", "yes"],
    ] {
        assert!(facts.iter().any(|line| *line == fact), "{}", shown.output);
    }
}

async fn an_unknown_user_is_exit_code_three(on: Backend) {
    let world = World::start(on).await;
    for args in [
        &["users", "show"][..],
        &["users", "promote"],
        &["users", "demote"],
        &["users", "activate"],
        &["users", "deactivate"],
        &["users", "audit"],
        &["users", "sessions", "list"],
        &["users", "sessions", "end"],
        &["users", "reset-password"],
    ] {
        for name in ["nobody@example.com", "550e8400-e29b-41d4-a716-446655440000"] {
            let told = told(&world, &[args, &[name]].concat()).await;
            let wanted = format!("error: no user has the id or email {name}\n");
            assert_eq!((told.code, told.output), (Some(3), wanted), "{args:?}");
        }
    }
}

async fn a_promotion_is_audited_with_who_made_it(on: Backend) {
    let world = World::start(on).await;
    let jane = world.customer("jane").await;
    let promoted = told(&world, &["users", "promote", &jane.email]).await;
    assert_eq!(
        (promoted.code, &*promoted.output),
        (Some(0), "jane@example.com is an admin\n")
    );
    let again = told(&world, &["users", "promote", &jane.email]).await;
    assert_eq!(again.output, "jane@example.com is an admin already\n");

    let audit = told(&world, &["users", "audit", &jane.email, "--output", "json"])
        .await
        .json();
    let entry = &audit["data"][0];
    assert_eq!(entry["action"], "role_changed");
    assert_eq!(
        (&entry["from"], &entry["to"]),
        (&json!("customer"), &json!("admin"))
    );
    assert_eq!(
        entry["actor"],
        json!({ "id": "cli:ada", "role": "operator" })
    );
    let table = told(&world, &["users", "audit", &jane.email, "--limit", "1"]).await;
    let row = &table.lines()[1];
    assert_eq!(
        row[1..5],
        ["role_changed", "customer to admin", "cli:ada", "operator"]
    );
}

async fn the_last_active_admin_stays_unless_forced(on: Backend) {
    let world = World::start(on).await;
    let admin = world.admin().await;
    if on == Backend::Embedded {
        // The folder has an admin of its own.
        let first = told(&world, &["users", "deactivate", "admin@shopflow.local"]).await;
        assert_eq!(first.code, Some(0), "{}", first.output);
    }
    for change in ["demote", "deactivate"] {
        let refused = told(&world, &["users", change, &admin.email]).await;
        let why = "error: admin@example.com is the last active admin; see --force\n";
        assert_eq!((refused.code, &*refused.output), (Some(4), why));
    }
    let show = ["users", "show", &admin.email, "--output", "json"];
    let shown = told(&world, &show).await.json();
    assert_eq!(
        (&shown["role"], &shown["is_active"]),
        (&json!("admin"), &json!(true))
    );
    let forced = told(&world, &["users", "demote", &admin.email, "--force"]).await;
    assert_eq!(&*forced.output, "admin@example.com is a customer\n");
}

async fn a_deactivated_user_cannot_log_in_until_activated(on: Backend) {
    let world = World::start(on).await;
    let jane = world.customer("jane").await;
    let login = json!({ "email": jane.email, "password": PASSWORD });
    let told_off = told(&world, &["users", "deactivate", &jane.id]).await;
    assert_eq!(&*told_off.output, "jane@example.com is deactivated\n");
    assert_eq!(world.auth.post("/auth/login", &login).await.status, 403);
    let told_on = told(&world, &["users", "activate", &jane.id]).await;
    assert_eq!(&*told_on.output, "jane@example.com is active\n");
    assert_eq!(world.auth.post("/auth/login", &login).await.status, 200);
}

async fn sessions_are_listed_and_end_only_when_that_is_confirmed(on: Backend) {
    let world = World::start(on).await;
    let jane = world.customer("jane").await;
    let list = ["users", "sessions", "list", &jane.email, "--output", "json"];
    let sessions = told(&world, &list).await.json();
    assert_eq!(sessions["data"].as_array().unwrap().len(), 1);
    assert_eq!(sessions["data"][0]["ended_at"], Value::Null);

    let end = ["users", "sessions", "end", &jane.email];
    let asked = told(&world, &end).await;
    let why = "error: --yes: is required where there is no terminal to ask at\n";
    assert_eq!((asked.code, &*asked.output), (Some(2), why));
    assert_eq!(
        told(&world, &list).await.json(),
        sessions,
        "nothing has changed"
    );

    let ended = told(&world, &[&end[..], &["--yes"]].concat()).await;
    assert_eq!(
        (ended.code, &*ended.output),
        (Some(0), "jane@example.com has no session\n")
    );
    let sessions = told(&world, &list).await.json();
    assert_eq!(sessions["data"][0]["end_reason"], "ended by an operator");
    let refresh = json!({ "refresh_token": jane.refresh });
    assert_eq!(world.auth.post("/auth/refresh", &refresh).await.status, 401);
}

async fn a_password_is_set_and_ends_the_sessions(on: Backend) {
    let world = World::start(on).await;
    let jane = world.customer("jane").await;
    let set = ["users", "reset-password", &jane.email, "--set", "--yes"];
    let weak = told_with(&world, &set, &[("SHOPFLOW_NEW_PASSWORD", "weak")]).await;
    assert_eq!(weak.code, Some(2), "{}", weak.output);
    let old = json!({ "email": jane.email, "password": PASSWORD });
    assert_eq!(world.auth.post("/auth/login", &old).await.status, 200);

    let new = "An0ther-P@ssword";
    let set = told_with(&world, &set, &[("SHOPFLOW_NEW_PASSWORD", new)]).await;
    let said = "jane@example.com has another password, and no session\n";
    assert_eq!((set.code, &*set.output), (Some(0), said));
    assert_eq!(world.auth.post("/auth/login", &old).await.status, 401);
    let new = json!({ "email": jane.email, "password": new });
    assert_eq!(world.auth.post("/auth/login", &new).await.status, 200);
    let refresh = json!({ "refresh_token": jane.refresh });
    assert_eq!(world.auth.post("/auth/refresh", &refresh).await.status, 401);
}

async fn a_mail_for_another_password_goes_out(on: Backend) {
    let world = World::start(on).await;
    let jane = world.customer("jane").await;
    let reset = ["users", "reset-password", &jane.email];
    let asked = told_with(&world, &reset, &[("JWT_SECRET", JWT_SECRET)]).await;
    let said = "jane@example.com is sent a mail, unless one was sent within the last minute\n";
    assert_eq!((asked.code, &*asked.output), (Some(0), said));
    let audit = told(&world, &["users", "audit", &jane.email, "--output", "json"])
        .await
        .json();
    assert_eq!(audit["data"][0]["action"], "password_reset_requested");
    assert_eq!(audit["data"][0]["actor"]["id"], "cli:ada");
    let admin = world.admin().await;
    let path = format!("/notifications?user_id={}&type=password_reset", jane.id);
    shopflow_testkit::wait_until("the mail", crate::world::SOON * 2, || async {
        let sent = world
            .notify
            .with_token(&admin.access)
            .get(&path)
            .await
            .json();
        sent["data"]
            .as_array()
            .is_some_and(|all| all.iter().any(|one| one["status"] == "sent"))
    })
    .await;
}
