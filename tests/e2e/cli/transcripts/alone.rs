//! What needs no data, and wrong usage.

use crate::cli::golden::Golden;
use crate::world::JWT_SECRET;

use super::NOBODY;

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
        &["reconcile", "--forgotten"],
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
