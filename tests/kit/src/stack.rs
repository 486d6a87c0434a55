//! The three services, run as an operator would run them, on real servers and faked providers.

use crate::{
    Client, FakeSes, FakeTwilio, Process, Vhost, free_port, postgres, rabbitmq, wait_until,
};
use std::{path::PathBuf, time::Duration};

/// Longer than a service needs to become ready on a loaded machine.
const READY: Duration = Duration::from_secs(30);

/// The secret that signs the tokens of a stack.
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

/// What may be changed before anything runs.
#[derive(Clone, Debug)]
pub struct Setup {
    /// One database for all three services.
    pub database_url: String,
    /// The broker.
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
    /// The broker, from behind.
    pub vhost: Vhost,
    /// Where mails end up.
    pub ses: FakeSes,
    /// Where texts end up.
    pub twilio: FakeTwilio,
    /// Calls the auth service.
    pub auth: Client,
    /// Calls the order service.
    pub orders: Client,
    /// Calls the notification service.
    pub notify: Client,
    processes: [Option<Process>; 3],
}

impl Stack {
    /// All three services of `program`, ready, with something changed beforehand.
    pub async fn start(program: impl Into<PathBuf>, change: impl FnOnce(&mut Setup)) -> Self {
        let mut stack = Self::prepare(program, change).await;
        stack.launch_all().await;
        stack
    }

    /// A stack in which nothing runs yet.
    pub async fn prepare(program: impl Into<PathBuf>, change: impl FnOnce(&mut Setup)) -> Self {
        let vhost = rabbitmq().await.vhost().await;
        let mut setup = Setup {
            database_url: postgres().await.database().await,
            rabbitmq_url: vhost.url().to_owned(),
            ports: [free_port(), free_port(), free_port()],
            extra: Vec::new(),
        };
        change(&mut setup);
        let [auth, orders, notify] = setup
            .ports
            .map(|port| Client::new(format!("http://127.0.0.1:{port}")));
        Self {
            program: program.into(),
            setup,
            vhost,
            ses: FakeSes::start(),
            twilio: FakeTwilio::start(),
            auth,
            orders,
            notify,
            processes: [None, None, None],
        }
    }

    /// The environment of a service.
    #[must_use]
    pub fn environment(&self, service: Service) -> Vec<(&'static str, String)> {
        let url = |of: Service| format!("http://127.0.0.1:{}", self.setup.ports[of as usize]);
        let mut env = vec![
            ("DATABASE_URL", self.setup.database_url.clone()),
            ("PORT", self.setup.ports[service as usize].to_string()),
            ("BIND_ADDRESS", "127.0.0.1".into()),
        ];
        if service == Service::Auth {
            env.push(("JWT_SECRET", JWT_SECRET.into()));
        } else {
            let own = format!("{}-service", service.name());
            env.push(("AUTH_SERVICE_URL", url(Service::Auth)));
            env.push(("AUTH_SERVICE_TOKEN", self.service_token(&own)));
            env.push(("RABBITMQ_URL", self.setup.rabbitmq_url.clone()));
        }
        if service == Service::Notify {
            env.extend([
                ("ORDER_SERVICE_URL", url(Service::Orders)),
                (
                    "ORDER_SERVICE_TOKEN",
                    self.service_token("notification-service"),
                ),
                ("AWS_SES_REGION", "us-east-1".into()),
                ("AWS_SES_FROM_EMAIL", "noreply@shopflow.example".into()),
                ("AWS_ENDPOINT_URL", self.ses.endpoint().to_owned()),
                ("AWS_ACCESS_KEY_ID", "test".into()),
                ("AWS_SECRET_ACCESS_KEY", "test".into()),
                (
                    "TWILIO_ACCOUNT_SID",
                    "AC00000000000000000000000000000000".into(),
                ),
                ("TWILIO_AUTH_TOKEN", "twilio-token".into()),
                ("TWILIO_FROM_NUMBER", "+15550001234".into()),
                ("TWILIO_API_BASE_URL", self.twilio.endpoint().to_owned()),
            ]);
        }
        for (name, value) in &self.setup.extra {
            env.retain(|(known, _)| known != name);
            env.push((name, value.clone()));
        }
        env
    }

    /// A service token as an operator makes it.
    #[must_use]
    pub fn service_token(&self, subject: &str) -> String {
        let output = std::process::Command::new(&self.program)
            .args(["token", "service", "--subject", subject])
            .env("JWT_SECRET", JWT_SECRET)
            .output()
            .expect("the program runs");
        assert!(output.status.success(), "no service token: {output:?}");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// Runs a command of the program to its end: exit code and all output.
    pub async fn run(&self, args: &[&str], env: &[(&str, &str)]) -> (Option<i32>, String) {
        let process = Process::start(&self.program, args, env.iter().copied());
        let status = process.wait_exit(READY).await;
        let status = status.unwrap_or_else(|| panic!("{args:?} does not end"));
        (status.code(), process.output())
    }

    /// Makes an admin at the command line: exit code and output.
    pub async fn create_admin(&self, email: &str, password: &str) -> (Option<i32>, String) {
        let names = ["--first-name", "Ada", "--last-name", "Admin"];
        let args = [&["users", "create-admin", "--email", email][..], &names].concat();
        let database = ("DATABASE_URL", self.setup.database_url.as_str());
        self.run(&args, &[database, ("SHOPFLOW_ADMIN_PASSWORD", password)])
            .await
    }

    /// Starts a service and does not wait for it.
    pub fn launch(&mut self, service: Service) {
        let env = self.environment(service);
        let process = Process::start(&self.program, ["serve", service.name()], env);
        self.processes[service as usize] = Some(process);
    }

    /// Starts all three and waits until they are ready.
    pub async fn launch_all(&mut self) {
        for service in Service::ALL {
            self.launch(service);
        }
        for service in Service::ALL {
            self.wait_ready(service).await;
        }
    }

    /// Kills a service where it stands, as `kill -9` does.
    pub async fn kill(&mut self, service: Service) {
        if let Some(process) = self.processes[service as usize].take() {
            process.kill();
            process.wait_exit(READY).await;
        }
    }

    /// Kills a service where it stands and starts it again.
    pub async fn crash(&mut self, service: Service) {
        self.kill(service).await;
        self.launch(service);
    }

    /// A running service; panics if it was never launched, or killed.
    #[must_use]
    pub fn process(&self, service: Service) -> &Process {
        self.processes[service as usize]
            .as_ref()
            .expect("the service runs")
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

    /// Waits until a service says that it is ready.
    pub async fn wait_ready(&self, service: Service) {
        let client = self.client(service);
        let what = format!("{} is ready", service.name());
        wait_until(&what, READY, || async move {
            let ready = client
                .request(http::Method::GET, "/health/ready", &[], "")
                .await;
            ready.is_ok_and(|answer| answer.status == 200)
        })
        .await;
    }
}
