//! What can be typed after `shopflow orders`.

use clap::{Args, Subcommand};

use super::common::{OutputArgs, PlaceArgs, WalkArgs};
use crate::config::{AuthPlaceArgs, BrokerArgs, NotifyPlaceArgs};

#[derive(Debug, Subcommand)]
pub(crate) enum OrderCommand {
    /// List orders, newest first
    #[command(
        after_help = "Examples:\n  shopflow orders list --status pending --older-than 48h\n  shopflow orders list --user 550e8400-e29b-41d4-a716-446655440000 --output json"
    )]
    List(OrderListArgs),
    /// Show one order
    #[command(after_help = "Example:\n  shopflow orders show b2c3d4e5-f6a7-8901-bcde-f12345678901")]
    Show(OrderArgs),
    /// Show what became of an order, oldest first
    #[command(
        after_help = "Example:\n  shopflow orders history b2c3d4e5-f6a7-8901-bcde-f12345678901"
    )]
    History(OrderArgs),
    /// Tell all that became of an order, in all services, and what it is waiting for
    ///
    /// The order service's database is --database-url. The databases of the other services are those of --auth-database-url and
    /// --notify-database-url, or the same; dead letters are on --rabbitmq-url. What cannot be read,
    /// whichever it is, is named, and the rest is told. Exit code 1 when
    /// that leaves nothing.
    #[command(
        after_help = "Examples:\n  shopflow orders explain b2c3d4e5-f6a7-8901-bcde-f12345678901\n  NOTIFY_DATABASE_URL=postgres://shopflow@notify/shopflow shopflow orders explain b2c3d4e5-f6a7-8901-bcde-f12345678901"
    )]
    Explain(Box<ExplainArgs>),
    /// Move an order one step: pending, confirmed, shipped, delivered
    ///
    /// There is no way back. The customer is told at shipped, as always. Exit code 4 when the order
    /// cannot become that.
    #[command(
        after_help = "Example:\n  shopflow orders transition b2c3d4e5-f6a7-8901-bcde-f12345678901 confirmed --reason 'paid by transfer'"
    )]
    Transition(TransitionArgs),
}

#[derive(Debug, Args)]
pub(crate) struct OrderListArgs {
    /// Only those of the user with this id; users show tells it of an email
    #[arg(long, value_name = "ID")]
    pub(crate) user: Option<String>,
    /// Only those in this state
    #[arg(long, value_parser = ["pending", "confirmed", "shipped", "delivered"])]
    pub(crate) status: Option<String>,
    #[command(flatten)]
    pub(crate) walk: WalkArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    #[command(flatten)]
    pub(crate) place: PlaceArgs,
}

#[derive(Debug, Args)]
pub(crate) struct OrderArgs {
    /// The order's id
    pub(crate) id: String,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    #[command(flatten)]
    pub(crate) place: PlaceArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    #[command(flatten)]
    pub(crate) order: OrderArgs,
    #[command(flatten)]
    pub(crate) auth: AuthPlaceArgs,
    #[command(flatten)]
    pub(crate) notify: NotifyPlaceArgs,
    #[command(flatten)]
    pub(crate) broker: BrokerArgs,
}

#[derive(Debug, Args)]
pub(crate) struct TransitionArgs {
    /// The order's id
    pub(crate) id: String,
    /// What it is to become: confirmed, shipped or delivered
    pub(crate) status: String,
    /// Why, for the history: 1 to 200 characters
    #[arg(long)]
    pub(crate) reason: Option<String>,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    #[command(flatten)]
    pub(crate) place: PlaceArgs,
}
