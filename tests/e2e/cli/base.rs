//! What holds for all commands.

use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::json;
use shopflow_testkit::Process;

use crate::world::{JWT_SECRET, SOON, run, shopflow};

/// Every command below this one, as people type it.
pub(super) fn commands_below(path: &[String]) -> Vec<Vec<String>> {
    let output = Command::new(shopflow())
        .args(path)
        .arg("--help")
        .output()
        .unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    let Some((_, commands)) = help.split_once("\nCommands:\n") else {
        return vec![path.to_vec()];
    };
    let names = commands.lines().take_while(|line| !line.is_empty());
    let names = names.filter_map(|line| line.strip_prefix("  ")?.split(' ').next());
    let names = names.filter(|name| !["", "help"].contains(name));
    let below = names.map(|name| [path, &[name.to_owned()]].concat());
    below.flat_map(|path| commands_below(&path)).collect()
}

#[test]
fn every_command_has_help_that_names_what_it_does() {
    let commands = commands_below(&[]);
    assert!(commands.len() > 20, "{commands:?}");
    for command in commands {
        let output = Command::new(shopflow())
            .args(&command)
            .arg("--help")
            .output()
            .unwrap();
        let help = String::from_utf8(output.stdout).unwrap();
        assert!(
            output.status.success() && help.contains("Usage:"),
            "{command:?}"
        );
        let first = help.lines().next().unwrap_or_default();
        assert!(
            !first.is_empty() && !first.starts_with("Usage"),
            "{command:?}"
        );
    }
}

#[tokio::test]
async fn a_typo_gets_a_suggestion_and_exit_code_two() {
    for (typed, meant) in [
        ("order", "orders"),
        ("notification", "notifications"),
        ("user", "users"),
    ] {
        let (code, output) = run(&[typed, "list"], &[]).await;
        assert_eq!(code, Some(2));
        assert!(output.contains(&format!("'{meant}'")), "{output}");
    }
}

#[tokio::test]
async fn without_a_place_for_data_every_listing_is_exit_code_two() {
    for noun in ["users", "orders", "notifications"] {
        let (code, output) = run(&[noun, "list"], &[]).await;
        let said = "error: DATABASE_URL: is required (or DATABASE_URL_FILE, or --database-url)\n";
        assert_eq!((code, &*output), (Some(2), said), "{noun}");
    }
}

#[tokio::test]
async fn a_folder_that_is_none_of_ours_is_exit_code_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    let (code, output) = run(&["orders", "list", "--data-dir", path], &[]).await;
    let said = format!("error: {path} is no folder of shopflow dev: it has no shopflow.db\n");
    assert_eq!((code, output), (Some(1), said));
}

#[tokio::test]
async fn config_check_tells_all_problems_at_once_or_ok() {
    let (code, output) = run(&["config", "check", "orders"], &[("PORT", "x")]).await;
    assert_eq!(code, Some(2));
    assert_eq!(
        output,
        "error: AUTH_SERVICE_URL: is required (or --auth-service-url)
error: AUTH_SERVICE_TOKEN: is required (or AUTH_SERVICE_TOKEN_FILE, or --auth-service-token)
error: RABBITMQ_URL: is required (or RABBITMQ_URL_FILE, or --rabbitmq-url)
error: PORT: must be a port number, 0 to 65535
error: DATABASE_URL: is required (or DATABASE_URL_FILE, or --database-url)
"
    );
    let good = [
        ("DATABASE_URL", "postgres://shopflow@localhost/auth"),
        ("JWT_SECRET", JWT_SECRET),
    ];
    let (code, output) = run(&["config", "check", "auth"], &good).await;
    assert_eq!((code, &*output), (Some(0), "ok\n"));
    let vain = [
        &good[..],
        &[
            ("EMAIL_VERIFICATION", "false"),
            ("REQUIRE_VERIFIED_EMAIL", "true"),
        ],
    ];
    let (code, output) = run(&["config", "check", "auth"], &vain.concat()).await;
    let wanted = "error: REQUIRE_VERIFIED_EMAIL: needs EMAIL_VERIFICATION=true: without it everybody \
                  counts as verified\n";
    assert_eq!((code, &*output), (Some(2), wanted));
}

