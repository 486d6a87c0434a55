//! Contract §7, as far as it is there.

use shopflow_testkit::postgres;

use crate::world::{Backend, JWT_SECRET, PASSWORD, World, run};

back_ends! {
    both:
        an_admin_is_made_once_and_its_password_has_rules;
    servers:
        migrate_brings_a_database_up_to_date_as_often_as_one_likes;
}

async fn migrate_brings_a_database_up_to_date_as_often_as_one_likes() {
    let url = postgres().await.database().await;
    for service in ["auth", "orders", "notify", "auth"] {
        let (code, output) = run(&["migrate", service], &[("DATABASE_URL", &url)]).await;
        assert_eq!(
            (code, output.trim()),
            (Some(0), &*format!("{service}: the database is up to date"))
        );
    }
    let flag = run(&["migrate", "auth", "--database-url", &url], &[]).await;
    assert_eq!(flag.0, Some(0), "{}", flag.1);
}

async fn an_admin_is_made_once_and_its_password_has_rules(on: Backend) {
    let world = World::start(on).await;
    assert_eq!(
        world.create_admin("Admin@Example.com", PASSWORD).await.0,
        Some(0)
    );
    assert_eq!(
        world
            .count(
                "SELECT count(*) FROM users WHERE role = 'admin' AND email = 'admin@example.com'"
            )
            .await,
        1
    );
    let (code, output) = world.create_admin("admin@example.com", PASSWORD).await;
    assert_eq!(code, Some(1));
    assert!(output.contains("exists already"), "{output}");
    let (code, output) = world.create_admin("no email", PASSWORD).await;
    assert_eq!(code, Some(2));
    assert_eq!(output, "error: --email: must be a valid email address\n");

    let args = [
        "users",
        "create-admin",
        "--email",
        "b@example.com",
        "--first-name",
        "B",
        "--last-name",
        "B",
    ];
    let weak = [("SHOPFLOW_ADMIN_PASSWORD", "weak")];
    let (code, output) = world.administer(&args, &weak).await;
    assert_eq!(code, Some(2));
    assert!(
        output.contains("SHOPFLOW_ADMIN_PASSWORD") && !output.contains("weak"),
        "{output}"
    );
    let (code, output) = world.administer(&args, &[]).await;
    assert_eq!(code, Some(2), "no terminal to ask at: {output}");
}

#[tokio::test]
async fn a_service_token_needs_a_strong_secret_and_a_sensible_time() {
    for (args, secret, named) in [
        (["--ttl", "24h"], "short", "JWT_SECRET"),
        (["--ttl", "soon"], JWT_SECRET, "--ttl"),
        (["--ttl", "-1h"], JWT_SECRET, "--ttl"),
        (["--ttl", "0s"], JWT_SECRET, "--ttl"),
    ] {
        let args = [&["token", "service", "--subject", "x"][..], &args[..]].concat();
        let (code, output) = run(&args, &[("JWT_SECRET", secret)]).await;
        assert_eq!(code, Some(2), "{args:?}: {output}");
        assert!(output.contains(named), "{output}");
    }
    let args = ["token", "service", "--subject", "x", "--ttl", "90m"];
    let (code, output) = run(&args, &[("JWT_SECRET", JWT_SECRET)]).await;
    assert_eq!((code, output.trim().split('.').count()), (Some(0), 3));
}

#[tokio::test]
async fn wrong_usage_is_exit_code_two_with_a_suggestion() {
    let (code, output) = run(&["serv"], &[]).await;
    assert_eq!(code, Some(2));
    assert!(output.contains("serve"), "{output}");
    let (code, output) = run(
        &["serve", "auth", "--help"],
        &[("JWT_SECRET", "s3cret-value")],
    )
    .await;
    assert_eq!(code, Some(0));
    assert!(
        output.contains("--jwt-secret") && output.contains("JWT_SECRET"),
        "{output}"
    );
    assert!(!output.contains("s3cret-value"), "{output}");
}
