//! What can be typed after `shopflow users`.

use clap::{Args, Subcommand};

use super::common::{OutputArgs, PageArgs, PlaceArgs, YesArgs};
use crate::config::{KeyArgs, ScryptArgs};

#[derive(Debug, Subcommand)]
pub(crate) enum UsersCommand {
    /// Make an admin; the password comes from SHOPFLOW_ADMIN_PASSWORD or a prompt
    #[command(
        after_help = "Example:\n  shopflow users create-admin --email ada@example.com --first-name Ada --last-name Lovelace"
    )]
    CreateAdmin(CreateAdminArgs),
    /// List users, newest first
    #[command(
        after_help = "Examples:\n  shopflow users list --role admin\n  shopflow users list --inactive --output json --data-dir ./shopflow-data"
    )]
    List(UserListArgs),
    /// Show one user
    #[command(after_help = "Example:\n  shopflow users show ada@example.com")]
    Show(UserArgs),
    /// Make a user an admin; the tokens they have end
    #[command(after_help = "Example:\n  shopflow users promote ada@example.com")]
    Promote(ChangeArgs),
    /// Make an admin a customer; the tokens they have end
    #[command(after_help = "Example:\n  shopflow users demote ada@example.com")]
    Demote(GuardedArgs),
    /// Let a deactivated user log in again
    #[command(after_help = "Example:\n  shopflow users activate ada@example.com")]
    Activate(ChangeArgs),
    /// Let a user log in no more; all sessions end
    ///
    /// The account can be activated again, until retention purges it 90 days later.
    #[command(after_help = "Example:\n  shopflow users deactivate ada@example.com")]
    Deactivate(GuardedArgs),
    /// Look at a user's logins, or end them
    #[command(subcommand)]
    Sessions(SessionsCommand),
    /// Mail a user a token for another password, or set one
    ///
    /// Without --set the user is sent the mail of POST /auth/password/forgot, unless one was sent
    /// within the last minute. That needs JWT_SECRET, as the auth service has it.
    #[command(
        after_help = "Examples:\n  shopflow users reset-password ada@example.com\n  SHOPFLOW_NEW_PASSWORD_FILE=/run/secrets/new shopflow users reset-password ada@example.com --set --yes"
    )]
    ResetPassword(Box<ResetPasswordArgs>),
    /// Show what was done with an account, newest first
    #[command(after_help = "Example:\n  shopflow users audit ada@example.com --limit 5")]
    Audit(UserAuditArgs),
}

#[derive(Debug, Args)]
pub(crate) struct CreateAdminArgs {
    /// The admin's email, which is also the login
    #[arg(long)]
    pub(crate) email: String,
    /// First name
    #[arg(long)]
    pub(crate) first_name: String,
    /// Last name
    #[arg(long)]
    pub(crate) last_name: String,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    #[command(flatten)]
    pub(crate) place: PlaceArgs,
    #[command(flatten)]
    pub(crate) scrypt: ScryptArgs,
}

#[derive(Debug, Args)]
pub(crate) struct UserListArgs {
    /// Only the one with this email
    #[arg(long)]
    pub(crate) email: Option<String>,
    /// Only customers, or only admins
    #[arg(long, value_parser = ["customer", "admin"])]
    pub(crate) role: Option<String>,
    /// Only active ones
    #[arg(long, conflicts_with = "inactive")]
    pub(crate) active: bool,
    /// Only deactivated ones
    #[arg(long)]
    pub(crate) inactive: bool,
    #[command(flatten)]
    pub(crate) page: PageArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    #[command(flatten)]
    pub(crate) place: PlaceArgs,
}

#[derive(Debug, Args)]
pub(crate) struct UserArgs {
    /// Id or email
    pub(crate) user: String,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    #[command(flatten)]
    pub(crate) place: PlaceArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ChangeArgs {
    /// Id or email
    pub(crate) user: String,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    #[command(flatten)]
    pub(crate) place: PlaceArgs,
}

#[derive(Debug, Args)]
pub(crate) struct GuardedArgs {
    #[command(flatten)]
    pub(crate) change: ChangeArgs,
    /// Even if no active admin is left
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SessionsCommand {
    /// List a user's logins, newest first
    #[command(after_help = "Example:\n  shopflow users sessions list ada@example.com")]
    List(SessionListArgs),
    /// End all logins of a user, and every token they have; or one of them with its tokens
    #[command(
        after_help = "Examples:\n  shopflow users sessions end ada@example.com --yes\n  shopflow users sessions end ada@example.com --session 3f2b8c1d-5e6a-4b7c-8d9e-0a1b2c3d4e5f"
    )]
    End(EndSessionsArgs),
}

#[derive(Debug, Args)]
pub(crate) struct SessionListArgs {
    /// Id or email
    pub(crate) user: String,
    /// How many at most
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) limit: u32,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    #[command(flatten)]
    pub(crate) place: PlaceArgs,
}

#[derive(Debug, Args)]
pub(crate) struct EndSessionsArgs {
    /// Id or email
    pub(crate) user: String,
    /// Only this one, by its id
    #[arg(long, value_name = "ID")]
    pub(crate) session: Option<String>,
    #[command(flatten)]
    pub(crate) yes: YesArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    #[command(flatten)]
    pub(crate) place: PlaceArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ResetPasswordArgs {
    /// Id or email
    pub(crate) user: String,
    /// Set a password at once, from SHOPFLOW_NEW_PASSWORD or a prompt; all sessions end
    #[arg(long)]
    pub(crate) set: bool,
    #[command(flatten)]
    pub(crate) yes: YesArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    #[command(flatten)]
    pub(crate) place: PlaceArgs,
    #[command(flatten)]
    pub(crate) keys: KeyArgs,
    #[command(flatten)]
    pub(crate) scrypt: ScryptArgs,
}

#[derive(Debug, Args)]
pub(crate) struct UserAuditArgs {
    /// Id or email; of a purged account its id
    pub(crate) user: String,
    #[command(flatten)]
    pub(crate) page: PageArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    #[command(flatten)]
    pub(crate) place: PlaceArgs,
}
