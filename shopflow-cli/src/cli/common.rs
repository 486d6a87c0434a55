//! What many commands have in common.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::config::DatabaseArgs;

/// How a result looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For people.
    Table,
    /// For programs.
    Json,
}

/// Which way to tell.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct OutputArgs {
    /// For people or for programs
    #[arg(long, value_enum, default_value = "table")]
    pub(crate) output: Output,
}

/// Where the data is.
#[derive(Clone, Debug, Args)]
pub(crate) struct PlaceArgs {
    /// Folder of shopflow dev, in place of DATABASE_URL
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) database: DatabaseArgs,
}

/// Which part of a long list.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct PageArgs {
    /// Which page, from 1
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) page: u32,
    /// How many a page has
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(crate) limit: u32,
}

/// Which part of a list that may be very long: it costs the same anywhere.
#[derive(Clone, Debug, Args)]
pub(crate) struct WalkArgs {
    /// Only those made so long ago or longer, such as 90m or 24h
    #[arg(long, value_name = "AGE")]
    pub(crate) older_than: Option<String>,
    /// Only those made within so long, such as 90m or 24h
    #[arg(long, value_name = "AGE")]
    pub(crate) newer_than: Option<String>,
    /// Only those that follow the one with this id, as the last listing told
    #[arg(long, value_name = "ID", conflicts_with = "older_than")]
    pub(crate) after: Option<String>,
    /// How many at most
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(crate) limit: u32,
}

/// Whether to ask first.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct YesArgs {
    /// Do not ask first
    #[arg(long)]
    pub(crate) yes: bool,
}
