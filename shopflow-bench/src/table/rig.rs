//! What is measured: the whole stack on durable servers, with accounts and orders in it.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use shopflow_testkit::{Backend, Postgres, PrivatePostgres, Process, Service, Stack, free_port};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use uuid::Uuid;

/// Of the customer whose list is read.
const LISTED: i32 = 200;

/// Longer than any backlog here takes.
pub(super) const PATIENCE: Duration = Duration::from_secs(300);

const PASSWORD: &str = "S3cur3P@ssw0rd!";

/// An order as customers place it, and as it is stored: the service computes subtotals by itself.
pub(crate) const ORDER: &str = r#"{"items":[{"product_id":"f47ac10b-58cc-4372-a567-0e02b2c3d479","product_name":"Wireless Headphones","quantity":2,"unit_price":49.99,"subtotal":99.98},{"product_id":"6ba7b810-9dad-11d1-80b4-00c04fd430c8","product_name":"USB-C Cable","quantity":1,"unit_price":12.99,"subtotal":12.99}],"shipping_address":{"street":"742 Evergreen Terrace","city":"Springfield","state":"IL","zip_code":"62704","country":"US"}}"#;

macro_rules! orders {
    () => {
        "INSERT INTO orders (id, user_id, items, shipping_address, total_amount, created_at, updated_at)
         SELECT gen_random_uuid(), $1, $2::text::jsonb -> 'items',
                $2::text::jsonb -> 'shipping_address', 112.97, now() - n * interval '1 second',
                now() - n * interval '1 second'
         FROM generate_series(1, $3) AS n"
    };
}

/// Orders without their history: one customer's, spread over so many seconds.
const FILL: &str = orders!();

/// The same, telling which.
const SEED: &str = concat!(orders!(), " RETURNING id");

/// Accounts beside those that log in.
const ACCOUNTS: &str = "
    INSERT INTO users (id, email, password_hash, first_name, last_name, role, created_at, updated_at)
    SELECT md5('user' || n)::uuid, 'user' || n || '@example.com', '-', 'Jane', 'Doe', 'customer',
           now() - n * interval '1 minute', now() - n * interval '1 minute'
    FROM generate_series(1, $1) AS n
    ON CONFLICT DO NOTHING";

/// What is not needed to keep rows apart.
const INDEXES: &str = "
    SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid) FROM pg_index
    WHERE indrelid IN ('orders'::regclass, 'users'::regclass) AND NOT indisunique";

/// A user and what shows it.
pub(crate) struct Account {
    pub(crate) id: Uuid,
    pub(crate) token: String,
}

/// Everything that runs.
pub(crate) struct Rig {
    pub(crate) stack: Stack,
    pub(crate) customer: Account,
    pub(crate) admin: Account,
    database: PgConnection,
    _postgres: PrivatePostgres,
}

impl Rig {
    pub(crate) async fn start(program: &Path) -> Self {
        let postgres = Postgres::durable().await;
        let url = postgres.database().await;
        let mut database = PgConnection::connect(&url)
            .await
            .expect("the database answers");
        sqlx::query("CREATE EXTENSION pg_stat_statements")
            .execute(&mut database)
            .await
            .expect("statements can be counted");
        let stack = Stack::start(Backend::Servers, program, |setup| setup.database_url = url).await;
        let customer = account(&stack, "customer@example.com").await;
        stack.create_admin("admin@example.com", PASSWORD).await;
        let admin = login(&stack, "admin@example.com").await;
        let mut rig = Self {
            stack,
            customer,
            admin,
            database,
            _postgres: postgres,
        };
        let customer = rig.customer.id;
        rig.seed(customer, LISTED).await;
        rig
    }

    /// Places so many pending orders without any service; their ids.
    pub(crate) async fn seed(&mut self, user: Uuid, count: i32) -> Vec<Uuid> {
        let ids = sqlx::query_scalar(SEED)
            .bind(user)
            .bind(ORDER)
            .bind(count)
            .fetch_all(&mut self.database)
            .await
            .expect("orders can be made");
        self.tidy(&["VACUUM ANALYZE orders", "CHECKPOINT"]).await;
        ids
    }

    /// The ids of a user's orders.
    pub(crate) async fn orders(&mut self, user: Uuid) -> Vec<Uuid> {
        let ids = sqlx::query_scalar("SELECT id FROM orders WHERE user_id = $1 LIMIT $2");
        let ids = ids.bind(user).bind(LISTED).fetch_all(&mut self.database);
        ids.await.expect("orders can be read")
    }

