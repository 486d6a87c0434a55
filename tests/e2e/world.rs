//! A stack for one test, and the people in it.

use std::ops::{Deref, DerefMut};
use std::time::Duration;

use core_kernel::{EventId, EventPublisher, OutboxMessage};
use serde_json::{Value, json};
use shopflow_testkit::{Client, Process, Response, Setup, Stack, wait_for, wait_until};

pub(crate) use shopflow_testkit::Service::{Auth as AUTH, Notify as NOTIFY, Orders as ORDERS};
pub(crate) use shopflow_testkit::{Backend, JWT_SECRET};

/// Long enough for a loaded machine; what is waited for usually takes milliseconds.
pub(crate) const SOON: Duration = Duration::from_secs(60);

/// How many events wait for the relay, or for its note that they were published.
pub(crate) const UNPUBLISHED: &str = "SELECT count(*) FROM order_outbox WHERE published_at IS NULL";

pub(crate) const PASSWORD: &str = "S3cur3P@ssw0rd!";

/// The binary under test.
pub(crate) fn shopflow() -> &'static str {
    env!("CARGO_BIN_EXE_shopflow")
}

/// One world; nothing in it is shared with another test but the servers themselves.
pub(crate) struct World(Stack);

impl Deref for World {
    type Target = Stack;

    fn deref(&self) -> &Stack {
        &self.0
    }
}

impl DerefMut for World {
    fn deref_mut(&mut self) -> &mut Stack {
        &mut self.0
    }
}

/// A user with a token.
#[derive(Clone)]
pub(crate) struct Person {
    pub(crate) id: String,
    pub(crate) email: String,
    pub(crate) access: String,
    pub(crate) refresh: String,
}

impl World {
    /// All three services, ready, on a fresh database and what else belongs to their back end.
    pub(crate) async fn start(on: Backend) -> Self {
        Self::start_with(on, |_| ()).await
    }

    /// The same, with something changed beforehand.
    pub(crate) async fn start_with(on: Backend, change: impl FnOnce(&mut Setup)) -> Self {
        Self(Stack::start(on, shopflow(), change).await)
    }

    /// A world in which nothing runs yet.
    pub(crate) async fn prepare(on: Backend, change: impl FnOnce(&mut Setup)) -> Self {
        Self(Stack::prepare(on, shopflow(), change).await)
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
        let registered = self.auth.post_again("/auth/register", &body).await;
        assert_eq!(registered.status, 201, "{}", registered.text());
        self.login(&email).await
    }

    pub(crate) async fn login(&self, email: &str) -> Person {
        let body = json!({ "email": email, "password": PASSWORD });
        let tokens = self.auth.post_again("/auth/login", &body).await;
        assert_eq!(tokens.status, 200, "{}", tokens.text());
        let tokens = tokens.json();
        let access = tokens["access_token"].as_str().unwrap().to_owned();
        let valid = self
            .auth
            .with_token(&access)
            .post("/auth/validate", &Value::Null)
            .await;
        Person {
            id: valid.json()["user"]["id"].as_str().unwrap().to_owned(),
            email: email.to_owned(),
            refresh: tokens["refresh_token"].as_str().unwrap().to_owned(),
            access,
        }
    }

    /// An admin, made at the command line, logged in.
    pub(crate) async fn admin(&self) -> Person {
        let made = self.create_admin("admin@example.com", PASSWORD).await;
        assert_eq!(made.0, Some(0), "{}", made.1);
        self.login("admin@example.com").await
    }

    /// An order, placed once however often that had to be asked for (see [`undecided`]).
    pub(crate) async fn place(&self, who: &Person) -> Value {
        let orders = self.orders.with_token(&who.access);
        let key = EventId::generate().0.to_string();
        let headers = [
            ("content-type", "application/json"),
            ("idempotency-key", &*key),
        ];
        let body = new_order().to_string();
        let placed = wait_for("orders answers", SOON, async || {
            let method = http::Method::POST;
            let asked = orders.request(method, "/orders", &headers, body.clone());
            let answer = asked.await.unwrap();
            // 409: the first request with this key is still at work.
            (!undecided(&answer) && answer.status != 409).then_some(answer)
        })
        .await;
        assert_eq!(placed.status, 201, "{}", placed.text());
        placed.json()
    }

    /// The answer to one request for an order, whatever it is.
    pub(crate) async fn try_place(&self, who: &Person) -> Response {
        self.orders
            .with_token(&who.access)
            .post("/orders", &new_order())
            .await
    }

    /// What becomes of a change of an order that is asked for (see [`undecided`]).
    pub(crate) async fn transition(&self, who: &Person, order: &str, to: &str) -> Response {
        let path = format!("/orders/{order}/status");
        let body = json!({ "status": to });
        let orders = self.orders.with_token(&who.access);
        wait_for("orders answers", SOON, async || {
            let answer = orders.patch(&path, &body).await;
            (!undecided(&answer)).then_some(answer)
        })
        .await
    }

