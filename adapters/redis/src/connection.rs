//! The one connection, which all decisions share.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use core_kernel::chain;
use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Client, FromRedisValue, IntoConnectionInfo, RedisError, ScriptInvocation,
};
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::limiter;

/// How long a connection may take to be made; nobody waits for it.
const CONNECT: Duration = Duration::from_secs(2);

/// How often a connection that nobody misses is tried.
const PROBE: Duration = Duration::from_secs(1);

/// The URL is no Redis URL.
#[derive(Debug, thiserror::Error)]
#[error("must be a Redis URL, such as redis://user:password@host:6379/0, or rediss://… for TLS")]
pub struct UrlError(#[source] RedisError);

/// Whether a Redis can be reached by this URL, in principle.
///
/// # Errors
/// When it is no Redis URL.
pub fn check_url(url: &str) -> Result<(), UrlError> {
    url.into_connection_info().map(drop).map_err(UrlError)
}

/// A Redis that replicas share. It is used while [`Redis::connect`] has succeeded and
/// [`Redis::until_lost`] has not returned; whoever owns it calls the two in turn.
#[derive(Debug)]
pub struct Redis {
    client: Client,
    patience: Duration,
    state: Mutex<State>,
    lost: Notify,
}

#[derive(Default)]
struct State {
    connection: Option<MultiplexedConnection>,
    /// How many connections there have been: so that what is late on one does not end the next.
    number: u64,
    /// Whether the outage that lasts is in the log.
    told: bool,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "connection {}", self.number)
    }
}

impl Redis {
    /// The Redis with this URL, not yet connected. A decision that takes longer than `patience` is
    /// made without it.
    ///
    /// # Errors
    /// When the URL is none.
    pub fn new(url: &str, patience: Duration) -> Result<Self, UrlError> {
        let client = Client::open(url).map_err(UrlError)?;
        metrics::gauge!("shopflow_limits_shared").set(0.0);
        metrics::counter!("shopflow_limits_fallbacks_total").absolute(0);
        Ok(Self {
            client,
            patience,
            state: Mutex::default(),
            lost: Notify::new(),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every change is whole, so what a panic elsewhere left is as good as ever.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Connects; true once decisions are made there. An outage is logged once.
    pub async fn connect(&self) -> bool {
        let failure = match timeout(CONNECT, self.open()).await {
            Ok(Ok(connection)) => {
                let mut state = self.state();
                *state = State {
                    connection: Some(connection),
                    number: state.number + 1,
                    told: false,
                };
                drop(state);
                metrics::gauge!("shopflow_limits_shared").set(1.0);
                tracing::info!("limits are shared");
                return true;
            }
            Ok(Err(error)) => chain(&error),
            Err(late) => late.to_string(),
        };
        let told = std::mem::replace(&mut self.state().told, true);
        if !told {
            tell(&failure);
        }
        false
    }

    async fn open(&self) -> Result<MultiplexedConnection, RedisError> {
        // No times of its own, of which half a second for an answer is one: ours are longer.
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(None)
            .set_response_timeout(None);
        let connection = self
            .client
            .get_multiplexed_async_connection_with_config(&config);
        let mut connection = connection.await?;
        // A Redis that answers but cannot write (a replica, or full) is as good as away.
        let () = limiter::probe().invoke_async(&mut connection).await?;
        Ok(connection)
    }

    /// Returns once the connection is of no use any more.
    pub async fn until_lost(&self) {
        while timeout(PROBE, self.lost.notified()).await.is_err() {
            // What comes of it is that the connection is lost, or nothing.
            let _: Option<()> = self.run(&limiter::probe()).await;
        }
    }

    /// What a script decides; `None` when it is to be decided without Redis.
    pub(crate) async fn decide<T: FromRedisValue>(
        &self,
        script: &ScriptInvocation<'_>,
    ) -> Option<T> {
        let decided = self.run(script).await;
        if decided.is_none() {
            metrics::counter!("shopflow_limits_fallbacks_total").increment(1);
        }
        decided
    }

    async fn run<T: FromRedisValue>(&self, script: &ScriptInvocation<'_>) -> Option<T> {
        let (number, mut connection) = {
            let state = self.state();
            (state.number, state.connection.clone()?)
        };
        let failure = match timeout(self.patience, script.invoke_async(&mut connection)).await {
            Ok(Ok(answer)) => return Some(answer),
            Ok(Err(error)) => chain(&error),
            Err(late) => late.to_string(),
        };
        self.lose(number, &failure);
        None
    }

    /// Those who come next do not wait for what is away.
    fn lose(&self, number: u64, failure: &str) {
        let mut state = self.state();
        if state.number != number || state.connection.take().is_none() {
            return;
        }
        state.told = true;
        drop(state);
        metrics::gauge!("shopflow_limits_shared").set(0.0);
        tell(failure);
        self.lost.notify_one();
    }
}

fn tell(error: &str) {
    tracing::warn!(error, "limits are not shared; this instance counts alone");
}
