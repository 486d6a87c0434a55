//! What is changed of an account.

use core_auth::{Patch, UserRole};
use core_kernel::RequestContext;
use shopflow_http::view;

use super::{failure, open};
use crate::Failure;
use crate::admin::actor::doing;
use crate::admin::output::{json, say};
use crate::cli::{ChangeArgs, GuardedArgs, Output};

pub(super) async fn promote(args: &ChangeArgs) -> Result<(), Failure> {
    change(args, &role(UserRole::Admin), false, "an admin").await
}

pub(super) async fn demote(args: &GuardedArgs) -> Result<(), Failure> {
    let patch = role(UserRole::Customer);
    change(&args.change, &patch, args.force, "a customer").await
}

pub(super) async fn activate(args: &ChangeArgs) -> Result<(), Failure> {
    change(args, &active(true), false, "active").await
}

pub(super) async fn deactivate(args: &GuardedArgs) -> Result<(), Failure> {
    change(&args.change, &active(false), args.force, "deactivated").await
}

fn role(role: UserRole) -> Patch {
    Patch {
        role: Some(role),
        ..Patch::default()
    }
}

fn active(is_active: bool) -> Patch {
    Patch {
        is_active: Some(is_active),
        ..Patch::default()
    }
}

/// Nothing of it asks first: each of these changes is taken back by its opposite.
async fn change(args: &ChangeArgs, patch: &Patch, force: bool, so: &str) -> Result<(), Failure> {
    let name = &args.user;
    let accounts = super::accounts(&open(&args.place).await?);
    let context = RequestContext::generate();
    let changed = async {
        let user = accounts.named(name).await?;
        let by = doing(&context);
        accounts.operate(user.id, patch, force, &by).await
    };
    let changed = changed.await.map_err(|error| failure(error, name))?;
    let already = if changed.change.is_none() {
        " already"
    } else {
        ""
    };
    match args.output.output {
        Output::Json => json(&view::user(&changed.user)),
        Output::Table => say(&format!("{} is {so}{already}", changed.user.email.as_str())),
    }
}
