//! The three services on one embedded database. They call each other over HTTP with service tokens,
//! as they do when they run apart.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context;
use async_trait::async_trait;
use core_auth::{Accounts, Keyring, Keys, Mailbox, PurgedUsers, UserRole, UserStore};
use core_kernel::SystemClock;
use core_notify::{Channel, FaultScript, Links, Notifications, Notifier, Templates};
use core_orders::Orders;
use futures_util::future::join3;
use secrecy::SecretString;
use shopflow_embedded::Database;
use shopflow_http::{
    AuthApi, AuthClient, Edge, HttpClient, InboxApi, NotifyApi, Ops, OrdersApi, OrdersClient,
    Readiness,
};
use tokio::net::TcpListener;

use super::dashboard::Glance;
use super::folder::Folder;
use super::people::{People, ensure};
use super::{tokens, url};
use crate::config::{DevConfig, PolicyConfig};
use crate::lifecycle::Lifecycle;
use crate::serve::limits::Limits;
use crate::serve::measured::Measured;
use crate::serve::relay::{Relay, RelayWake};
use crate::serve::revocations::News;
use crate::serve::{auth, notify, orders, prune, queues, server};

/// Each takes 16 MiB, which the allocator is slow to give back; a laptop has other uses for them.
const PARALLEL_HASHES: usize = 1;

const FROM: &str = "ShopFlow <noreply@shopflow.local>";

/// Ready once the first start's accounts are made.
struct Needs {
    database: Database,
    set_up: Arc<AtomicBool>,
}

#[async_trait]
impl Readiness for Needs {
    async fn checks(&self) -> Vec<(&'static str, bool)> {
        vec![
            ("database", self.database.is_ready().await),
            ("accounts", self.set_up.load(Ordering::Relaxed)),
        ]
    }
}

/// What the services are made of.
pub(crate) struct Services {
    database: Database,
    secret: SecretString,
    policy: PolicyConfig,
    order_limit: Option<u32>,
    links: Links,
    edge: Edge,
    faults: Arc<FaultScript>,
    urls: [String; 3],
    wake: RelayWake,
    set_up: Arc<AtomicBool>,
}

/// Makes what has to be there beside the services.
#[derive(Clone)]
pub(crate) struct SetUp {
    pub(crate) database: Database,
    pub(crate) wake: RelayWake,
    accounts: Accounts,
    done: Arc<AtomicBool>,
}

impl SetUp {
    /// Makes the admin and the customer, if they are not there yet.
    pub(crate) async fn run(&self, people: &People) -> anyhow::Result<()> {
        let users = self.database.users();
        let admin = ("Ada", "Admin");
        let customer = ("Carl", "Customer");
        let users: &dyn UserStore = &users;
        let (accounts, role) = (&self.accounts, UserRole::Admin);
        ensure(accounts, users, &people.admin, admin, role).await?;
        let role = UserRole::Customer;
        ensure(accounts, users, &people.customer, customer, role).await?;
        self.done.store(true, Ordering::Relaxed);
        Ok(())
    }
}

impl Services {
    pub(crate) fn new(
        config: &DevConfig,
        folder: &Folder,
        database: Database,
    ) -> anyhow::Result<Self> {
        let faults = Arc::new(FaultScript::default());
        for rule in &config.faults {
            faults.add(rule.clone());
        }
        Ok(Self {
            database,
            secret: folder.jwt_secret()?,
            policy: config.policy,
            order_limit: config.order_limit,
            links: config.links.clone(),
            edge: config.edge.clone(),
            faults,
            urls: config.addresses.map(url),
            wake: RelayWake::default(),
            set_up: Arc::default(),
        })
    }

    pub(crate) fn readiness(&self) -> Arc<dyn Readiness> {
        Arc::new(Needs {
            database: self.database.clone(),
            set_up: self.set_up.clone(),
        })
    }

    fn keys(&self) -> anyhow::Result<Keyring> {
        Keyring::new(&self.secret, &[]).context("jwt-secret")
    }

