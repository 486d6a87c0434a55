//! The `shopflow` command: three services and their administration in one binary.
//!
//! Nothing is decided here. The cores decide, the adapters do, and this connects them.

mod admin;
mod cli;
mod config;
mod dev;
mod lifecycle;
mod serve;
mod telemetry;

use std::process::ExitCode;

use clap::Parser;

use cli::{Cli, Command};
use config::Problems;

// What one thread takes another often gives back (a line of the log, an answer of the database), and a
// hash takes 16 MiB for a moment: glibc's allocator holds its locks for the one, and keeps the other.
// How this one is set stands in .cargo/config.toml; other systems know not all of that, and keep theirs.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Why a command did not do what it was asked; the exit codes of contract §7.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Wrong usage or configuration (2).
    Usage(Problems),
    /// Whatever else failed (1).
    Failed(anyhow::Error),
    /// What was named is not there (3).
    NotFound(String),
    /// A rule forbids it (4).
    Refused(String),
}

impl From<Problems> for Failure {
    fn from(problems: Problems) -> Self {
        Self::Usage(problems)
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Failed(error)
    }
}

#[expect(
    clippy::print_stderr,
    reason = "a command tells people what went wrong"
)]
fn main() -> ExitCode {
    // Wrong usage ends here, with clap's own message and exit code 2.
    let cli = Cli::parse();
    // Whoever comes second finds the same provider installed.
    let _ = rustls::crypto::ring::default_provider().install_default();
    match run(cli.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Usage(problems)) => {
            eprint!("{problems}");
            ExitCode::from(2)
        }
        Err(Failure::Failed(error)) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
        Err(Failure::NotFound(what)) => {
            eprintln!("error: {what}");
            ExitCode::from(3)
        }
        Err(Failure::Refused(why)) => {
            eprintln!("error: {why}");
            ExitCode::from(4)
        }
    }
}

fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Serve(service) => serve::run(service),
        Command::Dev(args) => dev::run(*args),
        Command::Migrate(args) => admin::migrate::run(&args),
        Command::Token(command) => admin::token::run(&command),
        Command::Users(command) => admin::users::run(&command),
        Command::Orders(command) => admin::orders::run(&command),
        Command::Notifications(command) => admin::notifications::run(&command),
        Command::Templates(command) => admin::templates::run(&command),
        Command::Config(command) => admin::config::run(&command),
        Command::Completions { shell } => admin::generate::completions(shell),
        Command::Man => admin::generate::man(),
        Command::Openapi { service } => admin::generate::openapi(service),
        Command::Asyncapi => admin::generate::asyncapi(),
        Command::Outbox(command) => admin::outbox::run(&command),
        Command::Doctor(args) => admin::doctor::run(&args),
        Command::Dlq(command) => admin::dlq::run(&command),
        Command::Reconcile(args) => admin::reconcile::run(&args),
        Command::Retention(command) => admin::retention::run(&command),
    }
}
