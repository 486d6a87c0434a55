//! People, their logins and their passwords.

use crate::cli::golden::Golden;
use crate::cli::told;
use crate::world::{Backend, JWT_SECRET, PASSWORD, World};

use super::NOBODY;

back_ends! {
    both:
        users;
}

async fn users(on: Backend) {
    let world = World::start(on).await;
    let mut golden = Golden::new("users");
    let admin = [("SHOPFLOW_ADMIN_PASSWORD", PASSWORD)];
    let create = ["users", "create-admin", "--email", "ada@example.com"];
    let create = [
        &create[..],
        &["--first-name", "Ada", "--last-name", "Lovelace"],
    ]
    .concat();
    golden.text_with(&world, &create, &admin).await;
    golden.text_with(&world, &create, &admin).await;
    golden.text(&world, &create).await;
    let mut another = create.clone();
    another[3] = "eva@example.com";
    golden.json_with(&world, &another, &admin).await;
    told(&world, &["users", "demote", "eva@example.com"]).await;
    let jane = world.customer("jane").await;
    let email = &*jane.email;
    golden
        .both(&world, &["users", "list", "--email", email])
        .await;
    golden.both(&world, &["users", "list", "--inactive"]).await;
    golden.both(&world, &["users", "show", email]).await;
    golden.both(&world, &["users", "promote", email]).await;
    golden.both(&world, &["users", "promote", email]).await;
    golden.both(&world, &["users", "demote", email]).await;
    let list = ["users", "sessions", "list", email];
    golden.both(&world, &list).await;
    golden
        .text(&world, &["users", "sessions", "end", email])
        .await;
    let end = [
        "users",
        "sessions",
        "end",
        email,
        "--session",
        NOBODY,
        "--yes",
    ];
    golden.text(&world, &end).await;
    golden
        .text(&world, &["users", "sessions", "end", email, "--yes"])
        .await;
    golden.both(&world, &list).await;
    world.login(email).await;
    let listed = told(&world, &[&list[..], &["--output", "json"]].concat()).await;
    let one = listed.json()["data"][0]["id"].as_str().unwrap().to_owned();
    let end = [
        "users",
        "sessions",
        "end",
        email,
        "--session",
        &one,
        "--yes",
    ];
    golden.text(&world, &end).await;
    golden.text(&world, &end).await;
    golden.json(&world, &end).await;
    let all = ["users", "sessions", "end", email, "--yes"];
    golden.json(&world, &all).await;
    let secret = [("JWT_SECRET", JWT_SECRET)];
    let reset = ["users", "reset-password", email];
    golden.text_with(&world, &reset, &secret).await;
    golden.json_with(&world, &reset, &secret).await;
    let set = [&reset[..], &["--set", "--yes"]].concat();
    for password in ["weak", "An0ther-P@ssword"] {
        let password = [("SHOPFLOW_NEW_PASSWORD", password)];
        golden.text_with(&world, &set, &password).await;
        golden.json_with(&world, &set, &password).await;
    }
    golden.both(&world, &["users", "deactivate", email]).await;
    golden.both(&world, &["users", "activate", email]).await;
    golden
        .both(&world, &["users", "audit", email, "--limit", "4"])
        .await;
    golden
        .both(&world, &["users", "show", "nobody@example.com"])
        .await;
    if on == Backend::Embedded {
        // The folder has an admin of its own.
        told(&world, &["users", "deactivate", "admin@shopflow.local"]).await;
    }
    for change in ["demote", "deactivate"] {
        golden
            .both(&world, &["users", change, "ada@example.com"])
            .await;
    }
    golden.compare();
}
