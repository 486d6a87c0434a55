//! The settings of `shopflow dev`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use clap::Args;
use core_notify::{FaultRule, Links};
use shopflow_http::Edge;

use super::args::{EdgeArgs, LinkArgs, LogArgs, OrderLimitArgs, PolicyArgs, TraceArgs};
use super::auth::PolicyConfig;
use super::problems::Problems;
use super::services::{LogConfig, LogFormat};
use super::telemetry::{DatabaseSystem, TraceConfig};

/// As typed.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  shopflow dev
  shopflow dev --data-dir /tmp/shop --seed 200
  shopflow dev --fail email:throttle:3      # the next three mails are put off
  shopflow dev --reset                      # begin afresh")]
pub(crate) struct DevArgs {
    /// Folder in which everything is kept
    #[arg(long, value_name = "DIR", default_value = "./shopflow-data")]
    data_dir: PathBuf,
    /// Port of the auth service
    #[arg(long, value_name = "PORT", default_value_t = 3001)]
    auth_port: u16,
    /// Port of the order service
    #[arg(long, value_name = "PORT", default_value_t = 3002)]
    orders_port: u16,
    /// Port of the notification service, and of the inbox
    #[arg(long, value_name = "PORT", default_value_t = 3003)]
    notify_port: u16,
    /// Address to listen on; whoever can reach it can read the inbox
    #[arg(long, value_name = "ADDRESS", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    bind_address: IpAddr,
    /// Make so many users and orders, in all states
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    seed: Option<u32>,
    /// Delete what the folder holds and begin afresh; asks first
    #[arg(long)]
    reset: bool,
    /// Delete without asking
    #[arg(long, requires = "reset")]
    yes: bool,
    /// Let attempts to send fail, as email:throttle:3 (email, sms; throttle, timeout, refuse, lost,
    /// away; how many, or all without a number)
    #[arg(long, value_name = "CHANNEL:FAULT[:COUNT]")]
    fail: Vec<FaultRule>,
    #[command(flatten)]
    policy: PolicyArgs,
    #[command(flatten)]
    order_limit: OrderLimitArgs,
    #[command(flatten)]
    links: LinkArgs,
    #[command(flatten)]
    edge: EdgeArgs,
    #[command(flatten)]
    log: LogArgs,
    #[command(flatten)]
    traces: TraceArgs,
}

/// Checked.
#[derive(Debug)]
pub(crate) struct DevConfig {
    pub(crate) data_dir: PathBuf,
    /// Where auth, orders and notify listen.
    pub(crate) addresses: [SocketAddr; 3],
    pub(crate) seed: Option<u32>,
    /// Whether to delete what is there, and whether to ask before.
    pub(crate) reset: bool,
    pub(crate) ask: bool,
    pub(crate) faults: Vec<FaultRule>,
    pub(crate) policy: PolicyConfig,
    /// Requests to the order service of one user in a minute, if they are limited.
    pub(crate) order_limit: Option<u32>,
    pub(crate) links: Links,
    pub(crate) edge: Edge,
    pub(crate) log: LogConfig,
    pub(crate) traces: Option<TraceConfig>,
}

impl DevArgs {
    /// The settings.
    ///
    /// # Errors
    /// All problems at once.
    pub(crate) fn resolve(self) -> Result<DevConfig, Problems> {
        let mut problems = Problems::default();
        let policy = self.policy.check(&mut problems);
        let order_limit = self.order_limit.check(&mut problems);
        let links = self.links.check(&mut problems);
        let edge = self.edge.check(&mut problems);
        let log = self.log.check(&mut problems, "warn", LogFormat::Text);
        let database = DatabaseSystem::Sqlite;
        let traces = self.traces.check(&mut problems, "shopflow-dev", database);
        let ports = [
            ("--auth-port", self.auth_port),
            ("--orders-port", self.orders_port),
            ("--notify-port", self.notify_port),
        ];
        for (index, (name, port)) in ports.iter().enumerate() {
            if *port == 0 {
                problems.add(name, "must be 1 to 65535");
            } else if ports[..index].iter().any(|(_, other)| other == port) {
                problems.add(name, format!("{port} is another service's port already"));
            }
        }
        let policy = problems.finish(policy)?;
        Ok(DevConfig {
            data_dir: self.data_dir,
            addresses: ports.map(|(_, port)| SocketAddr::new(self.bind_address, port)),
            seed: self.seed,
            reset: self.reset,
            ask: !self.yes,
            faults: self.fail,
            policy,
            order_limit,
            links,
            edge,
            log,
            traces,
        })
    }
}
