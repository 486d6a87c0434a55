//! `shopflow dlq …` as it is typed.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::common::{OutputArgs, YesArgs};
use crate::config::{BrokerArgs, DatabaseArgs};

#[derive(Debug, Subcommand)]
pub(crate) enum DlqCommand {
    /// List dead letters, oldest first
    #[command(
        after_help = "Example:\n  shopflow dlq list --queue notifications.order.created --reason exhausted --older-than 1h"
    )]
    List(DlqListArgs),
    /// Count dead letters by queue, type and cause
    #[command(after_help = "Example:\n  shopflow dlq group --older-than 1h")]
    Group(DlqGroupArgs),
    /// Show one dead letter with its event, and what was done with it
    #[command(after_help = "Example:\n  shopflow dlq show 0199c5a2-7e10-7000-8000-000000000001")]
    Show(DlqShowArgs),
    /// Send dead letters back to their work queues, as if they were new
    ///
    /// A letter leaves only once its queue has confirmed it. Nothing is sent twice: what was sent
    /// already is known by the event's id.
    #[command(
        after_help = "Examples:\n  shopflow dlq replay --order b2c3d4e5-f6a7-8901-bcde-f12345678901\n  shopflow dlq replay --reason throttled --limit 1000 --rate 50"
    )]
    Replay(DlqReplayArgs),
    /// Delete all dead letters that pass the filter; asks first
    #[command(
        after_help = "Example:\n  shopflow dlq purge --reason poison --older-than 720h --yes"
    )]
    Purge(DlqPurgeArgs),
    /// Delete dead letters by their ids, and note why; asks first
    #[command(
        after_help = "Example:\n  shopflow dlq discard 0199c5a2-7e10-7000-8000-000000000001 --reason 'order was a test'"
    )]
    Discard(DlqDiscardArgs),
    /// Write dead letters to standard output, one JSON document a line; they stay
    #[command(after_help = "Example:\n  shopflow dlq export --reason poison > poison.ndjson")]
    Export(DlqExportArgs),
    /// Add dead letters from a file that export wrote
    #[command(after_help = "Example:\n  shopflow dlq import poison.ndjson")]
    Import(DlqImportArgs),
}

/// Where the dead letters are.
#[derive(Clone, Debug, Args)]
pub(crate) struct LettersArgs {
    /// Folder of shopflow dev, in place of RABBITMQ_URL
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) broker: BrokerArgs,
    /// The notification service's, where it is kept what is done with dead letters.
    #[command(flatten)]
    pub(crate) database: DatabaseArgs,
}

/// Which dead letters.
#[derive(Clone, Debug, Args)]
pub(crate) struct FilterArgs {
    /// Of this queue; the name of its dead letters is as good
    #[arg(long, value_name = "QUEUE")]
    pub(crate) queue: Option<String>,
    /// About this order
    #[arg(long, value_name = "ID")]
    pub(crate) order: Option<String>,
    /// Of this type, such as OrderCreated
    #[arg(long = "type", value_name = "TYPE")]
    pub(crate) event_type: Option<String>,
    /// Failed for this: a class such as refused, or words of the message
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: Option<String>,
    /// Given up at least so long ago, such as 90m or 24h
    #[arg(long, value_name = "AGE")]
    pub(crate) older_than: Option<String>,
}

/// How letters are moved.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct MoveArgs {
    /// How many at most, oldest first
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) limit: Option<u32>,
    /// How many a second at most
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) rate: Option<u32>,
    /// Tell what would be done, and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Args)]
pub(crate) struct DlqListArgs {
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
    /// How many at most
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) limit: u32,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    #[command(flatten)]
    pub(crate) place: LettersArgs,
}

#[derive(Debug, Args)]
pub(crate) struct DlqGroupArgs {
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    #[command(flatten)]
    pub(crate) place: LettersArgs,
}

#[derive(Debug, Args)]
pub(crate) struct DlqShowArgs {
    /// The event's id, as dlq list tells it
    pub(crate) message_id: String,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    #[command(flatten)]
    pub(crate) place: LettersArgs,
}

#[derive(Debug, Args)]
pub(crate) struct DlqReplayArgs {
    /// Only these, by the events' ids
    pub(crate) message_ids: Vec<String>,
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
    #[command(flatten)]
    pub(crate) moving: MoveArgs,
    /// For scripts that give it to every command; a replay never asks
    #[arg(long)]
    pub(crate) yes: bool,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    #[command(flatten)]
    pub(crate) place: LettersArgs,
}

#[derive(Debug, Args)]
pub(crate) struct DlqPurgeArgs {
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
    #[command(flatten)]
    pub(crate) moving: MoveArgs,
    #[command(flatten)]
    pub(crate) yes: YesArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    #[command(flatten)]
    pub(crate) place: LettersArgs,
}

#[derive(Debug, Args)]
pub(crate) struct DlqDiscardArgs {
    /// The events' ids
    #[arg(required = true)]
    pub(crate) message_ids: Vec<String>,
    /// Why, for the record
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: String,
    /// Tell what would be done, and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) yes: YesArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    #[command(flatten)]
    pub(crate) place: LettersArgs,
}

#[derive(Debug, Args)]
pub(crate) struct DlqExportArgs {
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
    /// How many at most, oldest first
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) limit: Option<u32>,
    #[command(flatten)]
    pub(crate) place: LettersArgs,
}

#[derive(Debug, Args)]
pub(crate) struct DlqImportArgs {
    /// The file; - for standard input
    pub(crate) file: PathBuf,
    /// Check the file, and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    #[command(flatten)]
    pub(crate) place: LettersArgs,
}
