//! What the process itself takes, as Linux tells; elsewhere nothing is told.

use std::fmt::Write as _;
use std::fs;

/// Linux counts processor time in these, whatever its kernel's own clock does.
const TICKS_PER_SECOND: f64 = 100.0;

/// The usual figures of a process (Prometheus, "Writing client libraries").
pub(super) fn render(started: i64) -> String {
    let mut text = String::with_capacity(1024);
    let mut tell = |name: &str, kind: &str, help: &str, value: Option<f64>| {
        if let Some(value) = value {
            // Writing to a String cannot fail.
            let _ = writeln!(
                text,
                "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}\n"
            );
        }
    };
    #[expect(clippy::cast_precision_loss, reason = "a gauge is a float")]
    let started = started as f64;
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kilobytes = |name: &str| {
        let value = field(&status, name)?.trim_end_matches("kB").trim();
        value.parse::<f64>().ok().map(|value| value * 1024.0)
    };
    tell(
        "process_cpu_seconds_total",
        "counter",
        "Processor time, user and system, in seconds.",
        cpu_seconds(),
    );
    tell(
        "process_resident_memory_bytes",
        "gauge",
        "Memory in use.",
        kilobytes("VmRSS"),
    );
    tell(
        "process_virtual_memory_bytes",
        "gauge",
        "Address space in use.",
        kilobytes("VmSize"),
    );
    tell(
        "process_threads",
        "gauge",
        "Threads.",
        field(&status, "Threads").and_then(|value| value.parse().ok()),
    );
    tell(
        "process_open_fds",
        "gauge",
        "Open files and sockets.",
        open_files(),
    );
    tell(
        "process_max_fds",
        "gauge",
        "How many files and sockets may be open.",
        max_files(),
    );
    tell(
        "process_start_time_seconds",
        "gauge",
        "When the process began, in seconds since 1970.",
        Some(started),
    );
    text
}

/// The value of a line `Name: value`.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = text.lines();
    lines.find_map(|line| Some(line.strip_prefix(name)?.strip_prefix(':')?.trim()))
}

fn cpu_seconds() -> Option<f64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The program's name, which may hold anything, ends with the last parenthesis.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = |index: usize| fields.get(index)?.parse::<f64>().ok();
    Some((ticks(11)? + ticks(12)?) / TICKS_PER_SECOND)
}

fn open_files() -> Option<f64> {
    let open = fs::read_dir("/proc/self/fd").ok()?.count();
    // One of them is the folder that is being read.
    u32::try_from(open.saturating_sub(1)).ok().map(f64::from)
}

fn max_files() -> Option<f64> {
    let limits = fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits
        .lines()
        .find_map(|l| l.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}