#[tokio::test]
async fn config_show_masks_secrets_and_tells_where_values_come_from() {
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("token");
    std::fs::write(&secret, "t0ken\n").unwrap();
    let env = [
        ("DATABASE_URL", "postgres://shopflow:s3cret@db:5432/orders"),
        ("AUTH_SERVICE_TOKEN_FILE", secret.to_str().unwrap()),
        ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=s3cret"),
        ("LOG_LEVEL", "debug"),
    ];
    let args = [
        "config", "show", "orders", "--port", "4002", "--output", "json",
    ];
    let process = Process::start(shopflow(), args, env);
    let code = process.wait_exit(SOON).await.unwrap().code();
    assert_eq!(code, Some(0), "{}", process.output());
    let told = process.told();
    assert!(
        !told.contains("s3cret") && !told.contains("t0ken"),
        "{told}"
    );
    let shown: serde_json::Value = serde_json::from_str(&process.stdout()).unwrap();
    let setting = |name: &str| {
        let all = shown["data"].as_array().unwrap();
        let one = all.iter().find(|one| one["name"] == name).unwrap();
        (
            one["value"].clone(),
            one["from"].as_str().unwrap().to_owned(),
        )
    };
    let file = format!("file {}", secret.display());
    for (name, value, from) in [
        ("PORT", json!("4002"), "flag --port"),
        (
            "DATABASE_URL",
            json!("postgres://***@db:5432/orders"),
            "environment",
        ),
        ("AUTH_SERVICE_TOKEN", json!("***"), &*file),
        ("OTEL_EXPORTER_OTLP_HEADERS", json!("***"), "environment"),
        (
            "OTEL_EXPORTER_OTLP_PROTOCOL",
            json!("http/protobuf"),
            "default",
        ),
        ("LOG_LEVEL", json!("debug"), "environment"),
        ("SHUTDOWN_GRACE_SECONDS", json!("30"), "default"),
        ("RABBITMQ_URL", json!(null), "not set"),
    ] {
        assert_eq!(setting(name), (value, from.to_owned()), "{name}");
    }
    assert!(
        process
            .stderr()
            .contains("error: RABBITMQ_URL: is required"),
        "{told}"
    );
}

/// What `token inspect` says of a token, with this secret.
fn inspected(token: &str, secret: Option<&str>) -> (Option<i32>, serde_json::Value) {
    let mut command = Command::new(shopflow());
    command
        .args(["token", "inspect", "--output", "json"])
        .env_clear();
    if let Some(secret) = secret {
        command.env("JWT_SECRET", secret);
    }
    let pipes = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut child = pipes.spawn().unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(token.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    let told = serde_json::from_slice(&output.stdout).unwrap_or_default();
    (output.status.code(), told)
}

#[tokio::test]
async fn token_inspect_tells_what_is_in_a_token_and_whether_it_is_good() {
    let args = ["token", "service", "--subject", "order-service"];
    let (_, token) = run(&args, &[("JWT_SECRET", JWT_SECRET)]).await;
    let other = "another secret that is long enough for it";
    for (secret, code, verdict) in [
        (Some(JWT_SECRET), 0, "good"),
        (None, 0, "not checked: JWT_SECRET is not set"),
    ] {
        let (ended, told) = inspected(&token, secret);
        assert_eq!(
            (ended, told["verdict"].as_str()),
            (Some(code), Some(verdict))
        );
        assert_eq!(told["claims"]["sub"], "order-service");
    }
    let (ended, told) = inspected(&token, Some(other));
    assert_eq!(ended, Some(1), "{told}");
    assert_ne!(told["verdict"], "good");
    assert_eq!(inspected("no token", None).0, Some(1));
}

#[tokio::test]
async fn completions_are_there_for_four_shells() {
    for (shell, mark) in [
        ("bash", "complete -F"),
        ("zsh", "#compdef shopflow"),
        ("fish", "complete -c shopflow"),
        ("powershell", "Register-ArgumentCompleter"),
    ] {
        let (code, output) = run(&["completions", shell], &[]).await;
        assert_eq!(code, Some(0));
        assert!(
            output.contains(mark) && output.contains("transition"),
            "{shell}"
        );
    }
}

#[tokio::test]
async fn the_manual_has_every_command() {
    let (code, output) = run(&["man"], &[]).await;
    assert_eq!(code, Some(0));
    for section in [
        ".TH shopflow",
        "SHOPFLOW SERVE AUTH",
        "SHOPFLOW ORDERS TRANSITION",
    ] {
        assert!(output.contains(section), "{section}");
    }
}

#[test]
fn a_reader_that_goes_early_is_no_error() {
    // More than a pipe holds, so that it is written to after its reader has gone.
    let mut child = Command::new(shopflow())
        .arg("man")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}
