//! One service process, and its links to all that it needs, each of which can be cut.

use std::path::PathBuf;

use shopflow_testkit::{Client, JWT_SECRET, Process, Proxy, free_port, wait_until};

use crate::rig::SOON;

/// A link from a node to a neighbour.
pub(crate) struct Link {
    pub(crate) to: &'static str,
    pub(crate) proxy: Proxy,
}

/// A service process.
pub(crate) struct Node {
    pub(crate) name: &'static str,
    service: &'static str,
    port: u16,
    env: Vec<(&'static str, String)>,
    pub(crate) links: Vec<Link>,
    process: Option<Process>,
}

impl Node {
    pub(crate) fn new(name: &'static str, service: &'static str) -> Self {
        let port = free_port();
        let env = [
            ("PORT", port.to_string()),
            ("BIND_ADDRESS", "127.0.0.1".to_owned()),
            ("LOG_LEVEL", "warn".to_owned()),
            ("EMAIL_VERIFICATION", "false".to_owned()),
            ("RATE_LIMIT_AUTH_PER_MINUTE", "0".to_owned()),
            ("RATE_LIMIT_ORDERS_PER_MINUTE", "0".to_owned()),
        ];
        Self {
            name,
            service,
            port,
            env: env.into(),
            links: Vec::new(),
            process: None,
        }
    }

    /// With a variable.
    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.env.push((name, value.into()));
        self
    }

    /// With a variable whose URL leads through a link of its own.
    pub(crate) fn linked(mut self, to: &'static str, name: &'static str, url: &str) -> Self {
        let proxy = Proxy::for_url(url);
        let through = proxy.proxied_url(url);
        self.links.push(Link { to, proxy });
        self.with(name, through)
    }

    /// With a clock that is five minutes off. Time that passes is not: nobody's clock runs faster.
    pub(crate) fn off_by(self, offset: &str) -> Self {
        self.with("LD_PRELOAD", libfaketime().display().to_string())
            .with("FAKETIME", offset)
            .with("FAKETIME_DONT_FAKE_MONOTONIC", "1")
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(self.url())
    }

    /// Starts it, or starts it anew.
    pub(crate) fn launch(&mut self) {
        self.kill();
        let program = env!("CARGO_BIN_EXE_shopflow");
        let env = self.env.iter().map(|(name, value)| (*name, value.as_str()));
        self.process = Some(Process::start(program, ["serve", self.service], env));
    }

    /// Kills it where it stands.
    pub(crate) fn kill(&mut self) {
        if let Some(process) = self.process.take() {
            process.kill();
            self.tell_errors(&process);
        }
    }

    /// Shows what it found wrong with itself.
    #[expect(clippy::print_stdout, reason = "a run that fails has to be explained")]
    fn tell_errors(&self, process: &Process) {
        let output = process.output();
        for line in output
            .lines()
            .filter(|line| line.contains("\"status\":500"))
        {
            println!("  {}: {line}", self.name);
        }
    }

    pub(crate) fn process(&self) -> &Process {
        self.process.as_ref().expect("the node runs")
    }

    pub(crate) async fn wait_ready(&self) {
        let client = self.client();
        wait_until(&format!("{} is ready", self.name), SOON, || async {
            let answer = client.request(http::Method::GET, "/health/ready", &[], "");
            answer.await.is_ok_and(|answer| answer.status == 200)
        })
        .await;
    }
}

/// Debian's `libfaketime`.
fn libfaketime() -> PathBuf {
    let folders = std::fs::read_dir("/usr/lib").unwrap().flatten();
    let files = folders.map(|folder| folder.path().join("faketime/libfaketime.so.1"));
    let mut found = files.filter(|file| file.exists());
    found
        .next()
        .expect("no libfaketime: apt-get install libfaketime")
}

/// A service token as an operator makes it.
pub(crate) fn service_token(subject: &str) -> String {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_shopflow"));
    command.args(["token", "service", "--subject", subject]);
    let output = command.env("JWT_SECRET", JWT_SECRET).output().unwrap();
    assert!(output.status.success(), "no service token: {output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

impl Drop for Node {
    fn drop(&mut self) {
        self.kill();
    }
}
