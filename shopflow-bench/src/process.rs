//! What a process has used, as the kernel tells.

use std::time::Duration;

/// The kernel counts processor time in these, on every Linux.
const TICK: Duration = Duration::from_millis(10);

/// Processor time of a process so far, its own and the kernel's for it.
pub(crate) fn cpu(pid: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // Behind the name, which may hold anything: user and system time are the 12th and 13th.
    let after = stat.rsplit_once(')').map_or("", |(_, after)| after);
    let ticks = after.split_whitespace().skip(11).take(2);
    let ticks: u32 = ticks.filter_map(|word| word.parse::<u32>().ok()).sum();
    TICK * ticks
}

/// Resident memory of a process in MiB.
pub(crate) fn resident(process: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().nth(1));
    let kib = kib.and_then(|kib| kib.parse::<u64>().ok());
    kib.unwrap_or_default() / 1024
}
