//! `shopflow dev`: all three services in one process on embedded storage, with an inbox in place of
//! the providers. Nothing has to be installed.

mod dashboard;
mod folder;
mod people;
mod seed;
mod services;
mod tokens;
mod welcome;

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, anyhow};
use shopflow_amqp::Backoff;
use shopflow_embedded::{Database, OpenError};
use tokio::net::TcpListener;

use crate::Failure;
use crate::admin::confirm;
use crate::config::{DevArgs, DevConfig};
use crate::lifecycle::{Lifecycle, Signals};
use crate::serve::{block_on, keep_metrics, ops};
use crate::telemetry::{self, ConnectionGauges, Figures, LogTo};
use people::People;
use services::Services;

pub(crate) use folder::Folder;

/// How long a stop may take.
const GRACE: Duration = Duration::from_secs(10);

const NAMES: [&str; 3] = ["auth", "orders", "notify"];

/// Runs until Ctrl-C.
pub(crate) fn run(args: DevArgs) -> Result<(), Failure> {
    let config = args.resolve()?;
    let folder = Folder::open(&config.data_dir)?;
    if config.reset {
        reset(&folder, config.ask)?;
    }
    block_on(serve(config, folder))
}

/// Deletes what the folder holds, if that is wanted.
fn reset(folder: &Folder, ask: bool) -> Result<(), Failure> {
    if folder.is_empty() {
        return Ok(());
    }
    let path = folder.path().display();
    let question = format!("Delete all users, orders and mails in {path}?");
    confirm(&question, !ask)?;
    Ok(folder.clear()?)
}

async fn serve(config: DevConfig, folder: Folder) -> anyhow::Result<()> {
    let signals = Signals::catch()?;
    let telemetry = telemetry::start(&config.log, LogTo::Stderr, config.traces.as_ref())?;
    let listeners = listen(&config.addresses).await?;
    let database = open(&folder).await?;
    let people = People::load(&folder)?;
    let services = Services::new(&config, &folder, database.clone())?;

    let every: Vec<_> = (0..3)
        .map(|_| ops(services.readiness(), &telemetry.figures))
        .collect();
    let mut lifecycle = Lifecycle::new(every.clone(), GRACE, Duration::ZERO);
    keep_metrics(&mut lifecycle, &telemetry.figures);
    if config.log.level_file.is_some() {
        // Without a file the signal ends the process, as when the terminal is closed.
        let logs = telemetry.logs.clone();
        logs.follow(&mut lifecycle).context("no signals")?;
    }
    tell_connections(&database, &telemetry.figures);
    let (servers, set_up) = services.start(&mut lifecycle, listeners, every, GRACE)?;
    let mut stopping = lifecycle.stopping();
    let urls = config.addresses.map(url);
    let (shown, seed) = (folder.path().to_owned(), config.seed);
    lifecycle.spawn("set-up", async move {
        let work = async {
            // A login may have the turn to hash, or another program the file: both pass.
            let mut backoff = Backoff::default();
            while let Err(error) = set_up.run(&people).await {
                let error = format!("{error:#}");
                tracing::warn!(error, "accounts not made; trying again");
                backoff.pause().await;
            }
            people.save(&folder, &urls)?;
            welcome::show(folder.path(), &people, &urls);
            match seed {
                Some(count) => seed::run(count, set_up).await,
                None => Ok(()),
            }
        };
        tokio::select! {
            done = work => if let Err(error) = done {
                let error = format!("{error:#}");
                tracing::error!(error, "not set up");
            },
            _ = stopping.wait_for(|stopping| *stopping) => {}
        }
        // Done early, but a part of a process goes on until it is told to stop.
        let _ = stopping.wait_for(|stopping| *stopping).await;
    });
    let ended = lifecycle.run(signals, servers).await;
    telemetry.traces.finish().await;
    ended?;
    database.close().await;
    welcome::stopped(&shown);
    Ok(())
}

/// Listens on all three ports, or tells which of them cannot be had.
async fn listen(addresses: &[SocketAddr; 3]) -> anyhow::Result<[TcpListener; 3]> {
    let (mut listeners, mut faults) = (Vec::new(), Vec::new());
    for (name, address) in NAMES.iter().zip(addresses) {
        match TcpListener::bind(address).await {
            Ok(listener) => listeners.push(listener),
            Err(error) => faults.push(format!(
                "cannot listen on {address} for {name} ({error}); choose another port with --{name}-port"
            )),
        }
    }
    listeners
        .try_into()
        .map_err(|_| anyhow!(faults.join("\nerror: ")))
}

async fn open(folder: &Folder) -> anyhow::Result<Database> {
    let path = folder.path().display();
    match Database::open(&folder.database()).await {
        Ok(database) => Ok(database),
        Err(OpenError::Newer) => Err(anyhow!(
            "{path} was made by a newer version of ShopFlow: use that one, or another folder \
             (--data-dir), or begin afresh (--reset)"
        )),
        Err(error) => Err(error).context(format!("{path}/shopflow.db is of no use")),
    }
}

fn tell_connections(database: &Database, figures: &Figures) {
    let [writer, readers] = ["writer", "readers"].map(ConnectionGauges::new);
    let database = database.clone();
    figures.at_scrape(move || {
        for (gauges, pool) in [&writer, &readers].into_iter().zip(database.connections()) {
            gauges.set(pool.used, pool.idle, pool.most);
        }
    });
}

/// How a service is reached from this machine.
fn url(address: SocketAddr) -> String {
    let host = match address.ip() {
        any if any.is_unspecified() => "127.0.0.1".to_owned(),
        std::net::IpAddr::V6(ip) => format!("[{ip}]"),
        std::net::IpAddr::V4(ip) => ip.to_string(),
    };
    format!("http://{host}:{}", address.port())
}