    /// Takes an order to its next states, one after another.
    pub(crate) async fn advance(&self, who: &Person, order: &str, states: &[&str]) {
        for to in states {
            let moved = self.transition(who, order, to).await;
            // A 503 may have hidden that it was done; the next request finds it so.
            let done = moved.status == 200
                || (moved.status == 409 && moved.json()["code"] == "already_in_state");
            assert!(done, "{}", moved.text());
        }
    }

    /// All notifications of a user.
    pub(crate) async fn notifications(&self, who: &Person) -> Vec<Value> {
        let client = self.notify.with_token(&who.access);
        let list = wait_for("notify answers", SOON, async || {
            let list = client.get("/notifications?limit=100").await;
            (!undecided(&list)).then_some(list)
        })
        .await;
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

    /// Waits until orders has noted of all its events that they were published. A mail may be sent
    /// before that.
    pub(crate) async fn published(&self) {
        wait_until("the outbox is empty", SOON, async || {
            self.count(UNPUBLISHED).await == 0
        })
        .await;
    }

    /// What the tokens are signed with.
    pub(crate) fn jwt_secret(&self) -> String {
        let Some(data) = self.data_dir() else {
            return JWT_SECRET.to_owned();
        };
        let secret = std::fs::read_to_string(data.join("jwt-secret")).unwrap();
        secret.trim().to_owned()
    }

    /// Puts an event where the order service puts its own.
    pub(crate) async fn publish(&self, body: &str, id: Option<&str>) {
        let (exchange, key) = ("order.events", "order.created");
        match self.backend() {
            Backend::Servers => self.to_broker(exchange, key, body, id).await,
            Backend::Embedded => self.to_bus(body, id).await,
        }
    }

    /// Delivers an event once more, as an operator does who replays it by hand.
    pub(crate) async fn redeliver(&self, body: &str, id: Option<&str>) {
        let queue = "notifications.order.created";
        match self.backend() {
            Backend::Servers => self.to_broker("", queue, body, id).await,
            Backend::Embedded => self.to_bus(body, id).await,
        }
    }

    async fn to_broker(&self, exchange: &str, key: &str, body: &str, id: Option<&str>) {
        let kind = id.map(|_| "OrderCreated");
        let vhost = &self.servers().vhost;
        vhost.publish(exchange, key, body, id, kind, &[]).await;
    }

    async fn to_bus(&self, body: &str, id: Option<&str>) {
        let file = self.data_dir().unwrap().join("shopflow.db");
        let database = shopflow_embedded::Database::open(&file).await.unwrap();
        let message = OutboxMessage {
            event_id: id.map_or_else(EventId::generate, |id| EventId(id.parse().unwrap())),
            subject: uuid::Uuid::nil(),
            event_type: "OrderCreated".into(),
            routing_key: "order.created".into(),
            payload: body.into(),
            traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".into(),
            tracestate: None,
            occurred_at: 0,
        };
        let taken = database.bus().publish(&[message]).await.unwrap();
        assert_eq!(taken, [true]);
        database.close().await;
    }

    /// One number out of the database.
    pub(crate) async fn count(&self, sql: &str) -> i64 {
        self.database().await.number(sql).await
    }

    /// Changes something in the database.
    pub(crate) async fn execute(&self, sql: &str) {
        self.database().await.execute(sql).await;
    }
}

/// Whether an answer leaves open what a caller may have. Auth that does not answer within two seconds is a
/// 503 of the others, and an auth that cannot reach its database a 401: on a busy machine both are right,
/// and neither has done anything.
fn undecided(answer: &Response) -> bool {
    matches!(answer.status, 401 | 503)
}

/// The value of a figure without labels, if a service tells it.
pub(crate) async fn metric(service: &Client, name: &str) -> Option<f64> {
    let text = service.get("/metrics").await.text();
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|value| value.trim().parse().ok())
}

/// What a service tells of its needs, once that is what is wanted. A database that takes longer than a
/// second is told as away, which a busy one may be for a moment.
pub(crate) async fn readiness(service: &Client, wanted: impl Fn(&Value) -> bool) -> Value {
    wait_for("the wanted readiness", SOON, async || {
        let told = service.get("/health/ready").await.json();
        wanted(&told).then_some(told)
    })
    .await
}

/// Runs a command to its end; exit code and all output, standard error last.
pub(crate) async fn run(args: &[&str], env: &[(&str, &str)]) -> (Option<i32>, String) {
    let process = Process::start(shopflow(), args, env.iter().copied());
    let status = process.wait_exit(SOON).await.expect("the command ends");
    (status.code(), process.told())
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
    assert_eq!(
        answer.header("content-type"),
        Some("application/problem+json")
    );
    let problem = answer.json();
    assert_eq!(problem["code"], code, "{problem}");
    assert_eq!(problem["status"], status, "{problem}");
    assert_eq!(
        problem["request_id"].as_str(),
        answer.header("x-request-id"),
        "{problem}"
    );
    for field in ["type", "title", "detail"] {
        assert!(
            problem[field].as_str().is_some_and(|text| !text.is_empty()),
            "{problem}"
        );
    }
}
