//! Asking before what cannot be taken back.

use std::io::{BufRead, IsTerminal, Write};

use anyhow::{Context, anyhow};

use crate::Failure;
use crate::config::Problems;

/// Whether it can be asked, or need not be: for commands that take long before they ask.
///
/// # Errors
/// Exit code 2 where there is nobody to ask.
pub(crate) fn askable(yes: bool) -> Result<(), Failure> {
    if yes || std::io::stdin().is_terminal() {
        return Ok(());
    }
    let why = "is required where there is no terminal to ask at";
    Err(Problems::one("--yes", why).into())
}

/// Goes on if `yes` was given (`--yes`), or somebody at the terminal says so. `what` is the question,
/// such as `Deactivate ada@example.com?`.
///
/// # Errors
/// Exit code 2 where there is nobody to ask, 1 when the answer is no.
pub(crate) fn confirm(what: &str, yes: bool) -> Result<(), Failure> {
    askable(yes)?;
    if yes {
        return Ok(());
    }
    match agreed(what)? {
        true => Ok(()),
        false => Err(anyhow!("nothing was done").into()),
    }
}

/// Asks at the terminal. The question goes to standard error: what is piped on is only the answer.
///
/// # Errors
/// When the terminal is gone.
fn agreed(what: &str) -> anyhow::Result<bool> {
    let mut stderr = std::io::stderr();
    write!(stderr, "{what} [y/N] ").context("cannot ask")?;
    let mut answer = String::new();
    std::io::stdin()
        .lock()
        .read_line(&mut answer)
        .context("cannot ask")?;
    Ok(["y", "yes"].contains(&answer.trim().to_lowercase().as_str()))
}
