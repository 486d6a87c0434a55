//! `shopflow outbox …` as it is typed.

use clap::{Args, Subcommand};

use super::common::{OutputArgs, PlaceArgs};
use crate::config::BrokerArgs;

#[derive(Debug, Subcommand)]
pub(crate) enum OutboxCommand {
    /// List the events that wait to be published, oldest first
    #[command(
        after_help = "Example:\n  DATABASE_URL=postgres://shopflow@localhost/orders shopflow outbox list"
    )]
    List(OutboxListArgs),
    /// Publish them now, those too that the broker refused and that were put off
    #[command(
        after_help = "Example:\n  export DATABASE_URL=postgres://shopflow@localhost/orders RABBITMQ_URL=amqp://localhost/%2f\n  shopflow outbox flush"
    )]
    Flush(OutboxFlushArgs),
}

#[derive(Debug, Args)]
pub(crate) struct OutboxListArgs {
    /// How many of each service at most
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) limit: u32,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    #[command(flatten)]
    pub(crate) place: PlaceArgs,
}

#[derive(Debug, Args)]
pub(crate) struct OutboxFlushArgs {
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    #[command(flatten)]
    pub(crate) place: PlaceArgs,
    #[command(flatten)]
    pub(crate) broker: BrokerArgs,
}
