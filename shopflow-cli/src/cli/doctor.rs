//! What can be typed after `shopflow doctor`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::common::OutputArgs;
use super::config::Shown;
use crate::config::{AuthArgs, NotifyArgs, OrdersArgs};

#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Examples:\n  shopflow doctor orders\n  shopflow doctor notify --output json\n  shopflow doctor --data-dir ./shopflow-data"
)]
pub(crate) struct DoctorArgs {
    #[command(subcommand)]
    pub(crate) service: Option<DoctorService>,
    /// Folder of shopflow dev, in place of a service
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

/// Who is looked at, by the settings that `shopflow serve` takes.
#[derive(Debug, Subcommand)]
pub(crate) enum DoctorService {
    /// The auth service: settings, secrets, database, broker, Redis
    #[command(after_help = "Example:\n  shopflow doctor auth")]
    Auth(Box<Shown<AuthArgs>>),
    /// The order service: settings, token, database, broker, Redis, auth
    #[command(after_help = "Example:\n  shopflow doctor orders --output json")]
    Orders(Box<Shown<OrdersArgs>>),
    /// The notification service: settings, tokens, database, broker, auth, orders, SES, Twilio
    #[command(after_help = "Example:\n  shopflow doctor notify")]
    Notify(Box<Shown<NotifyArgs>>),
}
