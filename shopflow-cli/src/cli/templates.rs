//! What can be typed after `shopflow templates`.

use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand};
use core_notify::EventKind;

use super::common::{OutputArgs, PlaceArgs};
use crate::config::AuthPlaceArgs;

#[derive(Debug, Subcommand)]
pub(crate) enum TemplateCommand {
    /// List what notifications say, one template for each type
    #[command(after_help = "Example:\n  shopflow templates list")]
    List(TemplateListArgs),
    /// Show what a mail and a text say, as the notification service renders them
    ///
    /// With sample data, or with those of an order; nothing is sent. The customer is read from
    /// --auth-database-url, or from the same database as the order. A one-time token is masked.
    #[command(
        after_help = "Examples:\n  shopflow templates render order_created\n  shopflow templates render order_created --html mail.html --open\n  shopflow templates render order_shipped --order b2c3d4e5-f6a7-8901-bcde-f12345678901 --channel sms"
    )]
    Render(Box<TemplateRenderArgs>),
    /// Render all templates with data of all sorts, and tell what is wrong
    ///
    /// Exit code 1 when something is.
    #[command(after_help = "Example:\n  shopflow templates check --output json")]
    Check(TemplateCheckArgs),
}

#[derive(Debug, Args)]
pub(crate) struct TemplateListArgs {
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

#[derive(Debug, Args)]
pub(crate) struct TemplateRenderArgs {
    /// Which one
    #[arg(value_parser = PossibleValuesParser::new(EventKind::ALL.map(EventKind::type_key)))]
    pub(crate) name: String,
    /// With the data of this order, in place of sample data
    #[arg(long, value_name = "ID")]
    pub(crate) order: Option<String>,
    /// Only the mail, or only the text
    #[arg(long, value_parser = ["email", "sms"])]
    pub(crate) channel: Option<String>,
    /// Write the HTML of the mail to this file
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
    /// Show that file in the browser
    #[arg(long, requires = "html")]
    pub(crate) open: bool,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    #[command(flatten)]
    pub(crate) place: PlaceArgs,
    #[command(flatten)]
    pub(crate) auth: AuthPlaceArgs,
}

#[derive(Debug, Args)]
pub(crate) struct TemplateCheckArgs {
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}
