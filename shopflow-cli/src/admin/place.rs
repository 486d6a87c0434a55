//! Where the data is that a command works on.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use core_auth::{OneTimeStore, SessionStore, UserStore};
use core_notify::{DeadLetterLog, NotificationLedger, NotificationStore};
use core_orders::{OrderLedger, OrderStore, OrderTrail};
use shopflow_embedded::Database;
use shopflow_postgres::{
    PgDeadLetterLog, PgNotificationStore, PgOneTimeStore, PgOrderStore, PgSessionStore,
    PgUserStore, pool,
};
use sqlx::PgPool;

use crate::cli::PlaceArgs;
use crate::config::{DatabaseConfig, Problems};
use crate::dev::Folder;

/// Where the data is.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    /// In PostgreSQL.
    Server(DatabaseConfig),
    /// In a folder of `shopflow dev`, which may be running on it.
    Folder(PathBuf),
}

/// The data, opened.
#[derive(Clone, Debug)]
pub(crate) enum Data {
    /// PostgreSQL; connects when it is first asked.
    Server(PgPool),
    /// A file.
    Folder(Database),
}

impl PlaceArgs {
    /// The folder if there is one, else the server.
    pub(crate) fn check(&self, problems: &mut Problems) -> Option<Place> {
        match &self.data_dir {
            Some(folder) => Some(Place::Folder(folder.clone())),
            None => self.database.check(problems).map(Place::Server),
        }
    }

    /// The same for commands that need no other setting.
    ///
    /// # Errors
    /// What is wrong with the settings.
    pub(crate) fn resolve(&self) -> Result<Place, Problems> {
        let mut problems = Problems::default();
        let place = self.check(&mut problems);
        problems.finish(place)
    }
}

impl Place {
    /// Opens the data with so many connections at most. `command` is how PostgreSQL lists them, such
    /// as `shopflow users`.
    ///
    /// # Errors
    /// When there is no such folder, or its file is of no use.
    pub(crate) async fn open(&self, command: &str, connections: u32) -> anyhow::Result<Data> {
        match self {
            Self::Server(database) => {
                let pool = pool(database.url.expose(), connections, command);
                Ok(Data::Server(pool.context("DATABASE_URL")?))
            }
            Self::Folder(folder) => {
                let file = Folder::database_in(folder)?;
                let database = Database::open(&file).await;
                let database =
                    database.with_context(|| format!("{} is of no use", file.display()))?;
                Ok(Data::Folder(database))
            }
        }
    }
}

impl Data {
    /// The data of another service: where it was said to be, or beside these. `command` is as in
    /// [`Place::open`].
    ///
    /// # Errors
    /// Those of [`Place::open`].
    pub(crate) async fn beside(
        &self,
        elsewhere: Option<DatabaseConfig>,
        command: &str,
    ) -> anyhow::Result<Self> {
        match elsewhere {
            Some(database) => Place::Server(database).open(command, 2).await,
            None => Ok(self.clone()),
        }
    }

    /// The accounts.
    pub(crate) fn users(&self) -> Arc<dyn UserStore> {
        match self {
            Self::Server(pool) => Arc::new(PgUserStore::new(pool.clone())),
            Self::Folder(database) => Arc::new(database.users()),
        }
    }

    /// The sessions of the accounts.
    pub(crate) fn sessions(&self) -> Arc<dyn SessionStore> {
        match self {
            Self::Server(pool) => Arc::new(PgSessionStore::new(pool.clone())),
            Self::Folder(database) => Arc::new(database.sessions()),
        }
    }

    /// The one-time tokens of the accounts.
    pub(crate) fn one_time_tokens(&self) -> Arc<dyn OneTimeStore> {
        match self {
            Self::Server(pool) => Arc::new(PgOneTimeStore::new(pool.clone())),
            Self::Folder(database) => Arc::new(database.one_time_tokens()),
        }
    }

    /// The orders.
    pub(crate) fn orders(&self) -> Arc<dyn OrderStore> {
        match self {
            Self::Server(pool) => Arc::new(PgOrderStore::new(pool.clone())),
            Self::Folder(database) => Arc::new(database.orders()),
        }
    }

    /// What became of the orders' events.
    pub(crate) fn trail(&self) -> Arc<dyn OrderTrail> {
        match self {
            Self::Server(pool) => Arc::new(PgOrderStore::new(pool.clone())),
            Self::Folder(database) => Arc::new(database.orders()),
        }
    }

    /// The orders with their history and their events, many at a time.
    pub(crate) fn order_ledger(&self) -> Arc<dyn OrderLedger> {
        match self {
            Self::Server(pool) => Arc::new(PgOrderStore::new(pool.clone())),
            Self::Folder(database) => Arc::new(database.orders()),
        }
    }

    /// Which notifications there are, and which are stuck.
    pub(crate) fn notification_ledger(&self) -> Arc<dyn NotificationLedger> {
        match self {
            Self::Server(pool) => Arc::new(PgNotificationStore::new(pool.clone())),
            Self::Folder(database) => Arc::new(database.notifications()),
        }
    }

    /// What was done with dead letters.
    pub(crate) fn dead_letter_log(&self) -> Arc<dyn DeadLetterLog> {
        match self {
            Self::Server(pool) => Arc::new(PgDeadLetterLog::new(pool.clone())),
            Self::Folder(database) => Arc::new(database.bus()),
        }
    }

    /// The notifications.
    pub(crate) fn notifications(&self) -> Arc<dyn NotificationStore> {
        match self {
            Self::Server(pool) => Arc::new(PgNotificationStore::new(pool.clone())),
            Self::Folder(database) => Arc::new(database.notifications()),
        }
    }
}

/// What to say when a service's data does not do its part.
pub(crate) fn failed(service: &str) -> String {
    format!("{service} (is the database migrated? see: shopflow migrate {service})")
}
