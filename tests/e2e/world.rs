//! The three services, their servers and their providers, for one test.

use std::time::Duration;

use serde_json::{Value, json};
use shopflow_testkit::{
    Client, FakeSes, FakeTwilio, Process, Response, Vhost, free_port, postgres, rabbitmq,
    wait_until,
};
use sqlx::{Connection, PgConnection};

/// Long enough for a loaded machine; what is waited for usually takes milliseconds.
pub(crate) const SOON: Duration = Duration::from_secs(30);

pub(crate) const JWT_SECRET: &str = "an end-to-end secret of 32 bytes or more";
pub(crate) const PASSWORD: &str = "S3cur3P@ssw0rd!";

/// The binary under test.
pub(crate) fn shopflow() -> &'static str {
    env!("CARGO_BIN_EXE_shopflow")
}

/// Which services a world has, and how they differ from the usual.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    pub(crate) database_url: String,
    pub(crate) rabbitmq_url: String,
    pub(crate) extra: Vec<(&'static str, String)>,
}

/// One world; nothing in it is shared with another test but the servers themselves.
pub(crate) struct World {
    pub(crate) setup: Setup,
    pub(crate) vhost: Vhost,
    pub(crate) ses: FakeSes,
    pub(crate) twilio: FakeTwilio,
    pub(crate) auth: Client,
    pub(crate) orders: Client,
    pub(crate) notify: Client,
    pub(crate) ports: [u16; 3],
    pub(crate) processes: Vec<Option<Process>>,
}

pub(crate) const AUTH: usize = 0;
pub(crate) const ORDERS: usize = 1;
pub(crate) const NOTIFY: usize = 2;
const NAMES: [&str; 3] = ["auth", "orders", "notify"];

/// A user with a token.
#[derive(Clone)]
pub(crate) struct Person {
    pub(crate) id: String,
    pub(crate) email: String,
    pub(crate) access: String,
    pub(crate) refresh: String,
}

