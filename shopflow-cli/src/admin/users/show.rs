//! What is told of users.

use core_auth::{AuditEntry, ChangeError, Email, OperateError, User, UserFilter, UserRole};
use core_kernel::{PageRequest, UserId};
use shopflow_http::view;

use super::{accounts, broken, failure, open};
use crate::Failure;
use crate::admin::output::{facts, json, listing, more, say, when, when_any};
use crate::cli::{Output, PageArgs, UserArgs, UserAuditArgs, UserListArgs};

fn page(args: PageArgs) -> PageRequest {
    PageRequest {
        page: args.page,
        limit: args.limit,
    }
}

fn role(user: &User) -> String {
    user.role.role().as_str().to_owned()
}

fn active(user: &User) -> String {
    if user.is_active { "yes" } else { "no" }.to_owned()
}

pub(super) async fn list(args: &UserListArgs) -> Result<(), Failure> {
    let filter = UserFilter {
        email: args.email.as_deref().map(Email::normalized),
        role: args.role.as_deref().and_then(UserRole::from_word),
        is_active: match (args.active, args.inactive) {
            (false, false) => None,
            (active, _) => Some(active),
        },
    };
    let page = page(args.page);
    let found = accounts(&open(&args.place).await?)
        .list(&filter, page)
        .await;
    let found = found.map_err(broken)?;
    let row = |user: &User| {
        vec![
            user.id.to_string(),
            user.email.as_str().to_owned(),
            role(user),
            active(user),
            when(user.created_at),
        ]
    };
    let head = ["ID", "EMAIL", "ROLE", "ACTIVE", "CREATED"];
    let rows = found.items.iter().map(row).collect();
    let data = found.items.iter().map(view::user).collect();
    let more = more(page.page, page.limit, found.items.len(), found.total);
    listing(args.output.output, &head, rows, data, more.as_deref())
}

pub(super) async fn one(args: &UserArgs) -> Result<(), Failure> {
    let found = accounts(&open(&args.place).await?).named(&args.user).await;
    let user = found.map_err(|error| failure(error, &args.user))?;
    if args.output.output == Output::Json {
        return json(&view::user(&user));
    }
    let phone = user.phone.as_ref().map(|phone| phone.as_str().to_owned());
    say(&facts(&[
        ("User", user.id.to_string()),
        ("Email", user.email.as_str().to_owned()),
        ("Verified", when_any(user.email_verified_at)),
        (
            "Name",
            format!("{} {}", user.first_name.as_str(), user.last_name.as_str()),
        ),
        ("Phone", phone.unwrap_or_default()),
        ("Role", role(&user)),
        ("Active", active(&user)),
        ("Created", when(user.created_at)),
        ("Updated", when(user.updated_at)),
    ]))
}

pub(super) async fn audit(args: &UserAuditArgs) -> Result<(), Failure> {
    let accounts = accounts(&open(&args.place).await?);
    let unknown = |error| failure(error, &args.user);
    // A purged account has no row any more, but its audit is kept under its id.
    let id = match args.user.parse::<UserId>() {
        Ok(id) => id,
        Err(_) => accounts.named(&args.user).await.map_err(unknown)?.id,
    };
    let page = page(args.page);
    let found = match accounts.audit(id, page).await {
        Ok(found) => found,
        Err(ChangeError::NotFound | ChangeError::Forbidden) => {
            return Err(unknown(OperateError::NotFound));
        }
        Err(ChangeError::Store(error)) => return Err(broken(error)),
    };
    let row = |entry: &AuditEntry| {
        let change = match (&entry.from, &entry.to) {
            (Some(from), Some(to)) => format!("{from} to {to}"),
            (None, to) => to.clone().unwrap_or_default(),
            (Some(from), None) => from.clone(),
        };
        vec![
            when(entry.at),
            entry.action.clone(),
            change,
            entry.actor_id.clone(),
            entry.actor_role.clone(),
            entry.trace_id.clone(),
        ]
    };
    let head = ["AT", "ACTION", "CHANGE", "ACTOR", "ROLE", "TRACE"];
    let rows = found.items.iter().map(row).collect();
    let data = found.items.iter().map(view::audit_entry).collect();
    let more = more(page.page, page.limit, found.items.len(), found.total);
    listing(args.output.output, &head, rows, data, more.as_deref())
}
