//! Steady load: customers who order, and do not give up before they have an answer; an admin who
//! ships some of what they ordered.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use http::Method;
use serde_json::{Value, json};
use shopflow_testkit::{Client, wait_until};
use tokio::task::JoinSet;

use crate::rig::{ORDERS, Rig, SOON};

const PASSWORD: &str = "S3cur3P@ssw0rd!";
const WORKERS: usize = 8;

/// What is known from outside: every 201, and what was done with it.
#[derive(Default)]
pub(crate) struct Known {
    /// The key that a customer placed an order by, by the order's id.
    pub(crate) placed: HashMap<String, String>,
    pub(crate) shipped: Vec<String>,
}

#[derive(Default)]
struct Shared {
    known: Mutex<Known>,
    answered: AtomicU64,
    paused: AtomicBool,
    busy: AtomicUsize,
    /// Between two orders of one customer, in microseconds.
    pause: AtomicU64,
    recoveries: Mutex<Vec<Duration>>,
    /// The longest that a customer had to wait for an order, in microseconds.
    longest_wait: AtomicU64,
    /// An answer that no customer should get.
    wrong: Mutex<Option<String>>,
}

impl Shared {
    fn complain(&self) {
        let wrong = self.wrong.lock().unwrap().take();
        assert!(wrong.is_none(), "{}", wrong.unwrap());
    }
}

/// The load. It ends when it is dropped.
pub(crate) struct Load {
    shared: Arc<Shared>,
    _workers: JoinSet<()>,
}

#[derive(Clone)]
struct Person {
    token: String,
}

impl Load {
    /// Begins paused.
    pub(crate) async fn start(rig: &Rig, rate: u32) -> Self {
        let auth = rig.nodes[0].client();
        let mut people = Vec::new();
        for number in 0..WORKERS {
            let phone = (number % 2 == 0).then(|| format!("+1555123{number:04}"));
            people.push(customer(&auth, &format!("customer{number}@example.com"), phone).await);
        }
        let admin = admin(rig, &auth).await;
        let shared = Arc::new(Shared::default());
        shared.paused.store(true, Ordering::SeqCst);
        let mut workers = JoinSet::new();
        for (number, person) in people.into_iter().enumerate() {
            let worker = Worker {
                number,
                shops: ORDERS.map(|node| rig.nodes[node].client()),
                person,
                admin: admin.clone(),
                shared: shared.clone(),
            };
            workers.spawn(worker.run());
        }
        let load = Self {
            shared,
            _workers: workers,
        };
        load.goes_at(rate);
        load
    }

    /// So many orders a second from now on, if they are answered so fast.
    pub(crate) fn goes_at(&self, rate: u32) {
        let pause = 1_000_000 * WORKERS as u64 / u64::from(rate);
        self.shared.pause.store(pause, Ordering::SeqCst);
    }

    /// The longest that anybody had to wait for an order since the last time this was asked.
    pub(crate) fn longest_wait(&self) -> Duration {
        Duration::from_micros(self.shared.longest_wait.swap(0, Ordering::SeqCst))
    }

    pub(crate) fn resume(&self) {
        self.shared.paused.store(false, Ordering::SeqCst);
    }

    /// Lets everybody finish what they have begun.
    pub(crate) async fn pause(&self) {
        self.shared.paused.store(true, Ordering::SeqCst);
        wait_until("all customers have their answers", SOON * 2, || async {
            self.shared.complain();
            self.shared.busy.load(Ordering::SeqCst) == 0
        })
        .await;
    }

    /// How many orders were answered with 201 so far.
    pub(crate) fn answered(&self) -> u64 {
        self.shared.answered.load(Ordering::SeqCst)
    }

    pub(crate) async fn reaches(&self, orders: usize) {
        let hours = Duration::from_secs(6 * 3600);
        wait_until("so many orders are placed", hours, || async {
            self.shared.complain();
            self.answered() >= u64::try_from(orders).unwrap()
        })
        .await;
    }

    /// Waits until orders are taken again after a fault, and remembers how long that took.
    pub(crate) async fn flows_again(&self, begun: u64, at_most: Duration) -> Duration {
        let healed = Instant::now();
        let now = self.answered().max(begun);
        wait_until("orders flow again", at_most, || async {
            self.shared.complain();
            self.answered() > now
        })
        .await;
        let took = healed.elapsed();
        self.shared.recoveries.lock().unwrap().push(took);
        took
    }

    /// How long it took until orders were taken again: median and longest.
    pub(crate) fn recovery(&self) -> String {
        let mut all = self.shared.recoveries.lock().unwrap().clone();
        all.sort();
        let median = all[all.len() / 2];
        format!("p50 {median:.1?}, longest {:.1?}", all[all.len() - 1])
    }

    pub(crate) fn known<T>(&self, read: impl FnOnce(&Known) -> T) -> T {
        read(&self.shared.known.lock().unwrap())
    }
}

