//! What is built on the figures: the dashboard, the alerts, and their runbooks.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;
use shopflow_testkit::{Service, wait_until};

use super::figures::{busy, names};
use crate::world::SOON;

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

#[tokio::test]
async fn every_figure_of_the_alerts_and_the_dashboard_is_told_by_a_service() {
    let (world, _collector) = busy().await;
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

#[test]
fn every_alert_is_seen_to_fire_and_to_keep_quiet() {
    let tests = include_str!("../../../deploy/observability/rules.test.yml");
    let alerts = RULES
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- alert: "));
    for alert in alerts {
        let fires = format!("- alertname: {alert}\n");
        assert!(tests.contains(&fires), "no test has {alert} fire");
        let quiet = format!("- {{alertname: {alert}, ");
        let quiet = tests.lines().find(|line| line.contains(&quiet));
        let quiet = quiet.unwrap_or_else(|| panic!("no test has {alert} keep quiet"));
        assert!(quiet.ends_with("exp_alerts: []}"), "{quiet}");
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
