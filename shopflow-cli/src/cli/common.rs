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

/// Whether to ask first.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct YesArgs {
    /// Do not ask first
    #[arg(long)]
    pub(crate) yes: bool,
}
