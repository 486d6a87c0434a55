//! What is built on the figures: the dashboard, the alerts, and their runbooks.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;
use shopflow_testkit::{Backend, Collector, Service, redis, wait_until};

use super::figures::names;
use crate::world::{SOON, World};

const RULES: &str = include_str!("../../../deploy/observability/rules.yml");
const DASHBOARD: &str = include_str!("../../../deploy/observability/dashboard.json");

/// How names of figures begin.
const PREFIXES: [&str; 5] = ["shopflow_", "http_", "db_", "process_", "up"];

fn root() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// The figures that an expression names, without what histograms add to theirs. Labels, which look
/// like them, stand in braces or behind `by` and `on`.
fn figures(expression: &str) -> BTreeSet<String> {
    let mut bare = String::new();
    let mut depth = 0;
    for c in expression.chars() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ if depth == 0 => bare.push(c),
            _ => {}
        }
    }
    let word = |c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':');
    let words = bare.split(word);
    words
        .filter(|word| PREFIXES.iter().any(|prefix| word.starts_with(prefix)))
        // Recorded here from others.
        .filter(|word| !word.contains(':') && *word != "up")
        .map(|word| {
            let parts = ["_bucket", "_count", "_sum"];
            let histogram = parts.iter().find_map(|part| word.strip_suffix(part));
            histogram
                .filter(|base| base.ends_with("_seconds"))
                .unwrap_or(word)
                .to_owned()
        })
        // As labels of a grouping.
        .filter(|word| {
            ![
                "http_route",
                "http_request_method",
                "http_response_status_code",
            ]
            .contains(&word.as_str())
        })
        .collect()
}

/// The expressions of the rules: all lines, since names of figures stand nowhere else.
fn of_rules() -> BTreeSet<String> {
    let lines = RULES.lines().map(str::trim);
    let told = lines.filter(|line| {
        let other = [
            "#",
            "summary:",
            "runbook:",
            "- name:",
            "- alert:",
            "- record:",
        ];
        !other.iter().any(|word| line.starts_with(word))
    });
    told.flat_map(figures).collect()
}

fn of_dashboard() -> BTreeSet<String> {
    fn expressions(value: &Value, into: &mut Vec<String>) {
        match value {
            Value::Object(all) => {
                for (name, value) in all {
                    match value {
                        Value::String(text) if name == "expr" => into.push(text.clone()),
                        other => expressions(other, into),
                    }
                }
            }
            Value::Array(all) => all.iter().for_each(|one| expressions(one, into)),
            _ => {}
        }
    }
    let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();
    let mut all = Vec::new();
    expressions(&dashboard, &mut all);
    assert!(all.len() > 20, "{all:?}");
    all.iter().flat_map(|one| figures(one)).collect()
}

/// With all that has figures of its own.
#[tokio::test]
async fn every_figure_of_the_alerts_and_the_dashboard_is_told_by_a_service() {
    let collector = Collector::start().await;
    let limits = redis().await.database().await;
    let world = World::start_with(Backend::Servers, |setup| {
        let endpoint = collector.endpoint().to_owned();
        setup.extra.push(("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint));
        setup.extra.push(("REDIS_URL", limits));
        for limit in ["RATE_LIMIT_AUTH_PER_MINUTE", "RATE_LIMIT_ORDERS_PER_MINUTE"] {
            setup.extra.push((limit, "1000".into()));
        }
    })
    .await;
    let jane = world.customer("jane").await;
    world.place(&jane).await;
    world.wait_notified(&jane, 2, "sent").await;
    for (place, wanted) in [
        ("rules.yml", of_rules()),
        ("dashboard.json", of_dashboard()),
    ] {
        assert!(wanted.len() > 10, "{wanted:?}");
        // What is counted in the background comes within seconds.
        let what = format!("all that {place} names is told: {wanted:?}");
        wait_until(&what, SOON, async || {
            let mut told = BTreeSet::new();
            for service in Service::ALL {
                told.extend(names(world.client(service)).await);
            }
            wanted.is_subset(&told)
        })
        .await;
    }
}

#[test]
fn every_alert_has_its_runbook() {
    let alerts = RULES.matches("- alert: ").count();
    let links = RULES
        .lines()
        .filter_map(|line| line.trim().strip_prefix("runbook: "));
    let links: Vec<&str> = links.collect();
    assert_eq!(links.len(), alerts);
    for link in links {
        let page = std::fs::read_to_string(root().join(link));
        let page = page.unwrap_or_else(|error| panic!("{link}: {error}"));
        for part in ["## What it means", "## What to look at", "## What to do"] {
            assert!(page.contains(part), "{link} has no {part:?}");
        }
    }
}

/// Debian's package is `prometheus`.
fn promtool(args: [&str; 3]) {
    let folder = root().join("deploy/observability");
    let told = Command::new("promtool")
        .args(args)
        .current_dir(folder)
        .output();
    let told =
        told.unwrap_or_else(|error| panic!("promtool is missing ({error}); see CONTRIBUTING.md"));
    let text = String::from_utf8_lossy(&[told.stdout, told.stderr].concat()).into_owned();
    assert!(told.status.success(), "{text}");
}

#[test]
fn the_rules_are_good_rules() {
    promtool(["check", "rules", "rules.yml"]);
}

#[test]
fn the_alerts_fire_when_they_are_to_and_else_not() {
    promtool(["test", "rules", "rules.test.yml"]);
}
