//! What can be typed after `shopflow config`.

use clap::{Args, Subcommand};

use super::common::OutputArgs;
use crate::config::{AuthArgs, NotifyArgs, OrdersArgs};

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Tell all that is wrong with the settings of a service; opens nothing
    ///
    /// Exit code 2, and one line for each problem; `ok` when there is none.
    #[command(subcommand)]
    Check(CheckArgs),
    /// Show every setting of a service and where it comes from, secrets masked
    #[command(subcommand)]
    Show(ShowArgs),
}

/// Whose settings: those that `shopflow serve` takes.
#[derive(Debug, Subcommand)]
pub(crate) enum CheckArgs {
    /// The auth service's
    #[command(
        after_help = "Example:\n  JWT_SECRET_FILE=/run/secrets/jwt shopflow config check auth"
    )]
    Auth(Box<AuthArgs>),
    /// The order service's
    #[command(after_help = "Example:\n  shopflow config check orders")]
    Orders(Box<OrdersArgs>),
    /// The notification service's
    #[command(after_help = "Example:\n  shopflow config check notify")]
    Notify(Box<NotifyArgs>),
}

/// Whose settings.
#[derive(Debug, Subcommand)]
pub(crate) enum ShowArgs {
    /// The auth service's
    #[command(after_help = "Example:\n  shopflow config show auth --output json")]
    Auth(Box<Shown<AuthArgs>>),
    /// The order service's
    #[command(after_help = "Example:\n  shopflow config show orders")]
    Orders(Box<Shown<OrdersArgs>>),
    /// The notification service's
    #[command(after_help = "Example:\n  shopflow config show notify")]
    Notify(Box<Shown<NotifyArgs>>),
}

#[derive(Debug, Args)]
pub(crate) struct Shown<S: Args> {
    #[command(flatten)]
    pub(crate) settings: S,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}
