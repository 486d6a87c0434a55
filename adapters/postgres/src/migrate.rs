//! Bringing a database up to date. The scripts are compiled in; PostgreSQL's advisory lock keeps
//! replicas that start together from racing.

use std::time::Duration;

use sqlx::migrate::Migrator;
use sqlx::postgres::PgPool;

use crate::pool::within;

/// Far longer than a script takes, or the wait for another replica that runs it.
const TIMEOUT: Duration = Duration::from_secs(600);

/// Whose tables. Each has its own list of what was applied, so that all may share one database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Schema {
    /// Accounts and sessions.
    Auth,
    /// Orders, their history and their outbox.
    Orders,
    /// Notifications.
    Notify,
}

/// A script could not be applied.
#[derive(Debug, thiserror::Error)]
#[error("the database schema could not be brought up to date")]
pub struct MigrateError(#[source] sqlx::migrate::MigrateError);

impl MigrateError {
    /// Whether the database was away, so that it is worth trying again.
    #[must_use]
    pub fn is_unavailable(&self) -> bool {
        match &self.0 {
            sqlx::migrate::MigrateError::Execute(error)
            | sqlx::migrate::MigrateError::ExecuteMigration(error, _) => {
                crate::error::is_unavailable(error)
            }
            _ => false,
        }
    }
}

impl Schema {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Auth, Self::Orders, Self::Notify];

    /// The service whose tables they are, by its name at the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Auth => "auth",
            Self::Orders => "orders",
            Self::Notify => "notify",
        }
    }

    /// The table in which is kept what was applied.
    fn table(self) -> &'static str {
        match self {
            Self::Auth => "shopflow_auth_migrations",
            Self::Orders => "shopflow_orders_migrations",
            Self::Notify => "shopflow_notify_migrations",
        }
    }

    fn migrator(self) -> Migrator {
        let mut migrator = match self {
            Self::Auth => sqlx::migrate!("./migrations/auth"),
            Self::Orders => sqlx::migrate!("./migrations/orders"),
            Self::Notify => sqlx::migrate!("./migrations/notify"),
        };
        migrator.dangerous_set_table_name(self.table());
        // A replica of the version before must still start while a deployment is rolled back.
        migrator.set_ignore_missing(true);
        migrator
    }
}

/// Applies what is not yet applied. Safe to call from any number of processes at once.
///
/// # Errors
/// When the database is away or a script fails; a script is applied whole or not at all.
pub async fn migrate(pool: &PgPool, schema: Schema) -> Result<(), MigrateError> {
    match tokio::time::timeout(TIMEOUT, schema.migrator().run(pool)).await {
        Ok(done) => done.map_err(MigrateError),
        Err(late) => Err(MigrateError(sqlx::Error::Io(late.into()).into())),
    }
}

/// Whose tables a database has.
///
/// # Errors
/// When it does not answer.
pub async fn schemas(pool: &PgPool) -> Result<Vec<Schema>, sqlx::Error> {
    let mut found = Vec::new();
    for schema in Schema::ALL {
        let there = sqlx::query_scalar("SELECT to_regclass($1) IS NOT NULL").bind(schema.table());
        if within(there.fetch_one(pool)).await? {
            found.push(schema);
        }
    }
    Ok(found)
}

/// How the tables of a database stand to the scripts of this program; versions of scripts, ascending.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Drift {
    /// Scripts that are still to be applied.
    pub missing: Vec<i64>,
    /// Scripts that were applied and that this program does not know: a later one was here.
    pub unknown: Vec<i64>,
    /// Scripts that were applied with other contents, or did not come to their end.
    pub broken: Vec<i64>,
}

/// Compares what was applied with what there is to apply. Changes nothing.
///
/// # Errors
/// When the database does not answer, or has no tables of this service (`42P01`).
pub async fn drift(pool: &PgPool, schema: Schema) -> Result<Drift, sqlx::Error> {
    // The name is one of three constants.
    let sql = format!(
        "SELECT version, checksum, success FROM {} ORDER BY version",
        schema.table()
    );
    let applied = sqlx::query_as(sqlx::AssertSqlSafe(sql)).fetch_all(pool);
    let applied: Vec<(i64, Vec<u8>, bool)> = within(applied).await?;
    let migrator = schema.migrator();
    let mut drift = Drift::default();
    for known in migrator.iter() {
        if !applied
            .iter()
            .any(|(version, ..)| *version == known.version)
        {
            drift.missing.push(known.version);
        }
    }
    for (version, checksum, success) in applied {
        match migrator.iter().find(|known| known.version == version) {
            None => drift.unknown.push(version),
            Some(known) if !success || *known.checksum != *checksum => drift.broken.push(version),
            Some(_) => {}
        }
    }
    Ok(drift)
}
