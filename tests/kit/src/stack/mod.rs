//! The three services, run as an operator would run them, on real servers and faked providers; or
//! as a developer would, in one process with everything in it.

mod behind;
mod commands;
mod embedded;
mod environment;
mod events;
mod seen;
mod servers;

use crate::{Client, Process, free_port, wait::PAUSE, wait_until};
use behind::Behind;
use std::{path::PathBuf, time::Duration};

pub use events::Events;
pub use seen::{Attempt, Channel, DeadLetter, Fault, Published, Sent};
pub use servers::Servers;

/// Longer than a service needs to become ready on a loaded machine.
const READY: Duration = Duration::from_secs(120);

/// The secret that signs the tokens of a stack on servers.
pub const JWT_SECRET: &str = "a secret for tests of 32 bytes or more";

/// One of the three services.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// Accounts and tokens.
    Auth,
    /// Orders.
    Orders,
    /// Mails and texts.
    Notify,
}

impl Service {
    /// All three.
    pub const ALL: [Self; 3] = [Self::Auth, Self::Orders, Self::Notify];

    /// Its name at the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Auth => "auth",
            Self::Orders => "orders",
            Self::Notify => "notify",
        }
    }
}

/// What the services run on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// `shopflow serve`: three processes, PostgreSQL, RabbitMQ, and stand-ins for SES and Twilio.
    Servers,
    /// `shopflow dev`: one process with a file for its database and an inbox for mails and texts.
    /// Whatever is done to one service is done to all of them.
    Embedded,
}

/// What may be changed before anything runs.
#[derive(Clone, Debug)]
pub struct Setup {
    /// One database for all three services.
    pub database_url: String,
    /// The broker; empty on the embedded back end.
    pub rabbitmq_url: String,
    /// The ports of auth, orders and notify.
    pub ports: [u16; 3],
    /// Variables on top of the usual ones, or in their place.
    pub extra: Vec<(&'static str, String)>,
}

/// The three services with what they need; nothing of it is shared but the servers themselves.
#[derive(Debug)]
pub struct Stack {
    program: PathBuf,
    /// How it is set up; may be changed between one launch and the next.
    pub setup: Setup,
    /// Calls the auth service.
    pub auth: Client,
    /// Calls the order service.
    pub orders: Client,
    /// Calls the notification service.
    pub notify: Client,
    // Before what they write to, so that they are gone when that is removed.
    processes: [Option<Process>; 3],
    behind: Behind,
}

impl Stack {
    /// All three services of `program`, ready, with something changed beforehand.
    pub async fn start(
        backend: Backend,
        program: impl Into<PathBuf>,
        change: impl FnOnce(&mut Setup),
    ) -> Self {
        let mut stack = Self::prepare(backend, program, change).await;
        stack.launch_all().await;
        stack
    }

    /// A stack in which nothing runs yet.
    pub async fn prepare(
        backend: Backend,
        program: impl Into<PathBuf>,
        change: impl FnOnce(&mut Setup),
    ) -> Self {
        let ports = [free_port(), free_port(), free_port()];
        let (behind, mut setup) = Behind::start(backend, ports).await;
        change(&mut setup);
        let [auth, orders, notify] = setup
            .ports
            .map(|port| Client::new(format!("http://127.0.0.1:{port}")));
        Self {
            program: program.into(),
            behind: behind.read_at(&notify),
            setup,
            auth,
            orders,
            notify,
            processes: [None, None, None],
        }
    }

    /// Which process serves it.
    fn index(&self, service: Service) -> usize {
        match self.backend() {
            Backend::Servers => service as usize,
            Backend::Embedded => 0,
        }
    }

    /// Starts a service and does not wait for it.
    pub fn launch(&mut self, service: Service) {
        let index = self.index(service);
        // One that still runs ends first, since it holds the port.
        self.processes[index] = None;
        let args = self.arguments(service);
        let process = Process::start(&self.program, args, self.environment(service));
        self.processes[index] = Some(process);
    }

    /// Starts all three and waits until they are ready.
    pub async fn launch_all(&mut self) {
        let each: &[Service] = match self.backend() {
            Backend::Servers => &Service::ALL,
            Backend::Embedded => &[Service::Auth],
        };
        for service in each {
            self.launch(*service);
        }
        for service in Service::ALL {
            self.wait_ready(service).await;
        }
        if let Some(data) = self.data_dir() {
            // Written once the accounts are there that the first start makes.
            let file = data.join("dev.json");
            wait_until("dev.json is written", READY, async || file.exists()).await;
        }
    }

    /// Another instance of a service on servers, ready, beside the one that runs.
    pub async fn second(&self, service: Service) -> (Process, Client) {
        self.second_at(service, free_port()).await
    }

    /// The same, on a port of the caller's choice.
    pub async fn second_at(&self, service: Service, port: u16) -> (Process, Client) {
        let mut env = self.environment(service);
        env.retain(|(name, _)| *name != "PORT");
        env.push(("PORT", port.to_string()));
        let process = Process::start(&self.program, self.arguments(service), env);
        let client = Client::new(format!("http://127.0.0.1:{port}"));
        wait_until("the second instance is ready", READY, || async {
            let ready = client.request(http::Method::GET, "/health/ready", &[], "");
            ready.await.is_ok_and(|ready| ready.status == 200)
        })
        .await;
        (process, client)
    }

    /// Kills a service where it stands, as `kill -9` does.
    pub async fn kill(&mut self, service: Service) {
        let index = self.index(service);
        if let Some(process) = self.processes[index].take() {
            process.kill();
            process.wait_exit(READY).await;
        }
    }

    /// Kills a service where it stands and starts it again.
    pub async fn crash(&mut self, service: Service) {
        self.kill(service).await;
        self.launch(service);
    }

    /// The process of a service; panics if it was never launched, or killed.
    #[must_use]
    pub fn process(&self, service: Service) -> &Process {
        self.processes[self.index(service)]
            .as_ref()
            .expect("the service runs")
    }

    /// What a service has logged so far, one JSON document a line.
    #[must_use]
    pub fn log(&self, service: Service) -> String {
        match self.backend() {
            Backend::Servers => self.process(service).stdout(),
            Backend::Embedded => self.process(service).stderr(),
        }
    }

    /// Calls a service.
    #[must_use]
    pub fn client(&self, service: Service) -> &Client {
        match service {
            Service::Auth => &self.auth,
            Service::Orders => &self.orders,
            Service::Notify => &self.notify,
        }
    }

    /// Waits until a service says that it is ready; panics, showing what it says and its last lines,
    /// where it does not.
    pub async fn wait_ready(&self, service: Service) {
        let client = self.client(service);
        let asked = async || {
            client
                .request(http::Method::GET, "/health/ready", &[], "")
                .await
        };
        let ready = async {
            while !asked().await.is_ok_and(|answer| answer.status == 200) {
                tokio::time::sleep(PAUSE).await;
            }
        };
        if tokio::time::timeout(READY, ready).await.is_err() {
            let says = asked().await.map(|answer| answer.text());
            let lines = self.process(service).output();
            let lines: Vec<_> = lines.lines().collect();
            let last = lines[lines.len().saturating_sub(30)..].join("\n");
            panic!(
                "{} is not ready after {READY:?}; it says {says:?}\n{last}",
                service.name()
            );
        }
    }
}
