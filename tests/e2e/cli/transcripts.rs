//! What every command prints, on both back ends the same (see [`super::golden`]).

use serde_json::Value;
use shopflow_testkit::{Channel, Fault};

use super::golden::Golden;
use crate::dead_letters::{GOLDEN, empty, golden};
use crate::world::{Backend, JWT_SECRET, NOTIFY, ORDERS, PASSWORD, Person, World};

back_ends! {
    both:
        users,
        orders,
        notifications,
        explained_orders,
        templates,
        dead_letters,
        outbox,
        retention;
    servers:
        migrations;
}

const NOBODY: &str = "019c6a2e-5b1f-7c3d-8e4f-5a6b7c8d9e0f";

/// A customer without a phone, one of whose mails was sent.
async fn jane(world: &World) -> (Person, String) {
    let jane = world.customer_with("jane", None).await;
    let order = world.place(&jane).await["id"].as_str().unwrap().to_owned();
    world.wait_notified(&jane, 1, "sent").await;
    (jane, order)
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
    let listed = super::told(&world, &[&list[..], &["--output", "json"]].concat()).await;
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
    let secret = [("JWT_SECRET", JWT_SECRET)];
    let reset = ["users", "reset-password", email];
    golden.text_with(&world, &reset, &secret).await;
    let set = [&reset[..], &["--set", "--yes"]].concat();
    for password in ["weak", "An0ther-P@ssword"] {
        let password = [("SHOPFLOW_NEW_PASSWORD", password)];
        golden.text_with(&world, &set, &password).await;
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
        super::told(&world, &["users", "deactivate", "admin@shopflow.local"]).await;
    }
    for change in ["demote", "deactivate"] {
        golden
            .both(&world, &["users", change, "ada@example.com"])
            .await;
    }
    golden.compare();
}

async fn orders(on: Backend) {
    let world = World::start(on).await;
    let (jane, order) = jane(&world).await;
    world.place(&jane).await;
    let mut golden = Golden::new("orders");
    let list = ["orders", "list", "--user", &jane.id];
    golden.both(&world, &list).await;
    golden
        .both(&world, &[&list[..], &["--limit", "1"]].concat())
        .await;
    golden
        .both(&world, &[&list[..], &["--status", "delivered"]].concat())
        .await;
    golden.both(&world, &["orders", "show", &order]).await;
    let to = |status: &'static str| ["orders", "transition", &*order, status];
    golden
        .text(
            &world,
            &[&to("confirmed")[..], &["--reason", "paid by transfer"]].concat(),
        )
        .await;
    golden.both(&world, &to("confirmed")).await;
    golden.both(&world, &to("delivered")).await;
    golden.both(&world, &to("lost")).await;
    golden.json(&world, &to("shipped")).await;
    golden.both(&world, &["orders", "history", &order]).await;
    for verb in ["show", "history", "explain"] {
        golden.both(&world, &["orders", verb, NOBODY]).await;
    }
    golden
        .both(&world, &["orders", "transition", NOBODY, "confirmed"])
        .await;
    golden
        .text(
            &world,
            &["orders", "list", "--user", "jane", "--older-than", "soon"],
        )
        .await;
    golden.compare();
}

async fn explained_orders(on: Backend) {
    let world = World::start(on).await;
    let (_, order) = jane(&world).await;
    // The relay notes it while the mail is on its way already.
    world
        .execute("UPDATE order_outbox SET published_at = created_at")
        .await;
    let mut golden = Golden::new("explain");
    golden
        .normal
        .know(provider_id(&world, &order).await, "<provider id>");
    golden.both(&world, &["orders", "explain", &order]).await;
    golden.compare();
}

/// What the provider calls the mail about an order.
async fn provider_id(world: &World, order: &str) -> String {
    let list = [
        "notifications",
        "list",
        "--order",
        order,
        "--output",
        "json",
    ];
    let listed = super::told(world, &list).await.json();
    let id = listed["data"][0]["id"].as_str().unwrap();
    let show = ["notifications", "show", id, "--output", "json"];
    let shown = super::told(world, &show).await.json();
    shown["provider_ref"].as_str().unwrap().to_owned()
}

