//! What can be typed.

mod common;
mod config;
mod dlq;
mod doctor;
mod notifications;
mod orders;
mod outbox;
mod reconcile;
mod templates;
mod users;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::config::{
    AuthArgs, DatabaseArgs, DevArgs, KeyArgs, NotifyArgs, OrdersArgs, RetentionArgs,
};

pub(crate) use common::{Output, OutputArgs, PageArgs, PlaceArgs, WalkArgs};
pub(crate) use config::{CheckArgs, ConfigCommand, ShowArgs};
pub(crate) use dlq::{
    DlqCommand, DlqDiscardArgs, DlqExportArgs, DlqGroupArgs, DlqImportArgs, DlqListArgs,
    DlqPurgeArgs, DlqReplayArgs, DlqShowArgs, FilterArgs, LettersArgs, MoveArgs,
};
pub(crate) use doctor::{DoctorArgs, DoctorService};
pub(crate) use notifications::{
    NotificationCommand, NotificationListArgs, NotificationResendArgs, NotificationShowArgs,
};
pub(crate) use orders::{ExplainArgs, OrderArgs, OrderCommand, OrderListArgs, TransitionArgs};
pub(crate) use outbox::{OutboxCommand, OutboxFlushArgs, OutboxListArgs};
pub(crate) use reconcile::ReconcileArgs;
pub(crate) use templates::{
    TemplateCheckArgs, TemplateCommand, TemplateListArgs, TemplateRenderArgs,
};
pub(crate) use users::{
    ChangeArgs, CreateAdminArgs, EndSessionsArgs, GuardedArgs, ResetPasswordArgs, SessionListArgs,
    SessionsCommand, UserArgs, UserAuditArgs, UserListArgs, UsersCommand,
};

/// The order backend: accounts, orders, notifications.
///
/// Every setting is an environment variable and a flag; the flag wins. Beside a secret X, X_FILE
/// reads it from a file. Admin commands work on the database of the service whose data they are about, or
/// with --data-dir on a folder of shopflow dev.
#[derive(Debug, Parser)]
#[command(
    name = "shopflow",
    version,
    propagate_version = true,
    after_help = "Examples:\n  shopflow dev                 try it, nothing has to be installed\n  shopflow doctor orders       what is wrong with a service, or with what it needs\n  shopflow orders explain ID   what became of an order, and what it is waiting for\n  shopflow dlq group           what could not be mailed, by cause"
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run one service in the foreground, logs on stdout
    #[command(subcommand)]
    Serve(Service),
    /// Run all three services on embedded storage, with an inbox in place of the providers
    #[command(
        after_help = "Examples:\n  shopflow dev\n  shopflow dev --data-dir /tmp/shop --seed 100 --reset"
    )]
    Dev(Box<DevArgs>),
    /// Bring a service's database up to date and exit
    Migrate(MigrateArgs),
    /// Make service tokens, and look into any token
    #[command(subcommand)]
    Token(TokenCommand),
    /// List users, change their role or access, reset passwords, end logins
    ///
    /// The database is that of the auth service.
    #[command(subcommand)]
    Users(UsersCommand),
    /// List and explain orders, and move them on
    ///
    /// The database is that of the order service.
    #[command(subcommand)]
    Orders(OrderCommand),
    /// Look at mails and texts, and send them once more
    #[command(subcommand)]
    Notifications(NotificationCommand),
    /// Look at what mails and texts say
    #[command(subcommand)]
    Templates(TemplateCommand),
    /// Look at the settings of a service
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Print the completions of a shell
    #[command(
        after_help = "Examples:\n  shopflow completions bash > /etc/bash_completion.d/shopflow\n  source <(shopflow completions zsh)"
    )]
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
    /// Print the manual, all commands in one page
    #[command(after_help = "Example:\n  shopflow man | man -l -")]
    Man,
    /// Print what a service answers (OpenAPI 3.1)
    #[command(after_help = "Example:\n  shopflow openapi orders > orders.openapi.json")]
    Openapi {
        /// Which service
        service: Target,
    },
    /// Print which events there are (AsyncAPI 3)
    #[command(after_help = "Example:\n  shopflow asyncapi > events.asyncapi.json")]
    Asyncapi,
    /// Look at events on their way to the broker, and publish them
    ///
    /// The database is that of the auth service or of the order service: each has an outbox.
    #[command(subcommand)]
    Outbox(Box<OutboxCommand>),
    /// Look for all that is wrong with a service and what it needs; changes and sends nothing
    ///
    /// Looks at settings, secrets, clocks, tables, exchanges and queues, and at everybody whom the
    /// service calls; no check takes longer than 5 seconds. A line for each: ok, warn, or FAIL with
    /// what to do. Exit code 1 when something failed.
    Doctor(DoctorArgs),
    /// Look into dead letters, replay or discard them
    ///
    /// Dead letters are events that could not be worked off; most are mails that were never sent.
    /// They are on the broker. With the database of the notification service, it is kept there who
    /// did what with them.
    #[command(subcommand)]
    Dlq(Box<DlqCommand>),
    /// Look for orders without their event or their mail, and mend them with --fix
    ///
    /// Finds orders whose event was never stored, events that went out and of which nothing was
    /// written down, notifications that are stuck, and orders that their history contradicts. With
    /// --fix their events go out (again). What the notification service knows to be sent is not sent
    /// again. What it has forgotten, because its database was restored from an old backup, is mailed
    /// once more; look first, and narrow it down with --newer-than and --older-than. What was
    /// discarded as a dead letter is not found. Exit code 1 when something is left.
    Reconcile(Box<ReconcileArgs>),
    /// Let go of what need not be kept
    #[command(subcommand)]
    Retention(RetentionCommand),
}

