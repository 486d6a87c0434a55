//! What follows from the code: `shopflow completions` and `man` from what can be typed, `openapi` and
//! `asyncapi` from what is sent.

use anyhow::Context;
use clap::{Command, CommandFactory};
use clap_complete::Shell;

use super::output::write;
use crate::Failure;
use crate::cli::{Cli, Target};

pub(crate) fn completions(shell: Shell) -> Result<(), Failure> {
    // Into memory first: a reader that goes early is no error.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "shopflow", &mut script);
    write(&script)
}

/// One page, with a part for every command below the first.
pub(crate) fn man() -> Result<(), Failure> {
    let mut page = Vec::new();
    let mut command = Cli::command();
    command.build();
    clap_mangen::Man::new(command.clone())
        .render(&mut page)
        .context("no manual can be made")?;
    for part in command.get_subcommands() {
        describe(part, &mut page).context("no manual can be made")?;
    }
    write(&page)
}

/// The document that the service answers at `/openapi.json`.
pub(crate) fn openapi(service: Target) -> Result<(), Failure> {
    let service = match service {
        Target::Auth => shopflow_http::Service::Auth,
        Target::Orders => shopflow_http::Service::Orders,
        Target::Notify => shopflow_http::Service::Notify,
    };
    write(shopflow_http::openapi(service).as_bytes())
}

/// The document of all events.
pub(crate) fn asyncapi() -> Result<(), Failure> {
    write(shopflow_amqp::asyncapi().as_bytes())
}

fn describe(command: &Command, page: &mut Vec<u8>) -> std::io::Result<()> {
    if command.get_name() == "help" {
        return Ok(());
    }
    let name = command.get_bin_name().unwrap_or_default().to_uppercase();
    page.extend_from_slice(format!(".SH \"{name}\"\n").as_bytes());
    let man = clap_mangen::Man::new(command.clone());
    man.render_synopsis_section(page)?;
    man.render_description_section(page)?;
    man.render_options_section(page)?;
    for part in command.get_subcommands() {
        describe(part, page)?;
    }
    Ok(())
}
