//! What can be typed after `shopflow notifications`.

use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand};
use core_notify::EventKind;

use super::common::{OutputArgs, PlaceArgs, WalkArgs, YesArgs};
use crate::config::BrokerArgs;

#[derive(Debug, Subcommand)]
pub(crate) enum NotificationCommand {
    /// List mails and texts, newest first
    #[command(
        after_help = "Examples:\n  shopflow notifications list --status failed\n  shopflow notifications list --order b2c3d4e5-f6a7-8901-bcde-f12345678901 --output json"
    )]
    List(NotificationListArgs),
    /// Show one mail or text, and every attempt to send it
    #[command(
        after_help = "Example:\n  shopflow notifications show 019c6a2e-5b1f-7c3d-8e4f-5a6b7c8d9e0f"
    )]
    Show(NotificationShowArgs),
    /// Send a mail or text once more, in the same words; asks first
    ///
    /// It becomes a notification of its own, which tells which one it is again. Only what was sent can
    /// be sent again (exit code 4): for what failed, see shopflow dlq replay. A mail with a one-time
    /// token cannot: see shopflow users reset-password.
    #[command(
        after_help = "Examples:\n  shopflow notifications resend 019c6a2e-5b1f-7c3d-8e4f-5a6b7c8d9e0f --reason 'she deleted it'\n  shopflow notifications resend 019c6a2e-5b1f-7c3d-8e4f-5a6b7c8d9e0f --yes --output json"
    )]
    Resend(NotificationResendArgs),
}

#[derive(Debug, Args)]
pub(crate) struct NotificationListArgs {
    /// Only those to the user with this id; users show tells it of an email
    #[arg(long, value_name = "ID")]
    pub(crate) user: Option<String>,
    /// Only those about this order
    #[arg(long, value_name = "ID")]
    pub(crate) order: Option<String>,
    /// Only mails, or only texts
    #[arg(long, value_parser = ["email", "sms"])]
    pub(crate) channel: Option<String>,
    /// Only those of this type
    #[arg(long = "type", value_name = "TYPE", value_parser = PossibleValuesParser::new(EventKind::ALL.map(EventKind::type_key)))]
    pub(crate) type_key: Option<String>,
    /// Only those that have come so far
    #[arg(long, value_parser = ["queued", "sent", "failed"])]
    pub(crate) status: Option<String>,
    #[command(flatten)]
    pub(crate) walk: WalkArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    #[command(flatten)]
    pub(crate) place: PlaceArgs,
}

#[derive(Debug, Args)]
pub(crate) struct NotificationShowArgs {
    /// The notification's id
    pub(crate) id: String,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    #[command(flatten)]
    pub(crate) place: PlaceArgs,
}

#[derive(Debug, Args)]
pub(crate) struct NotificationResendArgs {
    /// The notification's id
    pub(crate) id: String,
    /// Why, for the record: 1 to 200 characters
    #[arg(long)]
    pub(crate) reason: Option<String>,
    #[command(flatten)]
    pub(crate) yes: YesArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    #[command(flatten)]
    pub(crate) place: PlaceArgs,
    #[command(flatten)]
    pub(crate) broker: BrokerArgs,
}
