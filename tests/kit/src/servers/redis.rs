//! Redis for tests, with a database for each.

use super::{Keeper, Shared, containers::Container, redis_native::NativeRedis, until_ready};
use crate::{env, url::Url};
use ::redis::{AsyncConnectionConfig, Client, aio::MultiplexedConnection, cmd};
use anyhow::{Context, Result, ensure};
use futures_util::FutureExt;
use std::{
    collections::HashMap,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

/// Enough for every test of a process to have a database of its own.
pub(super) const DATABASES: &str = "1000";

/// A running Redis server.
#[derive(Debug)]
pub struct Redis {
    url: String,
    databases: usize,
    next: AtomicUsize,
    _keeper: Keeper,
}

/// The server that all tests of this process share, started by the first that asks.
///
/// It is the one of `SHOPFLOW_TEST_REDIS_URL`, whose databases but number 0 are emptied, else a
/// container of the image `SHOPFLOW_TEST_REDIS_IMAGE` (`redis:7`), else one from the installed
/// package. Panics, saying what to install, if there is none.
pub async fn redis() -> &'static Redis {
    static SHARED: Shared<Redis> = Shared::new();
    SHARED.get(Redis::find().boxed()).await
}

impl Redis {
    async fn find() -> Result<Self> {
        if let Some(url) = env::variable("SHOPFLOW_TEST_REDIS_URL") {
            return Self::at(url, None)
                .await
                .context("SHOPFLOW_TEST_REDIS_URL does not work");
        }
        let no_container = match Self::in_container().await {
            Ok(server) => return Ok(server),
            Err(error) => error,
        };
        let native = NativeRedis::create().await.with_context(|| {
            format!(
                "no Redis for the tests: SHOPFLOW_TEST_REDIS_URL is not set, \
                 Docker does not help ({no_container:#}), and neither does this machine"
            )
        })?;
        Self::at(native.url(), Some(Box::new(native))).await
    }

    async fn in_container() -> Result<Self> {
        let image = env::variable("SHOPFLOW_TEST_REDIS_IMAGE");
        let image = image.as_deref().unwrap_or("redis:7");
        let container = Container::start(image, &[6379], &[], &["--databases", DATABASES]).await?;
        let url = format!("redis://{}", container.address(6379).await?);
        let timeout = Duration::from_secs(60);
        until_ready("Redis", timeout, || Ok(()), async || answers(&url).await).await?;
        Self::at(url, Some(Box::new(container))).await
    }

    async fn at(url: String, keeper: Keeper) -> Result<Self> {
        let mut connection = connect(&url).await?;
        let mut config = cmd("CONFIG");
        let config = config.arg("GET").arg("databases");
        let config: HashMap<String, usize> = config.query_async(&mut connection).await?;
        Ok(Self {
            url,
            databases: config["databases"],
            next: AtomicUsize::new(1),
            _keeper: keeper,
        })
    }

    /// Empties a database that no other test uses, and returns its URL.
    pub async fn database(&self) -> String {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let url = with_database(&self.url, number);
        let emptied = async {
            let most = self.databases;
            ensure!(number < most, "the server has only {most} databases");
            let mut connection = connect(&url).await?;
            let () = cmd("FLUSHDB").query_async(&mut connection).await?;
            anyhow::Ok(())
        };
        let emptied = emptied.await;
        emptied.unwrap_or_else(|error| panic!("no Redis database for a test: {error:#}"));
        url
    }

    /// An own server for a test that has to stop it, always from the installed package; it is
    /// removed when dropped.
    pub async fn private() -> PrivateRedis {
        let native = NativeRedis::create()
            .await
            .unwrap_or_else(|error| panic!("{error:#}"));
        PrivateRedis { native }
    }

    /// A connection to the database with this URL, on which a slow answer is waited for.
    pub async fn connection(url: &str) -> MultiplexedConnection {
        let connection = connect(url).await;
        connection.unwrap_or_else(|error| panic!("{error:#}"))
    }

    /// All keys of the database with this URL, in order.
    pub async fn keys(url: &str) -> Vec<String> {
        let found = async {
            let mut connection = connect(url).await?;
            anyhow::Ok(cmd("KEYS").arg("*").query_async(&mut connection).await?)
        };
        let mut keys: Vec<String> = found.await.unwrap_or_else(|error| panic!("{error:#}"));
        keys.sort();
        keys
    }
}

/// A Redis server that belongs to one test.
#[derive(Debug)]
pub struct PrivateRedis {
    native: NativeRedis,
}

impl PrivateRedis {
    /// Its URL, which stays the same over a restart.
    #[must_use]
    pub fn url(&self) -> String {
        self.native.url()
    }

    /// Ends the server with SIGKILL, and waits until it is gone.
    pub fn kill(&mut self) {
        self.native.kill();
    }

    /// Starts it after [`PrivateRedis::kill`], empty.
    pub async fn start(&mut self) {
        self.native
            .start()
            .await
            .unwrap_or_else(|error| panic!("{error:#}"));
    }
}

async fn connect(url: &str) -> Result<MultiplexedConnection> {
    // The client's own times are too short for a busy machine; whoever starts a server has others.
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(None)
        .set_response_timeout(None);
    Ok(Client::open(url)?
        .get_multiplexed_async_connection_with_config(&config)
        .await?)
}

/// Succeeds once the server answers.
pub(super) async fn answers(url: &str) -> Result<()> {
    let mut connection = connect(url).await?;
    Ok(cmd("PING").query_async::<()>(&mut connection).await?)
}

fn with_database(url: &str, number: usize) -> String {
    let mut url = Url::parse(url).expect("this URL has worked");
    url.path = format!("/{number}");
    url.to_string()
}
