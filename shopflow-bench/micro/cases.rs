//! Small pieces of work, as a service does them: requests over a connection of a service that has its
//! stores in memory, so that nothing but our code and its libraries is measured; and a mail.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use core_auth::testing::mailbox;
use core_auth::{
    AccessClaims, Accounts, Auth, AuthSettings, Keyring, Keys, MockOneTimeStore,
    MockPasswordHasher, MockSessionStore, MockUserStore, Revocations, Revoked,
};
use core_kernel::{
    Caller, Clock, RequestContext, Role, SessionId, SystemClock, TokenId, TokenVerifier, UserId,
    VerifyError, Wake,
};
use core_notify::testing::{contact, order};
use core_notify::{EventKind, Facts, Templates};
use core_orders::Orders;
use secrecy::SecretString;
use shopflow_example_custom_store::MemoryStore;
use shopflow_http::{Api, AuthApi, Edge, Ops, OrdersApi, Readiness, Server};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

use crate::http::{Answer, request};

/// One piece of work, ready to be done again and again.
pub(crate) type Work = Box<dyn FnMut()>;

/// A piece of work by name, and what prepares it.
type Case = (&'static str, fn() -> Work);

/// All of them.
pub(crate) const ALL: [Case; 4] = [
    ("POST /auth/validate", validate),
    ("POST /orders", place),
    ("GET /orders/{id}", get),
    ("render an order's mail and text", render),
];

const SECRET: &str = "0123456789abcdef0123456789abcdef";

const ORDER: &str = r#"{"items":[{"product_id":"f47ac10b-58cc-4372-a567-0e02b2c3d479","product_name":"Wireless Headphones","quantity":2,"unit_price":49.99},{"product_id":"6ba7b810-9dad-11d1-80b4-00c04fd430c8","product_name":"USB-C Cable","quantity":1,"unit_price":12.99}],"shipping_address":{"street":"742 Evergreen Terrace","city":"Springfield","state":"IL","zip_code":"62704","country":"US"}}"#;

struct Always;

#[async_trait]
impl Readiness for Always {
    async fn checks(&self) -> Vec<(&'static str, bool)> {
        Vec::new()
    }
}

#[async_trait]
impl TokenVerifier for Always {
    async fn verify(&self, _: &str, _: &RequestContext) -> Result<Caller, VerifyError> {
        Ok(Caller::Customer(UserId(Default::default())))
    }
}

impl Wake for Always {
    fn wake(&self) {}
}

/// A service in this process, and a connection to it.
struct Service {
    stream: TcpStream,
    answer: Answer,
    room: Vec<u8>,
    _runtime: Runtime,
}

impl Service {
    fn start(api: impl Api) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let server = Server {
            listener,
            api: Arc::new(api),
            ops: Ops::new(Arc::new(Always), String::new),
            edge: Edge::default(),
            grace: Duration::ZERO,
        };
        runtime.spawn(shopflow_http::serve(server, std::future::pending()));
        Self {
            stream: TcpStream::connect(address).unwrap(),
            answer: Answer::default(),
            room: vec![0; 16 * 1024],
            _runtime: runtime,
        }
    }

    fn call(&mut self, request: &[u8], expected: u16) -> &[u8] {
        self.stream.write_all(request).unwrap();
        self.answer.begin();
        let status = loop {
            let read = self.stream.read(&mut self.room).unwrap();
            if let Some(status) = self.answer.take(&self.room[..read]).unwrap() {
                break status;
            }
        };
        assert_eq!(status, expected);
        self.answer.body()
    }
}

fn validate() -> Work {
    let keyring = Keyring::new(&SecretString::from(SECRET), &[]).unwrap();
    let now = SystemClock.now();
    let claims = AccessClaims {
        sub: UserId::generate(),
        email: "jane.doe@example.com".into(),
        role: Role::Customer,
        iat: now.as_second(),
        exp: now.as_second() + 3600,
        jti: TokenId::generate(),
        sid: SessionId::generate(),
    };
    let token = keyring.sign_access(&claims).unwrap();
    let revocations = Revocations::default();
    // Fed once, and as good as new for as long as we run.
    let begun = Instant::now() + Duration::from_secs(3600);
    revocations.polled(&Revoked::default(), begun, now);
    let (users, hasher) = (MockUserStore::new(), MockPasswordHasher::new());
    let auth = Auth::new(
        Accounts::new(Arc::new(users), Arc::new(hasher), Arc::new(SystemClock)),
        Arc::new(MockSessionStore::new()),
        mailbox(MockOneTimeStore::new()),
        Keys::new(keyring),
        Arc::new(revocations),
        AuthSettings::default(),
    );
    let mut service = Service::start(AuthApi::new(auth));
    let request = request("POST", "/auth/validate", &token, "");
    Box::new(move || {
        service.call(&request, 200);
    })
}

fn orders() -> Service {
    let store = MemoryStore::new(Arc::new(SystemClock));
    let orders = Orders::new(Arc::new(store), Arc::new(Always), Arc::new(SystemClock));
    Service::start(OrdersApi::new(orders, Arc::new(Always)))
}

fn place() -> Work {
    let mut service = orders();
    let request = request("POST", "/orders", "token", ORDER);
    Box::new(move || {
        service.call(&request, 201);
    })
}

fn get() -> Work {
    let mut service = orders();
    let placed = service.call(&request("POST", "/orders", "token", ORDER), 201);
    let placed: serde_json::Value = serde_json::from_slice(placed).unwrap();
    let path = format!("/orders/{}", placed["id"].as_str().unwrap());
    let request = request("GET", &path, "token", "");
    Box::new(move || {
        service.call(&request, 200);
    })
}

fn render() -> Work {
    let (templates, order, contact) = (Templates::embedded().unwrap(), order(), contact());
    Box::new(move || {
        let facts = Facts::Order(&order);
        let rendered = templates.render(EventKind::OrderCreated, facts, &contact);
        std::hint::black_box(rendered.unwrap());
    })
}
