//! The file, or the memory, that everything is in.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use core_kernel::{Clock, SystemClock};
use core_notify::FaultScript;
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{Connection, Sqlite, Transaction};

use crate::bus::{SqliteBus, Traffic};
use crate::inbox::{InboxEmailSender, InboxSmsSender, SqliteInbox};
use crate::notifications::SqliteNotificationStore;
use crate::one_time::SqliteOneTimeStore;
use crate::orders::SqliteOrderStore;
use crate::outbox::SqliteOutbox;
use crate::retention::SqliteRetentionLog;
use crate::sessions::SqliteSessionStore;
use crate::users::SqliteUserStore;

static MIGRATIONS: Migrator = sqlx::migrate!("./migrations");

/// Reading side by side; more would only wait for the two or four cores of a laptop.
const READERS: u32 = 4;

/// How long a caller waits for its turn.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);

/// How long to wait for another process that is writing to the same file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Takes the right to write first, so that nobody who has read before is refused it.
const BEGIN: &str = "BEGIN IMMEDIATE";

/// Of each connection, in SQLite's words for 512 KiB. The system caches the file as well.
const CACHE: &str = "-512";

/// Why a database could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A later version of this program made it.
    #[error("it was made by a newer version of ShopFlow")]
    Newer,
    /// It cannot be opened, or is no database.
    #[error("it cannot be opened")]
    Unusable(#[source] sqlx::Error),
    /// Its tables could not be brought up to date.
    #[error("its tables could not be brought up to date")]
    Migration(#[source] MigrateError),
}

/// One embedded database; clones share it.
#[derive(Clone)]
pub struct Database {
    writer: SqlitePool,
    readers: SqlitePool,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) traffic: Arc<Traffic>,
    pub(crate) relaying: Arc<tokio::sync::Mutex<()>>,
    pub(crate) retiring: Arc<tokio::sync::Mutex<()>>,
    /// Locked by the process that runs retention; none where no other process can come.
    pub(crate) turn_file: Option<PathBuf>,
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Database")
    }
}

/// The connections of a pool at this moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connections {
    /// In use.
    pub used: u32,
    /// Open and free.
    pub idle: u32,
    /// How many there may be.
    pub most: u32,
}

impl Connections {
    fn of(pool: &SqlitePool) -> Self {
        let idle = u32::try_from(pool.num_idle()).unwrap_or(u32::MAX);
        Self {
            used: pool.size().saturating_sub(idle),
            idle,
            most: pool.options().get_max_connections(),
        }
    }
}

impl Database {
    /// The connection that writes, and those that read.
    #[must_use]
    pub fn connections(&self) -> [Connections; 2] {
        [&self.writer, &self.readers].map(Connections::of)
    }

    /// Opens a file, or makes it, and brings its tables up to date.
    ///
    /// # Errors
    /// `Newer`, `Unusable` or `Migration`.
    pub async fn open(file: &Path) -> Result<Self, OpenError> {
        let options = SqliteConnectOptions::new()
            .filename(file)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(BUSY_TIMEOUT)
            .pragma("cache_size", CACHE)
            .foreign_keys(true);
        let writer = pool(1)
            .connect_with(options.clone())
            .await
            .map_err(OpenError::Unusable)?;
        let readers = pool(READERS).connect_lazy_with(options.read_only(true));
        let mut turn_file = file.as_os_str().to_owned();
        turn_file.push("-retention");
        Ok(Self {
            turn_file: Some(turn_file.into()),
            ..Self::migrated(writer, readers).await?
        })
    }

    /// Opens a file that is there, for reading alone. Its tables stay as they are; the versions of the
    /// scripts that are still to be applied are told, and what needs them fails until they are.
    ///
    /// # Errors
    /// `Newer`, `Unusable`, or `Migration` when a script was applied with other contents.
    pub async fn look(file: &Path) -> Result<(Self, Vec<i64>), OpenError> {
        let options = SqliteConnectOptions::new()
            .filename(file)
            .read_only(true)
            .busy_timeout(BUSY_TIMEOUT);
        let only = pool(READERS).connect_with(options);
        let only = only.await.map_err(OpenError::Unusable)?;
        let missing = missing(&only).await?;
        Ok((Self::on(only.clone(), only).await?, missing))
    }

    /// A fresh database in memory, gone with its last clone. It has one connection, since SQLite's
    /// memory is a connection's own.
    ///
    /// # Errors
    /// `Unusable` or `Migration`.
    pub async fn in_memory() -> Result<Self, OpenError> {
        let options = SqliteConnectOptions::new()
            .in_memory(true)
            .foreign_keys(true);
        let only = pool(1)
            .connect_with(options)
            .await
            .map_err(OpenError::Unusable)?;
        Self::migrated(only.clone(), only).await
    }

    async fn migrated(writer: SqlitePool, readers: SqlitePool) -> Result<Self, OpenError> {
        match MIGRATIONS.run(&writer).await {
            Ok(()) => Self::on(writer, readers).await,
            Err(MigrateError::VersionMissing(_)) => Err(OpenError::Newer),
            Err(MigrateError::Execute(error)) => Err(OpenError::Unusable(error)),
            Err(error) => Err(OpenError::Migration(error)),
        }
    }