    /// Has the customer so many orders at least, and as many other accounts. Indexes are made again once
    /// they are there: kept up row by row, those of ten million take a quarter of an hour longer.
    pub(crate) async fn grow(&mut self, to: i32) {
        let user = self.customer.id;
        let have: i64 = sqlx::query_scalar("SELECT count(*) FROM orders WHERE user_id = $1")
            .bind(user)
            .fetch_one(&mut self.database)
            .await
            .expect("orders can be counted");
        let missing = to - i32::try_from(have).unwrap_or(to);
        let indexes: Vec<(String, String)> = sqlx::query_as(INDEXES)
            .fetch_all(&mut self.database)
            .await
            .expect("indexes can be listed");
        self.tidy(&["SET maintenance_work_mem = '1GB'"]).await;
        for (name, _) in &indexes {
            self.run(format!("DROP INDEX {name}")).await;
        }
        let made = sqlx::query(FILL).bind(user).bind(ORDER).bind(missing);
        let made = made.execute(&mut self.database).await;
        made.expect("orders can be made");
        let accounts = sqlx::query(ACCOUNTS).bind(to).execute(&mut self.database);
        accounts.await.expect("accounts can be made");
        for (_, definition) in indexes {
            self.run(definition).await;
        }
        self.tidy(&[
            "VACUUM ANALYZE orders",
            "VACUUM ANALYZE users",
            "CHECKPOINT",
        ])
        .await;
        // What is read from a disk for the first time takes longer than a request may, with ten million.
        let count =
            "SELECT count(*) FILTER (WHERE created_at < now()) FROM orders WHERE user_id = $1";
        let count = sqlx::query(count).bind(user).execute(&mut self.database);
        count.await.expect("orders can be counted");
    }

    async fn run(&mut self, statement: String) {
        let done = sqlx::query(AssertSqlSafe(statement)).execute(&mut self.database);
        done.await.expect("indexes can be made");
    }

    /// The planner is to know what there is, and nothing is to be tidied up while we measure.
    async fn tidy(&mut self, statements: &[&'static str]) {
        for statement in statements {
            let tidied = sqlx::query(*statement).execute(&mut self.database).await;
            tidied.expect("the database can be tidied");
        }
    }

    /// Another instance of a service, and its port.
    pub(crate) async fn second(&self, service: Service) -> (Process, u16) {
        let port = free_port();
        (self.stack.second_at(service, port).await.0, port)
    }

    /// How many statements the database has run.
    pub(crate) async fn statements(&mut self) -> i64 {
        let count = "SELECT coalesce(sum(calls), 0)::bigint FROM pg_stat_statements";
        let count = sqlx::query_scalar(count).fetch_one(&mut self.database);
        count.await.expect("statements are counted")
    }

    /// Waits until every event has gone to the broker.
    pub(crate) async fn published(&mut self) {
        let waiting = "SELECT count(*) FROM order_outbox WHERE published_at IS NULL";
        let begun = Instant::now();
        loop {
            assert!(begun.elapsed() < PATIENCE, "events wait in the outbox");
            let count = sqlx::query_scalar::<_, i64>(waiting).fetch_one(&mut self.database);
            if count.await.expect("the outbox can be read") == 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Forgets events that nobody consumed.
    pub(crate) async fn forget_events(&mut self) {
        self.published().await;
        let vhost = &self.stack.servers().vhost;
        for queue in ["notifications.order.created", "notifications.order.shipped"] {
            let path = format!("/api/queues/{}/{queue}/contents", vhost.name());
            let purged = vhost
                .management()
                .request(http::Method::DELETE, &path, &[], "");
            assert_eq!(purged.await.expect("the broker answers").status, 204);
        }
    }

    /// The process of a service.
    pub(crate) fn pid(&self, service: Service) -> u32 {
        self.stack.process(service).pid()
    }

    /// The port of a service.
    pub(crate) fn port(&self, service: Service) -> u16 {
        self.stack.setup.ports[service as usize]
    }
}

/// A floor server that runs; see `crate::floor`.
pub(crate) struct FloorServer {
    pub(crate) port: u16,
    process: Process,
}

impl FloorServer {
    /// One that answers this, after what `more` tells it to do.
    pub(crate) async fn start(status: u16, body: &str, more: &[String]) -> Self {
        let port = free_port();
        let own = std::env::current_exe().expect("this program has a path");
        let (port_text, status) = (port.to_string(), status.to_string());
        let mut args = vec![
            "floor", "--port", &port_text, "--status", &status, "--body", body,
        ];
        args.extend(more.iter().map(String::as_str));
        let none: [(&str, &str); 0] = [];
        let process = Process::start(own, args, none);
        let listens = async || {
            tokio::net::TcpStream::connect(("127.0.0.1", port))
                .await
                .is_ok()
        };
        shopflow_testkit::wait_until("the floor listens", Duration::from_secs(10), listens).await;
        Self { port, process }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.pid()
    }
}

async fn account(stack: &Stack, email: &str) -> Account {
    let account = json!({
        "email": email, "password": PASSWORD, "first_name": "Load", "last_name": "Test",
        "phone": "+15551234567",
    });
    stack.auth.post("/auth/register", &account).await;
    login(stack, email).await
}

async fn login(stack: &Stack, email: &str) -> Account {
    let credentials = json!({ "email": email, "password": PASSWORD });
    let tokens = stack.auth.post("/auth/login", &credentials).await.json();
    let token = tokens["access_token"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    let caller = stack.auth.with_token(&token);
    let valid = caller.post("/auth/validate", &Value::Null).await.json();
    let id = valid["user"]["id"].as_str().and_then(|id| id.parse().ok());
    Account {
        id: id.expect("a user with an id"),
        token,
    }
}