async fn customer(auth: &Client, email: &str, phone: Option<String>) -> Person {
    let body = json!({
        "email": email, "password": PASSWORD, "first_name": "Jane", "last_name": "Doe",
        "phone": phone,
    });
    let made = auth.post_again("/auth/register", &body).await;
    assert_eq!(made.status, 201, "{}", made.text());
    login(auth, email).await
}

async fn login(auth: &Client, email: &str) -> Person {
    let body = json!({ "email": email, "password": PASSWORD });
    let tokens = auth.post_again("/auth/login", &body).await;
    let token = tokens.json()["access_token"].as_str().unwrap().to_owned();
    Person { token }
}

async fn admin(rig: &Rig, auth: &Client) -> Person {
    let email = "admin@example.com";
    let args = [
        "users",
        "create-admin",
        "--email",
        email,
        "--first-name",
        "Ada",
        "--last-name",
        "Admin",
    ];
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_shopflow"))
        .args(args)
        .env("DATABASE_URL", &rig.database_url)
        .env("SHOPFLOW_ADMIN_PASSWORD", PASSWORD)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    login(auth, email).await
}

struct Worker {
    number: usize,
    shops: [Client; 2],
    person: Person,
    admin: Person,
    shared: Arc<Shared>,
}

impl Worker {
    async fn run(self) {
        let mut count = 0;
        loop {
            let pause = self.shared.pause.load(Ordering::SeqCst);
            tokio::time::sleep(Duration::from_micros(pause)).await;
            // Counted as busy before the look, so that a pause waits for whoever saw none.
            self.shared.busy.fetch_add(1, Ordering::SeqCst);
            if !self.shared.paused.load(Ordering::SeqCst) {
                count += 1;
                let key = format!("{}-{count}", self.number);
                let order = self.place(&key).await;
                if count % 4 == 0 {
                    self.ship(&order).await;
                }
            }
            self.shared.busy.fetch_sub(1, Ordering::SeqCst);
        }
    }

    /// Sends a request, to one shop and the other, until it has an answer that is one.
    async fn insist(
        &self,
        method: Method,
        path: &str,
        who: &Person,
        key: &str,
        body: Value,
    ) -> (u16, Value) {
        let bearer = format!("Bearer {}", who.token);
        let headers = [
            ("authorization", bearer.as_str()),
            ("content-type", "application/json"),
            ("idempotency-key", key),
        ];
        for attempt in self.number.. {
            let shop = &self.shops[attempt % 2];
            let send = shop.request(method.clone(), path, &headers, body.to_string());
            match tokio::time::timeout(Duration::from_secs(5), send).await {
                // Still at work on the first one, or not able to right now.
                Ok(Ok(answer)) if answer.status == 503 => {}
                // Auth could not say who it is (contract §3).
                Ok(Ok(answer)) if answer.status == 401 => {}
                Ok(Ok(answer)) if answer.status == 409 && is_in_progress(&answer.text()) => {}
                Ok(Ok(answer)) => return (answer.status, answer.json()),
                Ok(Err(_)) | Err(_) => {}
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        unreachable!("the attempts have no end");
    }

    fn expect(&self, right: bool, status: u16, answer: &Value) {
        if !right {
            let mut wrong = self.shared.wrong.lock().unwrap();
            wrong.get_or_insert_with(|| format!("{status} {answer}"));
        }
    }

    async fn place(&self, key: &str) -> String {
        let (body, begun) = (new_order(), Instant::now());
        let (status, order) = self
            .insist(Method::POST, "/orders", &self.person, key, body)
            .await;
        self.expect(status == 201, status, &order);
        let waited = u64::try_from(begun.elapsed().as_micros()).unwrap();
        self.shared.longest_wait.fetch_max(waited, Ordering::SeqCst);
        let id = order["id"].as_str().unwrap_or_default().to_owned();
        let mut known = self.shared.known.lock().unwrap();
        known.placed.insert(id.clone(), key.to_owned());
        self.shared.answered.fetch_add(1, Ordering::SeqCst);
        id
    }

    /// Confirms and ships an order. A change whose answer was lost is found made when it is repeated.
    async fn ship(&self, order: &str) {
        for to in ["confirmed", "shipped"] {
            let (path, body) = (format!("/orders/{order}/status"), json!({ "status": to }));
            let (status, answer) = self
                .insist(Method::PATCH, &path, &self.admin, "none", body)
                .await;
            let made_before = status == 409 && answer["code"] == "already_in_state";
            self.expect(status == 200 || made_before, status, &answer);
        }
        let mut known = self.shared.known.lock().unwrap();
        known.shipped.push(order.to_owned());
    }
}

fn is_in_progress(body: &str) -> bool {
    body.contains("\"request_in_progress\"")
}

pub(crate) fn new_order() -> Value {
    json!({
        "items": [{
            "product_id": "f47ac10b-58cc-4372-a567-0e02b2c3d479",
            "product_name": "Wireless Headphones", "quantity": 2, "unit_price": 49.99
        }],
        "shipping_address": {
            "street": "742 Evergreen Terrace", "city": "Springfield", "state": "IL",
            "zip_code": "62704", "country": "US"
        },
        "currency": "USD"
    })
}
