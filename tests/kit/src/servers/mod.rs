//! Real PostgreSQL, RabbitMQ and Redis servers.
//!
//! Each is looked for in three places: a URL from the environment, a Docker daemon, the packages
//! installed on this machine. What the kit starts, it also removes, however the test process ends.

mod containers;
pub(crate) mod message;
pub(crate) mod native;
pub(crate) mod postgres;
mod postgres_native;
pub(crate) mod rabbitmq;
mod rabbitmq_native;
pub(crate) mod redis;
mod redis_native;
pub(crate) mod tap;
pub(crate) mod vhost;
mod watchdog;

use crate::{runtime::runtime, wait::PAUSE};
use anyhow::{Context, Result};
use futures_util::future::BoxFuture;
use std::{
    any::Any,
    time::{Duration, Instant},
};
use tokio::sync::OnceCell;

/// Keeps alive whatever stands behind a shared server, until a watchdog notices that this process
/// is gone. Nothing, where the server was given by a URL.
type Keeper = Option<Box<dyn Any + Send + Sync>>;

/// The one server of its kind in this process. A start that failed is not tried again, so that all
/// tests fail at once and with the same message.
struct Shared<T>(OnceCell<Result<T, String>>);

impl<T: Send + Sync + 'static> Shared<T> {
    const fn new() -> Self {
        Self(OnceCell::const_new())
    }

    async fn get(&'static self, start: BoxFuture<'static, Result<T>>) -> &'static T {
        match self.0.get_or_init(|| to_share(start)).await {
            Ok(server) => server,
            Err(error) => panic!("{error}"),
        }
    }
}

/// Starts a server, or says why there is none. Not on the caller's runtime, which ends with the first
/// test.
async fn to_share<T: Send + 'static>(start: BoxFuture<'static, Result<T>>) -> Result<T, String> {
    let started = runtime().spawn(start).await;
    let started = started.context("starting panicked").flatten();
    started.map_err(|error| format!("{error:#}"))
}

/// Tries again and again until `attempt` works, `check_alive` fails or `timeout` is over.
async fn until_ready<F: Future<Output = Result<()>>>(
    what: &str,
    timeout: Duration,
    mut check_alive: impl FnMut() -> Result<()>,
    mut attempt: impl FnMut() -> F,
) -> Result<()> {
    const ONE_ATTEMPT: Duration = Duration::from_secs(5);
    let start = Instant::now();
    loop {
        check_alive()?;
        let error = match tokio::time::timeout(ONE_ATTEMPT, attempt()).await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) => error,
            Err(_) => anyhow::anyhow!("no answer in {ONE_ATTEMPT:?}"),
        };
        if start.elapsed() > timeout {
            return Err(error.context(format!("{what} is not ready after {timeout:?}")));
        }
        tokio::time::sleep(PAUSE).await;
    }
}
