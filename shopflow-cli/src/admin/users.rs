//! `shopflow users`.

mod change;
mod create;
mod password;
mod sessions;
mod show;

use core_auth::{Accounts, OperateError, ScryptParams};

use super::place::{Data, failed};
use crate::Failure;
use crate::cli::{PlaceArgs, SessionsCommand, UsersCommand};
use crate::serve::block_on;

pub(crate) fn run(command: &UsersCommand) -> Result<(), Failure> {
    block_on(async {
        match command {
            UsersCommand::CreateAdmin(args) => create::create_admin(args).await,
            UsersCommand::List(args) => show::list(args).await,
            UsersCommand::Show(args) => show::one(args).await,
            UsersCommand::Promote(args) => change::promote(args).await,
            UsersCommand::Demote(args) => change::demote(args).await,
            UsersCommand::Activate(args) => change::activate(args).await,
            UsersCommand::Deactivate(args) => change::deactivate(args).await,
            UsersCommand::Sessions(SessionsCommand::List(args)) => sessions::list(args).await,
            UsersCommand::Sessions(SessionsCommand::End(args)) => sessions::end(args).await,
            UsersCommand::ResetPassword(args) => password::reset(args).await,
            UsersCommand::Audit(args) => show::audit(args).await,
        }
    })
}

async fn open(place: &PlaceArgs) -> Result<Data, Failure> {
    Ok(place.resolve()?.open("shopflow users", 2).await?)
}

/// The use cases that hash nothing.
fn accounts(data: &Data) -> Accounts {
    password::with_hasher(data, ScryptParams::default())
}

/// `name` is what was typed for the user.
fn failure(error: OperateError, name: &str) -> Failure {
    match error {
        OperateError::NotFound => Failure::NotFound(format!("no user has the id or email {name}")),
        OperateError::LastAdmin => {
            Failure::Refused(format!("{name} is the last active admin; see --force"))
        }
        error @ (OperateError::Hash(_) | OperateError::Store(_)) => broken(error),
    }
}

fn broken(error: impl Into<anyhow::Error>) -> Failure {
    error.into().context(failed("auth")).into()
}
