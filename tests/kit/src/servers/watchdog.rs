//! Cleaning up after this process however it ends: statics are not dropped, and nobody can catch a
//! SIGKILL.

use anyhow::{Context, Result};
use std::{
    ffi::OsStr,
    os::unix::process::CommandExt,
    process::{Child, Command, Stdio},
};

/// A shell that waits for the end of its standard input, which only this process holds open, and
/// then runs a script. Dropping it runs the script at once.
#[derive(Debug)]
pub(crate) struct Watchdog(Child);

impl Watchdog {
    /// `script` finds `argument` in `$1`.
    pub(crate) fn start(script: &str, argument: impl AsRef<OsStr>) -> Result<Self> {
        // It must survive the signals that end a whole test run, hence the traps and the group of
        // its own; and it must not keep the run's output open, hence no output.
        let script = format!("trap '' HUP INT TERM; while read -r _; do :; done; {script}");
        Command::new("/bin/sh")
            .args(["-c", &script, "watchdog"])
            .arg(argument)
            .current_dir("/")
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map(Self)
            .context("the watchdog does not start")
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}
