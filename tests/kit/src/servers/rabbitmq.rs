//! RabbitMQ for tests, with a virtual host for each.

use super::{
    Keeper,
    containers::Container,
    rabbitmq_native::NativeRabbitMq,
    to_share, until_ready,
    vhost::{self, Vhost},
};
use crate::{Client, env, url::Url};
use anyhow::{Context, Result, ensure};
use futures_util::FutureExt;
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::sync::Mutex;

/// Virtual hosts made on one broker before another takes its place: each has some twenty queues, which
/// cost memory and time as long as they are there.
const VHOSTS: usize = 48;

/// A running RabbitMQ broker with its management plugin.
#[derive(Debug)]
pub struct RabbitMq {
    access: Access,
    vhosts: AtomicUsize,
    keeper: Keeper,
}

/// The broker that the tests of this process share, started by the first that asks, and replaced by a
/// fresh one after so many virtual hosts; the old one ends with the last of its own.
///
/// It is the one of `SHOPFLOW_TEST_RABBITMQ_URL` and `SHOPFLOW_TEST_RABBITMQ_MANAGEMENT_URL`
/// (`http://user:password@host:15672`), else a container of the image
/// `SHOPFLOW_TEST_RABBITMQ_IMAGE` (`rabbitmq:3.13-management`), else one from the installed
/// package. Panics, saying what to install, if there is none.
pub async fn rabbitmq() -> Arc<RabbitMq> {
    // A start that failed is not tried again, so that all tests fail at once.
    static SHARED: Mutex<Option<Result<Arc<RabbitMq>, String>>> = Mutex::const_new(None);
    let mut shared = SHARED.lock().await;
    let used_up = |known: &Result<Arc<RabbitMq>, String>| {
        known.as_ref().is_ok_and(|broker| broker.is_used_up())
    };
    let known = match shared.take().filter(|known| !used_up(known)) {
        Some(known) => known,
        None => to_share(RabbitMq::find().boxed()).await.map(Arc::new),
    };
    let broker = shared.insert(known).clone();
    broker.unwrap_or_else(|error| panic!("{error}"))
}

impl RabbitMq {
    fn new(access: Access, keeper: Keeper) -> Self {
        Self {
            access,
            vhosts: AtomicUsize::new(0),
            keeper,
        }
    }

    /// Whether it is ours to replace, and has done enough.
    fn is_used_up(&self) -> bool {
        self.keeper.is_some() && self.vhosts.load(Ordering::Relaxed) >= VHOSTS
    }

    async fn find() -> Result<Self> {
        if let Some(amqp) = env::variable("SHOPFLOW_TEST_RABBITMQ_URL") {
            let management = env::variable("SHOPFLOW_TEST_RABBITMQ_MANAGEMENT_URL")
                .context("SHOPFLOW_TEST_RABBITMQ_MANAGEMENT_URL is not set")?;
            let access = Access::parse(&amqp, &management)?;
            access
                .check()
                .await
                .context("SHOPFLOW_TEST_RABBITMQ_URL does not work")?;
            return Ok(Self::new(access, None));
        }
        let no_container = match Self::in_container().await {
            Ok(broker) => return Ok(broker),
            Err(error) => error,
        };
        let native = NativeRabbitMq::create().await.with_context(|| {
            format!(
                "no RabbitMQ for the tests: SHOPFLOW_TEST_RABBITMQ_URL is not set, \
                 Docker does not help ({no_container:#}), and neither does this machine"
            )
        })?;
        Ok(Self::new(native.access(), Some(Box::new(native))))
    }

    async fn in_container() -> Result<Self> {
        let image = env::variable("SHOPFLOW_TEST_RABBITMQ_IMAGE");
        let image = image.as_deref().unwrap_or("rabbitmq:3.13-management");
        let container = Container::start(image, &[5672, 15672], &[], &[]).await?;
        let access = Access::parse(
            &format!("amqp://guest:guest@{}", container.address(5672).await?),
            &format!("http://guest:guest@{}", container.address(15672).await?),
        )?;
        let timeout = Duration::from_secs(120);
        until_ready(
            "RabbitMQ",
            timeout,
            || Ok(()),
            async || access.check().await,
        )
        .await?;
        Ok(Self::new(access, Some(Box::new(container))))
    }

