//! PostgreSQL for tests, with a database for each.

use super::{
    Keeper, Shared,
    containers::Container,
    postgres_native::{DURABLE, NativePostgres, QUICK},
    until_ready,
};
use crate::{env, process::unique_name, url::Url};
use anyhow::{Context, Result};
use futures_util::FutureExt;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use std::time::Duration;

/// A running PostgreSQL server.
#[derive(Debug)]
pub struct Postgres {
    url: String,
    _keeper: Keeper,
}

/// The server that all tests of this process share, started by the first that asks.
///
/// It is the one of `SHOPFLOW_TEST_DATABASE_URL` (a user who may create databases), else a
/// container of the image `SHOPFLOW_TEST_POSTGRES_IMAGE` (`postgres:16`), else one from the
/// installed package. Panics, saying what to install, if there is none.
pub async fn postgres() -> &'static Postgres {
    static SHARED: Shared<Postgres> = Shared::new();
    SHARED.get(Postgres::find().boxed()).await
}

impl Postgres {
    async fn find() -> Result<Self> {
        if let Some(url) = env::variable("SHOPFLOW_TEST_DATABASE_URL") {
            connect(&url)
                .await
                .context("SHOPFLOW_TEST_DATABASE_URL does not work")?;
            return Ok(Self { url, _keeper: None });
        }
        let no_container = match Self::in_container().await {
            Ok(server) => return Ok(server),
            Err(error) => error,
        };
        let native = NativePostgres::create(&QUICK).await.with_context(|| {
            format!(
                "no PostgreSQL for the tests: SHOPFLOW_TEST_DATABASE_URL is not set, \
                 Docker does not help ({no_container:#}), and neither does this machine"
            )
        })?;
        Ok(Self {
            url: native.url(),
            _keeper: Some(Box::new(native)),
        })
    }

    async fn in_container() -> Result<Self> {
        let image = env::variable("SHOPFLOW_TEST_POSTGRES_IMAGE");
        let image = image.as_deref().unwrap_or("postgres:16");
        let password = [("POSTGRES_PASSWORD", "postgres")];
        let container = Container::start(image, &[5432], &password, &QUICK).await?;
        let url = format!(
            "postgres://postgres:postgres@{}/postgres",
            container.address(5432).await?
        );
        until_ready(
            "PostgreSQL",
            Duration::from_secs(60),
            || Ok(()),
            async || connect(&url).await.map(drop),
        )
        .await?;
        Ok(Self {
            url,
            _keeper: Some(Box::new(container)),
        })
    }

    /// An own server for a test that has to stop it, always from the installed package; it is
    /// removed when dropped.
    pub async fn private() -> PrivatePostgres {
        PrivatePostgres::create(&QUICK).await
    }

    /// An own server whose commits are durable and that counts its statements (in
    /// `pg_stat_statements`), for whoever measures; else as [`Postgres::private`].
    pub async fn durable() -> PrivatePostgres {
        PrivatePostgres::create(&DURABLE).await
    }

    /// Makes an empty database that no other test uses, and returns its URL.
    ///
    /// It goes with the server; on one given by its URL it stays, named `shopflow_test_…`.
    pub async fn database(&self) -> String {
        create_database(&self.url)
            .await
            .unwrap_or_else(|error| panic!("{error:#}"))
    }

    /// `host:port`, for a [`Proxy`](crate::Proxy).
    #[must_use]
    pub fn addr(&self) -> String {
        Url::parse(&self.url)
            .expect("this URL has worked")
            .host_port
    }
}

/// A PostgreSQL server that belongs to one test.
#[derive(Debug)]
pub struct PrivatePostgres {
    native: NativePostgres,
}

impl PrivatePostgres {
    async fn create(settings: &'static [&'static str]) -> Self {
        let native = NativePostgres::create(settings)
            .await
            .unwrap_or_else(|error| panic!("{error:#}"));
        Self { native }
    }

    /// Makes an empty database and returns its URL.
    pub async fn database(&self) -> String {
        create_database(&self.native.url())
            .await
            .unwrap_or_else(|error| panic!("{error:#}"))
    }

    /// `host:port`, which stays the same over a restart.
    #[must_use]
    pub fn addr(&self) -> String {
        Url::parse(&self.native.url())
            .expect("a URL of our own")
            .host_port
    }

    /// Ends the server as a crash would, and waits until it is gone.
    pub fn kill(&mut self) {
        self.native.kill();
    }

    /// Starts it after [`PrivatePostgres::kill`], with all that was committed.
    pub async fn start(&mut self) {
        self.native
            .start()
            .await
            .unwrap_or_else(|error| panic!("{error:#}"));
    }
}

pub(super) async fn connect(url: &str) -> Result<PgConnection> {
    Ok(PgConnection::connect(url).await?)
}

async fn create_database(server: &str) -> Result<String> {
    let name = unique_name("shopflow_test");
    let mut connection = connect(server).await?;
    // template0, because a session in template1 would be in the way.
    let create = format!("create database {name} template template0");
    connection
        .execute(AssertSqlSafe(create))
        .await
        .context("a test database cannot be made")?;
    connection.close().await?;
    Ok(Url {
        path: format!("/{name}"),
        ..Url::parse(server)?
    }
    .to_string())
}
