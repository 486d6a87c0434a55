//! Running one service. Each file reads from top to bottom: stores, clients, use cases, tasks,
//! server.

mod audit;
pub(crate) mod auth;
mod database;
pub(crate) mod limits;
pub(crate) mod measured;
pub(crate) mod notify;
pub(crate) mod orders;
pub(crate) mod prune;
pub(crate) mod queues;
pub(crate) mod relay;
pub(crate) mod retention;
pub(crate) mod revocations;
mod secret_file;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use futures_util::FutureExt;
use futures_util::future::join;
use shopflow_http::{Api, Edge, Ops, OpsApi, Readiness, Server};
use tokio::net::TcpListener;

use crate::Failure;
use crate::cli::Service;
use crate::config::HttpConfig;
use crate::lifecycle::{Lifecycle, Signals};
use crate::telemetry::{self, Figures, LogTo, Telemetry};

pub(crate) use secret_file::{due, expiry};

/// The metrics library wants its samples folded now and then.
const UPKEEP: Duration = Duration::from_secs(5);

/// How long a service that is to stop still accepts connections, so that balancers see that it is
/// not ready before it is gone.
const DRAIN: Duration = Duration::from_secs(1);

/// Runs a service until it is told to stop.
pub(crate) fn run(service: Service) -> Result<(), Failure> {
    // Settings first: what is wrong with them is told before anything is opened.
    match service {
        Service::Auth(args) => block_on(auth::run(args.resolve()?)),
        Service::Orders(args) => block_on(orders::run(args.resolve()?)),
        Service::Notify(args) => block_on(notify::run(args.resolve()?)),
    }
}

/// Runs a future on a runtime of its own.
pub(crate) fn block_on<E>(work: impl Future<Output = Result<(), E>>) -> Result<(), Failure>
where
    Failure: From<E>,
{
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("no runtime")?;
    let result = runtime.block_on(work);
    // A blocking thread (a hash, a name lookup) is not waited for.
    runtime.shutdown_timeout(Duration::from_millis(100));
    Ok(result?)
}

/// Where a service is asked.
struct Listeners {
    service: TcpListener,
    /// Where its operators ask, if that is elsewhere.
    operators: Option<TcpListener>,
}

/// Listens before anything else is tried, so that health is answered from the first moment.
async fn listen(config: &HttpConfig) -> anyhow::Result<Listeners> {
    let operators = match config.metrics_address {
        Some(address) => Some(listen_on(address).await?),
        None => None,
    };
    let service = listen_on(config.address).await?;
    Ok(Listeners { service, operators })
}

async fn listen_on(address: SocketAddr) -> anyhow::Result<TcpListener> {
    let listener = TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address}"))?;
    tracing::info!(address = %listener.local_addr()?, version = env!("CARGO_PKG_VERSION"), "listening");
    Ok(listener)
}

/// The operators' side of a service and the lifecycle it stops by.
fn lifecycle(
    config: &HttpConfig,
    readiness: Arc<dyn Readiness>,
    telemetry: &Telemetry,
) -> anyhow::Result<(Lifecycle, Ops)> {
    let ops = ops(readiness, &telemetry.figures);
    let mut lifecycle = Lifecycle::new(vec![ops.clone()], config.grace, DRAIN);
    keep_metrics(&mut lifecycle, &telemetry.figures);
    telemetry
        .logs
        .clone()
        .follow(&mut lifecycle)
        .context("no signals")?;
    Ok((lifecycle, ops))
}

/// The operators' side of a service.
pub(crate) fn ops(readiness: Arc<dyn Readiness>, figures: &Figures) -> Ops {
    let figures = figures.clone();
    Ops::new(readiness, move || figures.render())
}

/// Folds samples for as long as anybody may ask for them.
pub(crate) fn keep_metrics(lifecycle: &mut Lifecycle, figures: &Figures) {
    let (figures, mut served) = (figures.clone(), lifecycle.served());
    lifecycle.spawn("metrics upkeep", async move {
        while tokio::time::timeout(UPKEEP, served.wait_for(|served| *served))
            .await
            .is_err()
        {
            figures.fold();
        }
    });
}

/// Serves until the signal to stop, and then what is in flight; then the last spans are sent.
async fn serve<A: Api>(
    (lifecycle, signals, telemetry): (Lifecycle, Signals, Telemetry),
    listeners: Listeners,
    api: A,
    ops: Ops,
    config: &HttpConfig,
) -> anyhow::Result<()> {
    let (edge, grace) = (config.edge.clone(), config.grace);
    let service = listeners.service;
    let servers = match listeners.operators {
        None => server(&lifecycle, service, api, ops, edge, grace).boxed(),
        Some(operators) => {
            let public = ops.without_metrics();
            let service = server(&lifecycle, service, api, public, edge, grace);
            let edge = Edge::default();
            let operators = server(&lifecycle, operators, OpsApi, ops, edge, grace);
            join(service, operators).map(drop).boxed()
        }
    };
    let ended = lifecycle.run(signals, servers).await;
    telemetry.traces.finish().await;
    ended
}

/// A server that accepts until the lifecycle closes it.
pub(crate) fn server<A: Api>(
    lifecycle: &Lifecycle,
    listener: TcpListener,
    api: A,
    ops: Ops,
    edge: Edge,
    grace: Duration,
) -> impl Future<Output = ()> + Send + 'static {
    let server = Server {
        listener,
        api: Arc::new(api),
        ops,
        edge,
        grace,
    };
    let mut closing = lifecycle.closing();
    let stop = async move {
        // The sender lives as long as the lifecycle, so this only waits.
        let _ = closing.wait_for(|closing| *closing).await;
    };
    shopflow_http::serve(server, stop)
}

/// Begins to catch signals, to log, to count, and to trace.
fn start(config: &HttpConfig) -> anyhow::Result<(Signals, Telemetry)> {
    let signals = Signals::catch()?;
    let telemetry = telemetry::start(&config.log, LogTo::Stdout, config.traces.as_ref())?;
    Ok((signals, telemetry))
}
