//! Programs run as child processes.

use crate::{env, wait::PAUSE};
use std::{
    ffi::OsStr,
    hash::{BuildHasher, Hasher, RandomState},
    io::Read,
    net::TcpListener,
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicU16, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

/// A running program; it is killed when this is dropped.
#[derive(Debug)]
pub struct Process {
    pid: u32,
    name: String,
    child: Mutex<Child>,
    told: Told,
    readers: Mutex<Vec<JoinHandle<()>>>,
}

type Told = Arc<Mutex<Vec<Lines>>>;

/// Whole lines that were read at once. A program under load tells much, and each line on its own would
/// cost the machine more than it costs the program.
#[derive(Debug)]
struct Lines {
    is_error: bool,
    text: String,
}

impl Process {
    /// Starts `program` with nothing in its environment but `PATH` and `env`, and no input.
    pub fn start(
        program: impl AsRef<Path>,
        args: impl IntoIterator<Item = impl AsRef<OsStr>>,
        env: impl IntoIterator<Item = (impl AsRef<OsStr>, impl AsRef<OsStr>)>,
    ) -> Self {
        let name = program.as_ref().display().to_string();
        let mut child = Command::new(program.as_ref())
            .args(args)
            .env_clear()
            .env("PATH", env::path())
            .envs(env)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{name} does not start: {error}"));
        let told = Told::default();
        let stdout = child.stdout.take().expect("its standard output is piped");
        let stderr = child.stderr.take().expect("its standard error is piped");
        let readers = vec![
            read_lines(stdout, false, told.clone()),
            read_lines(stderr, true, told.clone()),
        ];
        Self {
            pid: child.id(),
            name,
            child: Mutex::new(child),
            told,
            readers: Mutex::new(readers),
        }
    }

    /// The process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Ends the process at once (SIGKILL) and waits until it is gone.
    pub fn kill(&self) {
        let mut child = self.child();
        let _ = child.kill();
        let _ = child.wait();
    }

    /// Asks the process to end (SIGTERM); does not wait.
    pub fn terminate(&self) {
        self.signal("TERM");
    }

    /// Has it read its settings again (SIGHUP), as far as it does.
    pub fn hang_up(&self) {
        self.signal("HUP");
    }

    /// Stops the process where it stands (SIGSTOP), with all its connections open.
    pub fn freeze(&self) {
        self.signal("STOP");
    }

    /// Lets it go on after [`Process::freeze`].
    pub fn thaw(&self) {
        self.signal("CONT");
    }

    fn signal(&self, signal: &str) {
        // The lock keeps the process from being collected, and its id from being given away.
        let mut child = self.child();
        if matches!(child.try_wait(), Ok(None)) {
            send_signal(signal, &self.pid.to_string());
        }
    }

    /// How the process ended, or nothing if it still runs after `timeout`. Its output is complete then.
    pub async fn wait_exit(&self, timeout: Duration) -> Option<ExitStatus> {
        let start = Instant::now();
        let status = loop {
            if let Ok(Some(status)) = self.child().try_wait() {
                break status;
            }
            if start.elapsed() > timeout {
                return None;
            }
            tokio::time::sleep(PAUSE).await;
        };
        // A grandchild may hold the output open, so this does not wait for ever.
        let ended = Instant::now();
        while !self.is_read_to_end() && ended.elapsed() < Duration::from_secs(10) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        Some(status)
    }

    /// Everything written so far, standard output and error in the order of their arrival.
    #[must_use]
    pub fn output(&self) -> String {
        self.text(|_| true)
    }

    /// Everything written so far, standard error after standard output: which of the two arrives first
    /// is chance.
    #[must_use]
    pub fn told(&self) -> String {
        self.stdout() + &self.stderr()
    }

    /// Everything written to standard output so far.
    #[must_use]
    pub fn stdout(&self) -> String {
        self.text(|lines| !lines.is_error)
    }

    /// Everything written to standard error so far.
    #[must_use]
    pub fn stderr(&self) -> String {
        self.text(|lines| lines.is_error)
    }

    /// Waits for a line that contains `part` and returns it; panics, showing the output, when the
    /// time is over or the process ends without it.
    pub async fn wait_for_line(&self, part: &str, timeout: Duration) -> String {
        let start = Instant::now();
        loop {
            // Looked at before the output, so that the last lines are not missed.
            let ended = self.is_read_to_end();
            let found = self.all().iter().find_map(|lines| {
                let mut lines = lines.text.lines();
                lines.find(|line| line.contains(part)).map(str::to_owned)
            });
            if let Some(line) = found {
                return line;
            }
            if ended || start.elapsed() > timeout {
                let why = if ended { "it ended" } else { "time is over" };
                panic!(
                    "no line with {part:?} from {}, {why}:\n{}",
                    self.name,
                    self.output()
                );
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    fn is_read_to_end(&self) -> bool {
        let readers = self.readers.lock().expect("no reader panics");
        readers.iter().all(JoinHandle::is_finished)
    }

    fn text(&self, wanted: impl Fn(&Lines) -> bool) -> String {
        let all = self.all();
        let wanted = all.iter().filter(|lines| wanted(lines));
        wanted.map(|lines| lines.text.as_str()).collect()
    }

    fn child(&self) -> MutexGuard<'_, Child> {
        self.child
            .lock()
            .expect("nothing panics while it holds the child")
    }

    fn all(&self) -> MutexGuard<'_, Vec<Lines>> {
        self.told
            .lock()
            .expect("nothing panics while it holds the lines")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

fn read_lines(mut from: impl Read + Send + 'static, is_error: bool, to: Told) -> JoinHandle<()> {
    std::thread::spawn(move || {
        let mut room = vec![0; 64 * 1024];
        let mut rest = Vec::new();
        let push = |bytes: &[u8]| {
            let mut text = String::from_utf8_lossy(bytes).replace("\r\n", "\n");
            if !text.ends_with('\n') {
                text.push('\n');
            }
            to.lock()
                .expect("no reader panics")
                .push(Lines { is_error, text });
        };
        while let Ok(count @ 1..) = from.read(&mut room) {
            rest.extend_from_slice(&room[..count]);
            if let Some(end) = rest.iter().rposition(|byte| *byte == b'\n') {
                push(&rest[..=end]);
                rest.drain(..=end);
            }
        }
        if !rest.is_empty() {
            push(&rest);
        }
    })
}

/// Sends a signal to a process, or with a minus in front to a process group. The shell does it,
/// because the standard library only knows SIGKILL.
pub(crate) fn send_signal(signal: &str, target: &str) {
    let _ = Command::new("/bin/sh")
        .args(["-c", r#"kill -s "$1" -- "$2""#, "sh", signal, target])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
}

/// A TCP port of the loopback address that nobody listens on, and that this process does not give
/// out twice.
///
/// It lies below the range from which outgoing connections take their ports, so that it stays free.
pub fn free_port() -> u16 {
    const FIRST: u16 = 10_000;
    const COUNT: u16 = 22_000;
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Test processes that run side by side start at different places.
    static START: std::sync::OnceLock<u16> = std::sync::OnceLock::new();
    let start = *START.get_or_init(|| (random() % u64::from(COUNT)) as u16);
    (0..COUNT)
        .map(|_| FIRST + (NEXT.fetch_add(1, Ordering::Relaxed) % COUNT + start) % COUNT)
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .expect("a free port between 10000 and 32000")
}

/// A random number: the standard library seeds its hash maps with one.
fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

/// A name that no other test uses, not even one on another machine with the same server.
pub(crate) fn unique_name(prefix: &str) -> String {
    format!("{prefix}_{:016x}", random())
}
