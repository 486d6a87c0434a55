//! How many instructions small pieces of work take, held against what they took before. Unlike time,
//! they are nearly the same in each run, on any machine, so a few percent more are a change of ours.
//!
//! Counted are those of the program as tests are built, not of the shipped one: this guards against
//! work that is done twice, and not against a compiler that optimises less.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that cannot go on says where it stopped, and this one prints its own results"
)]

#[path = "../micro/cases.rs"]
mod cases;
#[path = "../src/http.rs"]
mod http;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, ExitCode};

/// What each piece of work took when it was last looked at. To accept what it takes now, run with
/// `SHOPFLOW_BASELINE=write`.
const BASELINE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/instructions.json");

/// More than this share of the baseline is a failure; what is random in a run moves it by less.
const TOLERANCE: f64 = 0.1;

/// The difference between so much work and so much more leaves out what starting takes.
const TIMES: [u64; 2] = [20, 120];

#[expect(clippy::disallowed_methods, reason = "a test has no other settings")]
fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let [count, name, times] = args.as_slice()
        && count == "count"
    {
        work(name, times.parse().unwrap());
        return ExitCode::SUCCESS;
    }
    // A filter that `cargo test` was given for tests of other files.
    let filter = args.iter().find(|arg| !arg.starts_with('-'));
    if filter.is_some_and(|filter| !"instructions".contains(filter.as_str())) {
        println!("test result: ok. 0 passed; 0 failed");
        return ExitCode::SUCCESS;
    }
    let counted: BTreeMap<&str, u64> = cases::ALL.map(|(name, _)| (name, count(name))).into();
    if std::env::var_os("SHOPFLOW_BASELINE").is_some() {
        let text = serde_json::to_string_pretty(&counted).unwrap();
        std::fs::write(BASELINE, text + "\n").unwrap();
        return ExitCode::SUCCESS;
    }
    let text = std::fs::read_to_string(BASELINE).unwrap();
    let before: BTreeMap<String, u64> = serde_json::from_str(&text).unwrap();
    let mut failed = 0;
    for (name, count) in &counted {
        let limit = (before[*name] as f64 * (1.0 + TOLERANCE)) as u64;
        let verdict = if *count > limit { "FAILED" } else { "ok" };
        failed += usize::from(*count > limit);
        println!("test {name} takes no more instructions than {limit} ... {verdict} ({count})");
    }
    let passed = counted.len() - failed;
    let word = if failed == 0 { "ok" } else { "FAILED" };
    println!("test result: {word}. {passed} passed; {failed} failed");
    ExitCode::from(u8::from(failed > 0))
}

fn work(name: &str, times: u64) {
    let (_, prepare) = cases::ALL.iter().find(|(known, _)| *known == name).unwrap();
    let mut work = prepare();
    for _ in 0..times {
        work();
    }
}

/// Instructions of one piece of work.
fn count(name: &str) -> u64 {
    let [some, more] = TIMES.map(|times| total(name, times));
    (more - some) / (TIMES[1] - TIMES[0])
}

/// Instructions of a whole process that does it so often, as valgrind counts them.
fn total(name: &str, times: u64) -> u64 {
    let own = std::env::current_exe().unwrap();
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(Path::new(&own))
        .args(["count", name, &times.to_string()])
        .output()
        .unwrap_or_else(|error| {
            panic!("valgrind does not run ({error}): apt-get install valgrind")
        });
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
    let collected = told
        .lines()
        .find_map(|line| line.split("Collected : ").nth(1));
    let collected = collected.unwrap_or_else(|| panic!("no count in {told}"));
    collected.trim().parse().unwrap()
}