#[derive(Debug, Subcommand)]
pub(crate) enum Service {
    /// Accounts and tokens (port 3001)
    #[command(
        after_help = "Example:\n  DATABASE_URL=postgres://shopflow@localhost/auth JWT_SECRET_FILE=/run/secrets/jwt RABBITMQ_URL=amqp://localhost/%2f shopflow serve auth"
    )]
    Auth(Box<AuthArgs>),
    /// Orders (port 3002)
    #[command(
        after_help = "Example:\n  shopflow serve orders --port 3002 --log-format text\n\nWhat it still needs is told, all at once, by: shopflow config check orders"
    )]
    Orders(Box<OrdersArgs>),
    /// Mails and texts (port 3003)
    #[command(
        after_help = "Example:\n  shopflow serve notify --port 3003 --log-format text\n\nWhat it still needs is told, all at once, by: shopflow config check notify"
    )]
    Notify(Box<NotifyArgs>),
}

/// Whose database.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Target {
    Auth,
    Orders,
    Notify,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  DATABASE_URL=postgres://shopflow@localhost/auth shopflow migrate auth"
)]
pub(crate) struct MigrateArgs {
    /// The service whose tables are wanted
    pub(crate) service: Target,
    #[command(flatten)]
    pub(crate) database: DatabaseArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Print a service token, signed with JWT_SECRET
    #[command(
        after_help = "Example:\n  shopflow token service --subject notification-service --ttl 24h"
    )]
    Service(ServiceTokenArgs),
    /// Tell what is in a token, read from standard input, and whether it is good
    ///
    /// Needs JWT_SECRET to tell whether it is good: exit code 1 when it is not. What was revoked since,
    /// only the auth service knows.
    #[command(after_help = "Example:\n  shopflow token inspect < /run/secrets/auth-service-token")]
    Inspect(InspectArgs),
}

#[derive(Debug, Args)]
pub(crate) struct InspectArgs {
    /// Folder of shopflow dev, in place of JWT_SECRET
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    #[command(flatten)]
    pub(crate) keys: KeyArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ServiceTokenArgs {
    /// The service it is for, such as notification-service
    #[arg(long)]
    pub(crate) subject: String,
    /// How long it is valid, such as 90m or 24h
    #[arg(long, default_value = "24h", allow_hyphen_values = true)]
    pub(crate) ttl: String,
    /// Folder of shopflow dev, in place of JWT_SECRET
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) keys: KeyArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum RetentionCommand {
    /// Purge users deactivated for 90 days, archive notifications older than a year
    ///
    /// Works on all services' tables that the database has. Orders are only counted. Archives of a
    /// folder of shopflow dev go to its own folder archive.
    #[command(
        after_help = "Example:\n  DATABASE_URL=postgres://shopflow@localhost/notify RETENTION_ARCHIVE_URL=s3://shop-archive shopflow retention run --dry-run"
    )]
    Run(Box<RetentionRunArgs>),
    /// List the runs there were, newest first
    #[command(
        after_help = "Example:\n  DATABASE_URL=postgres://shopflow@localhost/notify shopflow retention list --limit 5"
    )]
    List(RetentionListArgs),
}

#[derive(Debug, Args)]
pub(crate) struct RetentionRunArgs {
    /// Tell what would be done, and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    #[command(flatten)]
    pub(crate) place: PlaceArgs,
    #[command(flatten)]
    pub(crate) retention: RetentionArgs,
}

#[derive(Debug, Args)]
pub(crate) struct RetentionListArgs {
    /// How many of each service at most
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) limit: u32,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    #[command(flatten)]
    pub(crate) place: PlaceArgs,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        super::Cli::command().debug_assert();
    }
}