async fn notifications(on: Backend) {
    let world = World::start(on).await;
    let (jane, order) = jane(&world).await;
    let mut golden = Golden::new("notifications");
    golden
        .normal
        .know(provider_id(&world, &order).await, "<provider id>");
    let list = ["notifications", "list", "--user", &jane.id];
    golden.both(&world, &list).await;
    golden
        .both(&world, &[&list[..], &["--status", "failed"]].concat())
        .await;
    let sent = world.notifications(&jane).await[0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    golden.both(&world, &["notifications", "show", &sent]).await;
    golden
        .text(&world, &["notifications", "resend", &sent])
        .await;
    let resend = ["notifications", "resend", &sent, "--yes"];
    golden
        .text(
            &world,
            &[&resend[..], &["--reason", "she deleted it"]].concat(),
        )
        .await;
    world.wait_notified(&jane, 2, "sent").await;
    golden
        .normal
        .know(provider_id(&world, &order).await, "<provider id 2>");
    let again = world.notifications(&jane).await[0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    golden
        .both(&world, &["notifications", "show", &again])
        .await;
    world
        .fail(Channel::Email, Fault::Refuse, Some(1), None)
        .await;
    golden.json(&world, &resend).await;
    world.wait_notified(&jane, 1, "failed").await;
    let failed = world.notifications(&jane).await[0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    golden
        .both(&world, &["notifications", "resend", &failed, "--yes"])
        .await;
    for verb in ["show", "resend"] {
        golden.both(&world, &["notifications", verb, NOBODY]).await;
    }
    golden
        .text(&world, &["notifications", "list", "--order", "17"])
        .await;
    golden.compare();
}

async fn templates(on: Backend) {
    let world = World::start(on).await;
    let (_, order) = jane(&world).await;
    let mut golden = Golden::new("templates");
    golden.alone(&["templates", "list"], &[]).await;
    golden.alone_json(&["templates", "list"], &[]).await;
    golden.alone(&["templates", "check"], &[]).await;
    golden.alone_json(&["templates", "check"], &[]).await;
    for name in [
        "order_created",
        "order_shipped",
        "password_reset",
        "email_verification",
    ] {
        golden.alone(&["templates", "render", name], &[]).await;
        golden.alone_json(&["templates", "render", name], &[]).await;
    }
    for order in [&*order, NOBODY] {
        let render = ["templates", "render", "order_shipped", "--channel", "sms"];
        golden
            .both(&world, &[&render[..], &["--order", order]].concat())
            .await;
    }
    golden
        .alone(
            &["templates", "render", "password_reset", "--channel", "sms"],
            &[],
        )
        .await;
    golden
        .alone(&["templates", "render", "order_creatd"], &[])
        .await;
    golden.compare();
}

async fn dead_letters(on: Backend) {
    let world = empty(on).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("letters.ndjson");
    std::fs::write(&file, GOLDEN).unwrap();
    let broken = folder.path().join("broken.ndjson");
    std::fs::write(&broken, "{}\n").unwrap();
    let mut transcript = Golden::new("dlq");
    transcript
        .normal
        .know(folder.path().to_str().unwrap(), "<folder>");
    transcript.text(&world, &["dlq", "list"]).await;
    transcript
        .text(&world, &["dlq", "import", broken.to_str().unwrap()])
        .await;
    transcript
        .text(
            &world,
            &["dlq", "import", file.to_str().unwrap(), "--dry-run"],
        )
        .await;
    transcript
        .json(&world, &["dlq", "import", file.to_str().unwrap()])
        .await;
    for verb in ["list", "group"] {
        transcript.both(&world, &["dlq", verb]).await;
    }
    transcript.text(&world, &["dlq", "export"]).await;
    transcript.both(&world, &["dlq", "show", &golden(2)]).await;
    transcript.both(&world, &["dlq", "show", NOBODY]).await;
    transcript
        .both(
            &world,
            &["dlq", "replay", "--reason", "exhausted", "--dry-run"],
        )
        .await;
    transcript
        .text(&world, &["dlq", "replay", &golden(1)])
        .await;
    transcript
        .json(&world, &["dlq", "replay", &golden(2)])
        .await;
    transcript.both(&world, &["dlq", "replay", NOBODY]).await;
    let three = golden(3);
    let discard = ["dlq", "discard", &three, "--reason", "a test order"];
    transcript.text(&world, &discard).await;
    transcript
        .json(&world, &[&discard[..], &["--yes"]].concat())
        .await;
    transcript
        .text(&world, &["dlq", "purge", "--reason", "poison"])
        .await;
    transcript
        .text(&world, &["dlq", "purge", "--reason", "poison", "--yes"])
        .await;
    transcript
        .both(
            &world,
            &[
                "dlq",
                "list",
                "--queue",
                "x",
                "--order",
                "17",
                "--older-than",
                "z",
            ],
        )
        .await;
    transcript.compare();
}

async fn outbox(on: Backend) {
    let mut world = World::start(on).await;
    jane(&world).await;
    for service in [NOTIFY, ORDERS] {
        world.kill(service).await;
    }
    let mut golden = Golden::new("outbox");
    golden.both(&world, &["outbox", "list"]).await;
    // A thousand days, half an hour and a few seconds ago, so that its age has the same parts however
    // long this takes.
    let old = match on {
        Backend::Servers => "now() - interval '86401810 seconds'",
        Backend::Embedded => "(unixepoch() - 86401810) * 1000000",
    };
    let waits = "UPDATE order_outbox SET published_at = NULL, refusals = 3, created_at = ";
    world.execute(&format!("{waits}{old}")).await;
    golden.both(&world, &["outbox", "list"]).await;
    golden.both(&world, &["outbox", "flush"]).await;
    golden.compare();
}

async fn retention(on: Backend) {
    let world = World::start(on).await;
    let mut golden = Golden::new("retention");
    golden.both(&world, &["retention", "list"]).await;
    golden
        .both(&world, &["retention", "run", "--dry-run"])
        .await;
    golden.both(&world, &["retention", "run"]).await;
    golden.both(&world, &["retention", "list"]).await;
    golden.compare();
}

async fn migrations() {
    let url = shopflow_testkit::postgres().await.database().await;
    let mut golden = Golden::new("migrate");
    for service in ["auth", "orders", "notify"] {
        golden
            .alone(&["migrate", service], &[("DATABASE_URL", &url)])
            .await;
    }
    golden.alone(&["migrate", "auth"], &[]).await;
    golden
        .alone(&["migrate", "auth"], &[("DATABASE_URL", "mysql://db/auth")])
        .await;
    golden.alone(&["migrate", "shop"], &[]).await;
    golden.compare();
}

#[tokio::test]
async fn settings() {
    let mut golden = Golden::new("config");
    for service in ["auth", "orders", "notify"] {
        golden.alone(&["config", "check", service], &[]).await;
        golden.alone(&["config", "show", service], &[]).await;
        golden.alone_json(&["config", "show", service], &[]).await;
    }
    let good = [
        ("DATABASE_URL", "postgres://shopflow:s3cret@db/auth"),
        ("JWT_SECRET", JWT_SECRET),
        ("PORT", "4001"),
    ];
    golden.alone(&["config", "check", "auth"], &good).await;
    golden
        .alone(&["config", "show", "auth", "--log-level", "debug"], &good)
        .await;
    golden.compare();
}

#[tokio::test]
async fn tokens() {
    let secret = [("JWT_SECRET", JWT_SECRET)];
    let service = ["token", "service", "--subject", "notification-service"];
    let mut golden = Golden::new("token");
    let (code, token) = crate::world::run(&service, &secret).await;
    // It is another one every time.
    assert_eq!((code, token.split('.').count()), (Some(0), 3));
    golden.alone(&service, &[]).await;
    golden.alone(&service, &[("JWT_SECRET", "short")]).await;
    golden
        .alone(&[&service[..], &["--ttl", "soon"]].concat(), &secret)
        .await;
    // Nothing comes from standard input.
    golden.alone(&["token", "inspect"], &secret).await;
    golden.alone_json(&["token", "inspect"], &secret).await;
    golden.compare();
}

#[tokio::test]
async fn wrong_usage() {
    let folder = tempfile::tempdir().unwrap();
    let nothing = folder.path().to_str().unwrap();
    let mut golden = Golden::new("usage");
    golden.normal.know(nothing, "<folder>");
    for args in [
        &["serv"][..],
        &["orders"],
        &["orders", "shw", NOBODY],
        &["orders", "show"],
        &["orders", "list", "--stats", "pending"],
        &["orders", "list", "--status", "lost"],
        &["orders", "list", "--limit", "0"],
        &["orders", "list", "--output", "xml"],
        &["orders", "list", "--after", NOBODY, "--older-than", "1h"],
        &["users", "list", "--active", "--inactive"],
        &["dlq", "discard", NOBODY],
        &["completions", "tcsh"],
        &["dev", "--yes"],
        &["dev", "--auth-port", "3002", "--data-dir", nothing],
    ] {
        golden.alone(args, &[]).await;
    }
    for service in ["auth", "orders", "notify"] {
        golden.alone(&["serve", service], &[]).await;
    }
    for noun in [
        "users",
        "orders",
        "notifications",
        "outbox",
        "retention",
        "dlq",
    ] {
        golden.alone(&[noun, "list"], &[]).await;
        golden
            .alone(&[noun, "list", "--data-dir", nothing], &[])
            .await;
    }
    golden
        .alone(&["orders", "list"], &[("DATABASE_URL", "nonsense")])
        .await;
    golden.compare();
}

/// Where a program looks for what went wrong: never among the result.
#[tokio::test]
async fn a_refusal_leaves_standard_output_empty() {
    for file in ["users", "orders", "notifications", "dlq"] {
        let path = format!(
            "{}/../tests/e2e/cli/golden/{file}.json",
            env!("CARGO_MANIFEST_DIR")
        );
        let kept: Vec<Value> =
            serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        for one in kept.iter().filter(|one| one["exit"] != 0) {
            assert_eq!(one["output"], Value::Null, "{one}");
            assert_ne!(one["stderr"], "", "{one}");
        }
    }
}