impl World {
    /// All three services on one fresh database and one fresh vhost, ready.
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| ()).await
    }

    /// The same, with something changed beforehand.
    pub(crate) async fn start_with(change: impl FnOnce(&mut Setup)) -> Self {
        let mut world = Self::prepare(change).await;
        for service in [AUTH, ORDERS, NOTIFY] {
            world.launch(service);
        }
        for service in [AUTH, ORDERS, NOTIFY] {
            world.wait_ready(service).await;
        }
        world
    }

    /// A world in which nothing runs yet.
    pub(crate) async fn prepare(change: impl FnOnce(&mut Setup)) -> Self {
        let vhost = rabbitmq().await.vhost().await;
        let mut setup = Setup {
            database_url: postgres().await.database().await,
            rabbitmq_url: vhost.url().to_owned(),
            extra: Vec::new(),
        };
        change(&mut setup);
        let ports = [free_port(), free_port(), free_port()];
        let client = |port| Client::new(format!("http://127.0.0.1:{port}"));
        Self {
            setup,
            vhost,
            ses: FakeSes::start(),
            twilio: FakeTwilio::start(),
            auth: client(ports[AUTH]),
            orders: client(ports[ORDERS]),
            notify: client(ports[NOTIFY]),
            ports,
            processes: vec![None, None, None],
        }
    }

    /// The environment of a service.
    pub(crate) fn environment(&self, service: usize) -> Vec<(&'static str, String)> {
        let url = |service: usize| format!("http://127.0.0.1:{}", self.ports[service]);
        let mut env = vec![
            ("DATABASE_URL", self.setup.database_url.clone()),
            ("PORT", self.ports[service].to_string()),
            ("BIND_ADDRESS", "127.0.0.1".into()),
            ("LOG_LEVEL", "info".into()),
        ];
        if service == AUTH {
            env.push(("JWT_SECRET", JWT_SECRET.into()));
        } else {
            env.push(("AUTH_SERVICE_URL", url(AUTH)));
            env.push(("AUTH_SERVICE_TOKEN", service_token(NAMES[service])));
            env.push(("RABBITMQ_URL", self.setup.rabbitmq_url.clone()));
        }
        if service == NOTIFY {
            env.extend([
                ("ORDER_SERVICE_URL", url(ORDERS)),
                ("ORDER_SERVICE_TOKEN", service_token("notification-service")),
                ("AWS_SES_REGION", "us-east-1".into()),
                ("AWS_SES_FROM_EMAIL", "noreply@shopflow.example".into()),
                ("AWS_ENDPOINT_URL", self.ses.endpoint().to_owned()),
                ("AWS_ACCESS_KEY_ID", "test".into()),
                ("AWS_SECRET_ACCESS_KEY", "test".into()),
                ("TWILIO_ACCOUNT_SID", "AC00000000000000000000000000000000".into()),
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

    /// Starts a service and does not wait for it.
    pub(crate) fn launch(&mut self, service: usize) {
        let env = self.environment(service);
        let process = Process::start(shopflow(), ["serve", NAMES[service]], env);
        self.processes[service] = Some(process);
    }

    /// Kills a service where it stands, as `kill -9` does, and starts it again.
    pub(crate) async fn crash(&mut self, service: usize) {
        if let Some(process) = self.processes[service].take() {
            process.kill();
            process.wait_exit(SOON).await;
        }
        self.launch(service);
    }

    pub(crate) fn process(&self, service: usize) -> &Process {
        self.processes[service].as_ref().expect("a running service")
    }

    pub(crate) fn client(&self, service: usize) -> &Client {
        [&self.auth, &self.orders, &self.notify][service]
    }

    pub(crate) async fn wait_ready(&self, service: usize) {
        let client = self.client(service);
        let what = format!("{} is ready", NAMES[service]);
        wait_until(&what, SOON, || async move { answers_200(client, "/health/ready").await }).await;
    }

    /// A customer with a phone, logged in.
    pub(crate) async fn customer(&self, name: &str) -> Person {
        self.customer_with(name, Some("+15551234567")).await
    }

    pub(crate) async fn customer_with(&self, name: &str, phone: Option<&str>) -> Person {
        let email = format!("{name}@example.com");
        let body = json!({
            "email": email, "password": PASSWORD,
            "first_name": "Jane", "last_name": "Doe", "phone": phone,
        });
        let registered = self.auth.post("/auth/register", &body).await;
        assert_eq!(registered.status, 201, "{}", registered.text());
        self.login(&email).await
    }

    pub(crate) async fn login(&self, email: &str) -> Person {
        let body = json!({ "email": email, "password": PASSWORD });
        let tokens = self.auth.post("/auth/login", &body).await;
        assert_eq!(tokens.status, 200, "{}", tokens.text());
        let tokens = tokens.json();
        let access = tokens["access_token"].as_str().unwrap().to_owned();
        let valid = self.auth.with_token(&access).post("/auth/validate", &Value::Null).await;
        Person {
            id: valid.json()["user"]["id"].as_str().unwrap().to_owned(),
            email: email.to_owned(),
            refresh: tokens["refresh_token"].as_str().unwrap().to_owned(),
            access,
        }
    }

    /// An admin, made at the command line, logged in.
    pub(crate) async fn admin(&self) -> Person {
        let made = self.create_admin("admin@example.com").await;
        assert_eq!(made.0, Some(0), "{}", made.1);
        self.login("admin@example.com").await
    }

    /// Exit code and output of `users create-admin`.
    pub(crate) async fn create_admin(&self, email: &str) -> (Option<i32>, String) {
        let args = ["users", "create-admin", "--email", email, "--first-name", "Ada", "--last-name", "Admin"];
        let env = [
            ("DATABASE_URL", self.setup.database_url.as_str()),
            ("SHOPFLOW_ADMIN_PASSWORD", PASSWORD),
        ];
        run(&args, &env).await
    }

    pub(crate) async fn place(&self, who: &Person) -> Value {
        let placed = self.try_place(who).await;
        assert_eq!(placed.status, 201, "{}", placed.text());
        placed.json()
    }

    pub(crate) async fn try_place(&self, who: &Person) -> Response {
        self.orders.with_token(&who.access).post("/orders", &new_order()).await
    }

    pub(crate) async fn transition(&self, who: &Person, order: &str, to: &str) -> Response {
        let path = format!("/orders/{order}/status");
        let body = json!({ "status": to });
        self.orders.with_token(&who.access).patch(&path, &body).await
    }

    /// All notifications of a user.
    pub(crate) async fn notifications(&self, who: &Person) -> Vec<Value> {
        let client = self.notify.with_token(&who.access);
        let list = client.get("/notifications?limit=100").await;
        assert_eq!(list.status, 200, "{}", list.text());
        list.json()["data"].as_array().unwrap().clone()
    }

    /// Waits until the user has so many notifications in this state.
    pub(crate) async fn wait_notified(&self, who: &Person, count: usize, status: &str) {
        let what = format!("{count} notifications {status}");
        wait_until(&what, SOON * 2, || async move {
            let all = self.notifications(who).await;
            all.iter().filter(|one| one["status"] == status).count() == count
        })
        .await;
    }

    pub(crate) async fn sql(&self) -> PgConnection {
        PgConnection::connect(&self.setup.database_url).await.unwrap()
    }

    /// One number out of the database.
    pub(crate) async fn count(&self, sql: &'static str) -> i64 {
        let mut connection = self.sql().await;
        sqlx::query_scalar(sql).fetch_one(&mut connection).await.unwrap()
    }
}

async fn answers_200(client: &Client, path: &str) -> bool {
    let answer = client.request(http::Method::GET, path, &[], "").await;
    answer.is_ok_and(|answer| answer.status == 200)
}

/// Runs a command to its end; exit code and all output.
pub(crate) async fn run(args: &[&str], env: &[(&str, &str)]) -> (Option<i32>, String) {
    let process = Process::start(shopflow(), args, env.iter().copied());
    let status = process.wait_exit(SOON).await.expect("the command ends");
    (status.code(), process.output())
}

/// A service token as an operator makes it.
pub(crate) fn service_token(subject: &str) -> String {
    let output = std::process::Command::new(shopflow())
        .args(["token", "service", "--subject", subject])
        .env("JWT_SECRET", JWT_SECRET)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// The order of the PRD (§4.2): 112.97.
pub(crate) fn new_order() -> Value {
    json!({
        "items": [
            { "product_id": "f47ac10b-58cc-4372-a567-0e02b2c3d479", "product_name": "Wireless Headphones", "quantity": 2, "unit_price": 49.99 },
            { "product_id": "6ba7b810-9dad-11d1-80b4-00c04fd430c8", "product_name": "USB-C Cable", "quantity": 1, "unit_price": 12.99 }
        ],
        "shipping_address": { "street": "742 Evergreen Terrace", "city": "Springfield", "state": "IL", "zip_code": "62704", "country": "US" },
        "currency": "USD",
        "notes": "Please leave at the front door."
    })
}

/// Asserts that an answer is a problem document with this status and code.
#[track_caller]
pub(crate) fn assert_problem(answer: &Response, status: u16, code: &str) {
    assert_eq!(answer.status, status, "{}", answer.text());
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    let problem = answer.json();
    assert_eq!(problem["code"], code, "{problem}");
    assert_eq!(problem["status"], status, "{problem}");
    assert_eq!(problem["request_id"].as_str(), answer.header("x-request-id"), "{problem}");
    for field in ["type", "title", "detail"] {
        assert!(problem[field].as_str().is_some_and(|text| !text.is_empty()), "{problem}");
    }
}
