//! Servers from the packages of this machine, run in a folder of their own.

use super::watchdog::Watchdog;
use crate::{env, process::send_signal, wait::PAUSE};
use anyhow::{Context, Result, ensure};
use std::{
    fs::{self, File},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicBool, Ordering},
};

/// A folder in memory, on Linux.
const MEMORY: &str = "/dev/shm";

/// What must be free there, in KiB: it is taken from the tests.
const ROOM: u64 = 2 * 1024 * 1024;

static ON_DISK: AtomicBool = AtomicBool::new(false);

/// Ends what the file `processes` lists, a signal and a process group a line, and removes the folder.
/// What does not end by its signal within five seconds is killed. (Not `kill -s 0`: it also finds
/// processes that have ended but that nobody has collected yet.)
const CLEAN_UP: &str = r#"
    while read -r signal group; do kill -s "$signal" -- "-$group"; done <"$1/processes"
    tries=0
    while read -r signal group; do
        while [ -e "/proc/$group/exe" ] && [ $tries -lt 100 ]; do
            sleep 0.05
            tries=$((tries + 1))
        done
        kill -s KILL -- "-$group"
    done <"$1/processes"
    rm -rf "$1" || { sleep 1; rm -rf "$1"; }
"#;

/// A temporary folder and the server processes that use it. Dropping it ends and removes them, and
/// so does a watchdog when this process ends in any other way.
#[derive(Debug)]
pub(crate) struct Native {
    /// The user to run as, where this process is root: the servers refuse to run as root.
    user: Option<(u32, u32)>,
    processes: Vec<Running>,
    // After the processes, because it removes the folder they use.
    _watchdog: Watchdog,
    folder: PathBuf,
}

#[derive(Debug)]
struct Running {
    child: Child,
    /// What ends it quickly.
    signal: &'static str,
}

impl Native {
    /// `account` is the user that the package made for the server.
    pub(crate) fn new(account: &str) -> Result<Self> {
        Self::new_in(&std::env::temp_dir(), account)
    }

    /// With its folder in this one.
    pub(crate) fn new_in(parent: &Path, account: &str) -> Result<Self> {
        let user = match id("-u", None)? {
            0 => Some((id("-u", Some(account))?, id("-g", Some(account))?)),
            _ => None,
        };
        let folder = tempfile::Builder::new()
            .prefix("shopflow-test-")
            .tempdir_in(parent)?;
        fs::write(folder.path().join("processes"), "")?;
        let watchdog = Watchdog::start(CLEAN_UP, folder.path())?;
        let folder = folder.keep();
        if let Some((uid, gid)) = user {
            std::os::unix::fs::chown(&folder, Some(uid), Some(gid))?;
        }
        Ok(Self {
            user,
            processes: Vec::new(),
            _watchdog: watchdog,
            folder,
        })
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// A command run as the right user with an environment that depends on nothing of ours.
    pub(crate) fn command(&self, program: impl AsRef<Path>) -> Result<Command> {
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.folder.join("log"))?;
        let mut command = Command::new(program.as_ref());
        command
            .env_clear()
            .env("PATH", env::path())
            .env("LC_ALL", "C.UTF-8")
            .env("HOME", &self.folder)
            .current_dir(&self.folder)
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        if let Some((uid, gid)) = self.user {
            command.uid(uid).gid(gid);
        }
        Ok(command)
    }

    /// Runs a command that ends by itself, such as one that prepares a data folder.
    pub(crate) async fn run(&self, command: Command) -> Result<()> {
        let program = command.get_program().display().to_string();
        let status = tokio::process::Command::from(command).status().await?;
        ensure!(status.success(), "{program}: {status}\n{}", self.log());
        Ok(())
    }

    /// Starts a server that ends by `signal`.
    pub(crate) fn spawn(&mut self, mut command: Command, signal: &'static str) -> Result<()> {
        let child = command
            .spawn()
            .with_context(|| format!("{} does not start", command.get_program().display()))?;
        self.processes.push(Running { child, signal });
        self.tell_watchdog()
    }

    /// Fails, showing what was logged, if one of the processes has ended by itself.
    pub(crate) fn check_alive(&mut self) -> Result<()> {
        for running in &mut self.processes {
            let ended = running.child.try_wait()?;
            if let Some(status) = ended {
                anyhow::bail!("the server ended with {status}:\n{}", self.log());
            }
        }
        Ok(())
    }

