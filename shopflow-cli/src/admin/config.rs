//! `shopflow config`.

use super::output::say;
use crate::Failure;
use crate::cli::{CheckArgs, ConfigCommand};

pub(crate) fn run(command: &ConfigCommand) -> Result<(), Failure> {
    match command {
        ConfigCommand::Check(args) => check(args),
    }
}

/// The very checks that a service makes when it starts.
fn check(args: &CheckArgs) -> Result<(), Failure> {
    match args {
        CheckArgs::Auth(args) => args.resolve().map(drop)?,
        CheckArgs::Orders(args) => args.resolve().map(drop)?,
        CheckArgs::Notify(args) => args.resolve().map(drop)?,
    }
    say("ok")
}
