//! Running one service. Each file reads from top to bottom: stores, clients, use cases, tasks,
//! server.

mod audit;
pub(crate) mod auth;
mod database;
pub(crate) mod limits;
pub(crate) mod notify;
pub(crate) mod orders;
pub(crate) mod prune;
pub(crate) mod relay;
pub(crate) mod retention;
pub(crate) mod revocations;
mod secret_file;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use metrics_exporter_prometheus::PrometheusHandle;
use shopflow_http::{Api, Edge, Ops, Readiness, Server};
use tokio::net::TcpListener;

use crate::Failure;
use crate::cli::Service;
use crate::config::HttpConfig;
use crate::lifecycle::{Lifecycle, Signals};
use crate::telemetry::{self, LogTo};

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

/// Listens before anything else is tried, so that health is answered from the first moment.
async fn listen(config: &HttpConfig) -> anyhow::Result<TcpListener> {
    let listener = TcpListener::bind(config.address)
        .await
        .with_context(|| format!("cannot listen on {}", config.address))?;
    tracing::info!(address = %listener.local_addr()?, version = env!("CARGO_PKG_VERSION"), "listening");
    Ok(listener)
}

/// The operators' side of a service and the lifecycle it stops by.
fn lifecycle(
    config: &HttpConfig,
    readiness: Arc<dyn Readiness>,
    metrics: &PrometheusHandle,
) -> (Lifecycle, Ops) {
    let ops = ops(readiness, metrics);
    let mut lifecycle = Lifecycle::new(vec![ops.clone()], config.grace, DRAIN);
    keep_metrics(&mut lifecycle, metrics);
    (lifecycle, ops)
}

/// The operators' side of a service.
pub(crate) fn ops(readiness: Arc<dyn Readiness>, metrics: &PrometheusHandle) -> Ops {
    let rendered = metrics.clone();
    Ops::new(readiness, move || rendered.render())
}

/// Folds samples for as long as anybody may ask for them.
pub(crate) fn keep_metrics(lifecycle: &mut Lifecycle, metrics: &PrometheusHandle) {
    let (upkeep, mut served) = (metrics.clone(), lifecycle.served());
    lifecycle.spawn("metrics upkeep", async move {
        while tokio::time::timeout(UPKEEP, served.wait_for(|served| *served))
            .await
            .is_err()
        {
            upkeep.run_upkeep();
        }
    });
}

/// Serves until the signal to stop, and then what is in flight.
async fn serve<A: Api>(
    (lifecycle, signals): (Lifecycle, Signals),
    listener: TcpListener,
    api: A,
    ops: Ops,
    config: &HttpConfig,
) -> anyhow::Result<()> {
    let edge = config.edge.clone();
    let server = server(&lifecycle, listener, api, ops, edge, config.grace);
    lifecycle.run(signals, server).await
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

/// Begins to catch signals, to log and to count.
fn start(config: &HttpConfig) -> anyhow::Result<(Signals, PrometheusHandle)> {
    let signals = Signals::catch()?;
    telemetry::start_logs(&config.log, LogTo::Stdout);
    let metrics = telemetry::start_metrics().context("no metrics")?;
    Ok((signals, metrics))
}