    /// An own broker for a test that has to stop it, always from the installed package; it is
    /// removed when dropped.
    pub async fn private() -> PrivateRabbitMq {
        let native = NativeRabbitMq::create()
            .await
            .unwrap_or_else(|error| panic!("{error:#}"));
        PrivateRabbitMq { native }
    }

    /// Makes a virtual host that no other test uses, in which the broker's user may do everything.
    ///
    /// It goes with its broker, or when its last clone is dropped where the broker was given by a URL.
    pub async fn vhost(self: Arc<Self>) -> Vhost {
        self.vhosts.fetch_add(1, Ordering::Relaxed);
        let is_ours = self.keeper.is_some();
        vhost::create(&self.access.clone(), !is_ours, Some(self)).await
    }
}

/// A RabbitMQ broker that belongs to one test.
#[derive(Debug)]
pub struct PrivateRabbitMq {
    native: NativeRabbitMq,
}

impl PrivateRabbitMq {
    /// Makes a virtual host, which is kept over a restart.
    pub async fn vhost(&self) -> Vhost {
        vhost::create(&self.native.access(), false, None).await
    }

    /// `host:port` for AMQP, which stays the same over a restart.
    #[must_use]
    pub fn addr(&self) -> String {
        self.native.access().amqp.host_port
    }

    /// Ends the broker with SIGKILL, and waits until it is gone.
    ///
    /// Confirmed messages survive, in durable queues, but RabbitMQ may have forgotten the bindings
    /// made in the last three seconds or so. Whoever needs them has to make them again.
    pub fn kill(&mut self) {
        self.native.kill();
    }

    /// Raises or ends the memory alarm, during which the broker blocks publishers.
    pub async fn alarm(&self, on: bool) {
        self.native
            .alarm(on)
            .await
            .unwrap_or_else(|error| panic!("{error:#}"));
    }

    /// Starts it after [`PrivateRabbitMq::kill`], with the data it had; takes about five seconds.
    pub async fn start(&mut self) {
        self.native
            .restart()
            .await
            .unwrap_or_else(|error| panic!("{error:#}"));
    }
}

/// How to reach a broker.
#[derive(Clone, Debug)]
pub(super) struct Access {
    pub(super) amqp: Url,
    /// The user of AMQP connections.
    pub(super) user: String,
    management: Url,
}

impl Access {
    pub(super) fn parse(amqp: &str, management: &str) -> Result<Self> {
        let amqp = Url::parse(amqp)?;
        let (user, _) = amqp
            .credentials()
            .context("no user and password in the AMQP URL")?;
        let management = Url::parse(management)?;
        ensure!(
            management.origin().starts_with("http://"),
            "the management URL is not http://…"
        );
        management
            .credentials()
            .context("no user and password in the management URL")?;
        Ok(Self {
            amqp,
            user,
            management,
        })
    }

    /// A client of the management API. Not to be shared between tests, like every client.
    pub(super) fn management(&self) -> Client {
        let (user, password) = self
            .management
            .credentials()
            .expect("checked when it was read");
        Client::new(self.management.origin()).with_basic(&user, &password)
    }

    /// Succeeds once both the AMQP port and the management API answer.
    pub(super) async fn check(&self) -> Result<()> {
        let answer = self
            .management()
            .request(http::Method::GET, "/api/vhosts", &[], "")
            .await?;
        ensure!(
            answer.status == 200,
            "the management API says {}",
            answer.status
        );
        tokio::net::TcpStream::connect(&self.amqp.host_port).await?;
        vhost::connect(&self.amqp.to_string()).await?;
        Ok(())
    }
}