    /// Ends the process started last, and waits until it is gone.
    pub(crate) fn end_last(&mut self) {
        if let Some(running) = self.processes.pop() {
            end(running);
        }
        // Else the watchdog would signal a group whose number may be someone else's by then.
        let _ = self.tell_watchdog();
    }

    /// Kills the process started last with all its children (SIGKILL), and waits until they are gone:
    /// they may have groups of their own, and who lives on would keep the server from coming back.
    pub(crate) fn kill_last(&mut self) {
        if let Some(mut running) = self.processes.pop() {
            let parent = running.child.id();
            // Stopped, it has no more children while they are counted.
            send_signal("STOP", &parent.to_string());
            while is_running(parent) && state(parent) != Some('T') {
                std::thread::sleep(PAUSE);
            }
            let children = children(parent);
            let _ = running.child.kill();
            let _ = running.child.wait();
            for child in &children {
                send_signal("KILL", &child.to_string());
            }
            while children.iter().any(|child| is_running(*child)) {
                std::thread::sleep(PAUSE);
            }
        }
        let _ = self.tell_watchdog();
    }

    fn tell_watchdog(&self) -> Result<()> {
        let lines = self
            .processes
            .iter()
            .map(|running| format!("{} {}\n", running.signal, running.child.id()));
        fs::write(self.folder.join("processes"), lines.collect::<String>())?;
        Ok(())
    }

    /// The last lines that the servers wrote.
    fn log(&self) -> String {
        let log = fs::read(self.folder.join("log")).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }
}

impl Drop for Native {
    fn drop(&mut self) {
        while !self.processes.is_empty() {
            self.end_last();
        }
    }
}

fn end(mut running: Running) {
    // Once it was waited for, its number may be someone else's.
    if matches!(running.child.try_wait(), Ok(None)) {
        send_signal(running.signal, &format!("-{}", running.child.id()));
    }
    let _ = running.child.wait();
}

/// The processes that this one has started.
fn children(parent: u32) -> Vec<u32> {
    let list = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children"));
    let list = list.unwrap_or_default();
    list.split_whitespace()
        .filter_map(|pid| pid.parse().ok())
        .collect()
}

/// Whether a process has not ended yet. One that nobody has collected (`Z`) has; before it is one it may
/// still hold memory that it shares with others.
fn is_running(pid: u32) -> bool {
    state(pid).is_some_and(|state| !"ZX".contains(state))
}

/// The letter for what a process does (proc(5)); nothing once it is gone.
fn state(pid: u32) -> Option<char> {
    let told = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // Its name, in parentheses, may have any letter in it.
    let (_, behind) = told.rsplit_once(") ")?;
    behind.chars().next()
}

/// Has what this process starts from now on keep its data on the disk, as an operator has it: for
/// whoever measures.
pub fn keep_on_disk() {
    ON_DISK.store(true, Ordering::Relaxed);
}

/// Where a server works that waits for the disk with every message: in memory if there is room, since
/// the disk of a busy machine may keep it waiting for seconds. What it wrote outlives its process there
/// too. A temporary folder that was asked for is used all the same.
pub(crate) fn quick_folder() -> PathBuf {
    let asked_for = ON_DISK.load(Ordering::Relaxed) || env::variable("TMPDIR").is_some();
    let has_room = || free(MEMORY).is_some_and(|free| free >= ROOM);
    let is_ours = || tempfile::tempfile_in(MEMORY).is_ok();
    match !asked_for && has_room() && is_ours() {
        true => MEMORY.into(),
        false => std::env::temp_dir(),
    }
}

/// The KiB that are free in a folder, if there is such a folder.
fn free(folder: &str) -> Option<u64> {
    let mut df = Command::new("df");
    let output = df.args(["-k", "--output=avail", folder]).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().nth(1)?.trim().parse().ok()
}

/// Looks for a program in `folders`, then in `PATH`.
pub(crate) fn find_program(name: &str, folders: &[PathBuf]) -> Option<PathBuf> {
    let path = env::path();
    let in_path = std::env::split_paths(&path);
    folders
        .iter()
        .cloned()
        .chain(in_path)
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
}

/// A number that the `id` command gives for an account, or for this process.
fn id(option: &str, account: Option<&str>) -> Result<u32> {
    let output = Command::new("id")
        .arg(option)
        .args(account)
        .output()
        .context("no id command")?;
    let text = String::from_utf8_lossy(&output.stdout);
    text.trim()
        .parse()
        .with_context(|| format!("there is no user {}", account.unwrap_or("at all")))
}