    async fn on(writer: SqlitePool, readers: SqlitePool) -> Result<Self, OpenError> {
        let traffic = Traffic::begin(&writer).await.map_err(OpenError::Unusable)?;
        Ok(Self {
            writer,
            readers,
            clock: Arc::new(SystemClock),
            traffic: Arc::new(traffic),
            relaying: Arc::default(),
            retiring: Arc::default(),
            turn_file: None,
        })
    }

    /// Accounts.
    #[must_use]
    pub fn users(&self) -> SqliteUserStore {
        SqliteUserStore(self.clone())
    }

    /// Sessions.
    #[must_use]
    pub fn sessions(&self) -> SqliteSessionStore {
        SqliteSessionStore(self.clone())
    }

    /// One-time tokens.
    #[must_use]
    pub fn one_time_tokens(&self) -> SqliteOneTimeStore {
        SqliteOneTimeStore(self.clone())
    }

    /// Orders with their history.
    #[must_use]
    pub fn orders(&self) -> SqliteOrderStore {
        SqliteOrderStore(self.clone())
    }

    /// The events that are to be published.
    #[must_use]
    pub fn outbox(&self) -> SqliteOutbox {
        SqliteOutbox(self.clone())
    }

    /// Notifications.
    #[must_use]
    pub fn notifications(&self) -> SqliteNotificationStore {
        SqliteNotificationStore(self.clone())
    }

    /// The runs of retention over this service's part: `auth`, `orders` or `notify`.
    #[must_use]
    pub fn retention_log(&self, service: &'static str) -> SqliteRetentionLog {
        let database = self.clone();
        SqliteRetentionLog { database, service }
    }

    /// The event bus.
    #[must_use]
    pub fn bus(&self) -> SqliteBus {
        SqliteBus(self.clone())
    }

    /// What was captured instead of sent.
    #[must_use]
    pub fn inbox(&self) -> SqliteInbox {
        SqliteInbox(self.clone())
    }

    /// Captures mails from `from`; attempts meet the faults of `script`.
    ///
    /// # Errors
    /// When `from` is no address.
    pub fn email_sender(
        &self,
        from: &str,
        script: Arc<FaultScript>,
    ) -> Result<InboxEmailSender, lettre::address::AddressError> {
        InboxEmailSender::new(self.clone(), from, script)
    }

    /// Captures texts; attempts meet the faults of `script`.
    #[must_use]
    pub fn sms_sender(&self, script: Arc<FaultScript>) -> InboxSmsSender {
        InboxSmsSender::new(self.clone(), script)
    }

    /// Whether it answers.
    pub async fn is_ready(&self) -> bool {
        sqlx::query("SELECT 1").execute(&self.readers).await.is_ok()
    }

    /// Lets go of the file. What was committed is in it; calls that come later fail.
    pub async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }

    /// For reading. Never held while [`Self::write`] is awaited: in memory it is the same
    /// connection.
    pub(crate) fn read(&self) -> &SqlitePool {
        &self.readers
    }

    /// A transaction that may write. It is the only one: others wait for their turn here, and
    /// other processes at `BEGIN IMMEDIATE`, so none can fail for having read first. Dropped
    /// without a commit, it leaves everything as it was.
    pub(crate) async fn write(&self) -> sqlx::Result<Transaction<'static, Sqlite>> {
        self.writer.begin_with(BEGIN).await
    }
}

/// The versions of the scripts that are still to be applied to a file, ascending.
async fn missing(readers: &SqlitePool) -> Result<Vec<i64>, OpenError> {
    let applied = sqlx::query_as("SELECT version, checksum FROM _sqlx_migrations");
    let applied: Vec<(i64, Vec<u8>)> = applied
        .fetch_all(readers)
        .await
        .map_err(OpenError::Unusable)?;
    for (version, checksum) in &applied {
        let known = MIGRATIONS.iter().find(|known| known.version == *version);
        let known = known.ok_or(OpenError::Newer)?;
        if *known.checksum != **checksum {
            let error = MigrateError::VersionMismatch(*version);
            return Err(OpenError::Migration(error));
        }
    }
    let is_new = |version: &i64| applied.iter().all(|(applied, _)| applied != version);
    Ok(MIGRATIONS
        .iter()
        .map(|known| known.version)
        .filter(is_new)
        .collect())
}

/// Connections that stay: opening one costs more than keeping it, and in memory it would lose all.
fn pool(size: u32) -> SqlitePoolOptions {
    SqlitePoolOptions::new()
        .max_connections(size)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
        .before_acquire(|connection, _| {
            // A full disk ends a transaction in SQLite that the connection believes to be open, and would
            // for ever. Such a one is closed.
            let usable = !connection.is_in_transaction();
            Box::pin(std::future::ready(Ok(usable)))
        })
}
