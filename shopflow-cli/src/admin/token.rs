//! `shopflow token`.

mod inspect;

use std::path::Path;

use anyhow::anyhow;
use core_auth::Keyring;
use core_kernel::{Clock, SystemClock};
use jiff::SignedDuration;

use super::output::say;
use super::walk::length;
use crate::Failure;
use crate::cli::{ServiceTokenArgs, TokenCommand};
use crate::config::{Problems, read_secret};
use crate::dev::Folder;

pub(crate) fn run(command: &TokenCommand) -> Result<(), Failure> {
    match command {
        TokenCommand::Service(args) => service(args),
        TokenCommand::Inspect(args) => inspect::inspect(args),
    }
}

fn service(args: &ServiceTokenArgs) -> Result<(), Failure> {
    let keys = match &args.data_dir {
        Some(folder) => dev_keys(folder)?,
        None => args.keys.resolve()?,
    };
    let ttl = match length(&args.ttl) {
        Ok(ttl) if ttl >= SignedDuration::from_secs(1) => ttl,
        Ok(_) => return Err(Problems::one("--ttl", "must be a second at least").into()),
        Err(why) => return Err(Problems::one("--ttl", why).into()),
    };
    let subject = args.subject.trim();
    if subject.is_empty() || subject.len() > 255 {
        return Err(Problems::one("--subject", "must have 1 to 255 characters").into());
    }
    let token = keys
        .sign_service(subject, SystemClock.now(), ttl)
        .map_err(anyhow::Error::from)?;
    say(&token)
}

/// The secret of a folder of `shopflow dev`.
pub(super) fn dev_keys(folder: &Path) -> Result<Keyring, Failure> {
    Folder::database_in(folder)?;
    let file = Folder::secret_in(folder).display().to_string();
    let secret = read_secret(&file).map_err(|problem| anyhow!(problem))?;
    Ok(Keyring::new(&secret, &[]).map_err(anyhow::Error::from)?)
}