    /// Starts everything that runs in the background; the servers, and what is to be set up.
    pub(crate) fn start(
        self,
        lifecycle: &mut Lifecycle,
        listeners: [TcpListener; 3],
        ops: Vec<Ops>,
        grace: Duration,
    ) -> anyhow::Result<(impl Future<Output = ()> + Send + 'static, SetUp)> {
        let users = Arc::new(self.database.users());
        let accounts = auth::accounts(users, self.policy, PARALLEL_HASHES);
        let auth_api = self.auth(lifecycle, accounts.clone())?;
        let orders_api = self.orders(lifecycle)?;
        let notify_api = self.notify(lifecycle)?;
        let [auth_at, orders_at, notify_at] = listeners;
        let [auth_ops, orders_ops, notify_ops]: [Ops; 3] =
            ops.try_into().ok().context("three services")?;
        let edge = || self.edge.clone();
        let servers = join3(
            server(lifecycle, auth_at, auth_api, auth_ops, edge(), grace),
            server(lifecycle, orders_at, orders_api, orders_ops, edge(), grace),
            server(lifecycle, notify_at, notify_api, notify_ops, edge(), grace),
        );
        let set_up = SetUp {
            database: self.database,
            wake: self.wake,
            accounts,
            done: self.set_up,
        };
        let servers = async move {
            servers.await;
        };
        Ok((servers, set_up))
    }

    fn auth(&self, lifecycle: &mut Lifecycle, accounts: Accounts) -> anyhow::Result<AuthApi> {
        let sessions = Arc::new(self.database.sessions());
        let mailbox = Mailbox {
            tokens: Arc::new(self.database.one_time_tokens()),
            relay: Arc::new(self.wake.clone()),
        };
        let keys = Keys::new(self.keys()?);
        // One process has no others to hear of.
        let news = News::default();
        let policy = self.policy;
        let auth = auth::auth(lifecycle, accounts, sessions, mailbox, keys, policy, news);
        let users = Arc::new(self.database.users());
        let (limits, purged) = (Limits::default(), PurgedUsers(users.clone()));
        let api = auth::limited(lifecycle, auth, users, policy, &limits);
        Ok(api.with_purged(purged))
    }

    fn orders(&self, lifecycle: &mut Lifecycle) -> anyhow::Result<OrdersApi> {
        let token = tokens::renewing(lifecycle, self.keys()?, "order-service")?;
        let verifier = AuthClient::new(HttpClient::local(), &self.urls[0], token)?;
        let relay = Relay {
            outbox: Arc::new(self.database.outbox()),
            publisher: Arc::new(self.database.bus()),
            wake: self.wake.clone(),
        };
        // The relay goes on until the last request is answered: that one's event goes out too.
        lifecycle.spawn("relay", relay.run(lifecycle.served()));
        let store = Arc::new(self.database.orders());
        let use_cases = Orders::new(store, Arc::new(self.wake.clone()), Arc::new(SystemClock));
        prune::keys(lifecycle, use_cases.clone());
        let outbox = Arc::new(self.database.outbox());
        prune::events(lifecycle, outbox, Arc::new(SystemClock));
        let limits = Limits::default();
        Ok(orders::api(use_cases, verifier, self.order_limit, &limits))
    }

    fn notify(&self, lifecycle: &mut Lifecycle) -> anyhow::Result<InboxApi> {
        let client = HttpClient::local();
        let token = tokens::renewing(lifecycle, self.keys()?, "notification-service")?;
        let auth = AuthClient::new(client.clone(), &self.urls[0], token.clone())?;
        let orders = OrdersClient::new(client, &self.urls[1], token)?;
        let store = Arc::new(self.database.notifications());
        let lanes = Arc::default();
        notify::tell_breakers(lifecycle, Arc::clone(&lanes));
        let email = self.database.email_sender(FROM, self.faults.clone())?;
        let sms = self.database.sms_sender(self.faults.clone());
        queues::tell_depths(lifecycle, self.database.bus());
        let notifier = Notifier {
            orders: Arc::new(orders),
            contacts: Arc::new(auth.clone()),
            tokens: Arc::new(auth.clone()),
            store: store.clone(),
            email: Arc::new(Measured::new(Channel::Email, email)),
            sms: Arc::new(Measured::new(Channel::Sms, sms)),
            lanes: lanes.clone(),
            templates: Arc::new(Templates::embedded().context("templates")?),
            links: self.links.clone(),
            clock: Arc::new(SystemClock),
        };
        let consumer = self.database.bus().consumer(Arc::new(notifier));
        let stopping = lifecycle.stopping();
        lifecycle.spawn("consumer", async move { consumer.run(stopping).await });
        let api = NotifyApi::new(Notifications::new(store), Arc::new(auth));
        let inbox = Arc::new(self.database.inbox());
        let glance = Arc::new(Glance(self.database.clone()));
        InboxApi::new(api, inbox, self.faults.clone(), glance).context("inbox pages")
    }
}
