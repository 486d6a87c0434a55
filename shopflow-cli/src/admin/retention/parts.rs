//! Whose data a database has, and what retention needs beside it.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, bail};
use async_trait::async_trait;
use core_auth::{UserPurge, UserRetention};
use core_kernel::{Retained, RetentionLog, RetentionRuns, SystemClock};
use core_notify::{
    NotificationRetention, NotificationRetirement, PurgedPage, PurgedUsers, ReadError,
};
use core_orders::{OrderAges, OrderRetention};
use shopflow_archive::ArchiveUrl;
use shopflow_embedded::Database;
use shopflow_http::{AuthClient, HttpClient};
use shopflow_postgres::{
    PgNotificationStore, PgOrderStore, PgRetentionLog, PgUserStore, Schema, schemas,
};
use tokio::sync::watch;

use crate::admin::place::{Data, Place};
use crate::config::{AuthPeer, RetentionConfig};
use crate::serve::retention::archive;

/// One for the turn, one to work with, and one to spare.
const CONNECTIONS: u32 = 3;

/// One service's data.
pub(super) struct Part {
    pub(super) service: &'static str,
    pub(super) runs: RetentionRuns,
    /// Whether a run would want a cold storage, and there is none.
    pub(super) needs_archive: bool,
}

/// All that a database has.
pub(super) struct Parts {
    pub(super) parts: Vec<Part>,
    /// What is not looked at, and why.
    pub(super) notes: Vec<String>,
}

/// The accounts beside the notifications, in the same database.
struct Beside(Arc<dyn UserPurge>);

#[async_trait]
impl PurgedUsers for Beside {
    async fn purged(&self, after: i64, limit: u32) -> Result<PurgedPage, ReadError> {
        let found = self.0.purged(after, limit).await;
        let found = found.map_err(|error| ReadError::Away("the accounts", error.into()))?;
        Ok(PurgedPage {
            next: found.last().map(|last| last.position),
            users: found.into_iter().map(|one| one.user_id).collect(),
        })
    }
}

/// The services' data that is there: accounts first, so that who is purged now is masked now.
/// The cold storage is opened, and made if need be, only for who `writes`.
pub(super) async fn parts(
    place: &Place,
    config: &RetentionConfig,
    writes: bool,
) -> anyhow::Result<Parts> {
    match (place.open("shopflow retention", CONNECTIONS).await?, place) {
        (Data::Folder(database), Place::Folder(folder)) => {
            in_folder(folder, &database, config, writes)
        }
        (Data::Server(pool), _) => on_server(&pool, config, writes).await,
        (Data::Folder(_), Place::Server(_)) => bail!("a server has no folder"),
    }
}

async fn on_server(
    pool: &sqlx::PgPool,
    config: &RetentionConfig,
    writes: bool,
) -> anyhow::Result<Parts> {
    let found = schemas(pool)
        .await
        .context("the database does not answer")?;
    if found.is_empty() {
        bail!("the database has no tables of ShopFlow (see: shopflow migrate)");
    }
    let mut notes = Vec::new();
    let users = || Arc::new(PgUserStore::new(pool.clone()));
    let mut parts = Vec::new();
    for schema in found.iter().copied() {
        let archive = archive(config.archive.as_ref().filter(|_| writes))?;
        let needs_archive = schema == Schema::Notify && archive.is_none();
        let data: Arc<dyn Retained> = match schema {
            Schema::Auth => Arc::new(UserRetention(users())),
            Schema::Orders => {
                let ages: Arc<dyn OrderAges> = Arc::new(PgOrderStore::new(pool.clone()));
                Arc::new(OrderRetention(ages))
            }
            Schema::Notify => {
                let purged: Option<Arc<dyn PurgedUsers>> = match &config.auth {
                    _ if found.contains(&Schema::Auth) => Some(Arc::new(Beside(users()))),
                    Some(peer) => Some(Arc::new(client(peer)?)),
                    None => {
                        let what =
                            "notify: nobody tells which users were purged, so none is masked";
                        notes.push(format!("{what}; set AUTH_SERVICE_URL"));
                        None
                    }
                };
                let store: Arc<dyn NotificationRetirement> =
                    Arc::new(PgNotificationStore::new(pool.clone()));
                Arc::new(NotificationRetention {
                    store,
                    archive,
                    purged,
                    batch: NotificationRetention::BATCH,
                })
            }
        };
        let log = Arc::new(PgRetentionLog::new(pool.clone(), schema));
        parts.push(part(schema.name(), log, data, needs_archive));
    }
    Ok(Parts { parts, notes })
}

fn in_folder(
    folder: &Path,
    database: &Database,
    config: &RetentionConfig,
    writes: bool,
) -> anyhow::Result<Parts> {
    let url = match &config.archive {
        Some(url) => url.clone(),
        None => ArchiveUrl::folder(&std::path::absolute(folder)?.join("archive"))?,
    };
    let users = Arc::new(database.users());
    let notifications = NotificationRetention {
        store: Arc::new(database.notifications()),
        archive: archive(Some(&url).filter(|_| writes))?,
        purged: Some(Arc::new(Beside(users.clone()))),
        batch: NotificationRetention::BATCH,
    };
    let orders = OrderRetention(Arc::new(database.orders()));
    let data: [(&'static str, Arc<dyn Retained>); 3] = [
        ("auth", Arc::new(UserRetention(users))),
        ("orders", Arc::new(orders)),
        ("notify", Arc::new(notifications)),
    ];
    let parts = data.map(|(service, data)| {
        let log = Arc::new(database.retention_log(service));
        part(service, log, data, false)
    });
    Ok(Parts {
        parts: parts.into(),
        notes: Vec::new(),
    })
}

fn part(
    service: &'static str,
    log: Arc<dyn RetentionLog>,
    data: Arc<dyn Retained>,
    needs_archive: bool,
) -> Part {
    Part {
        service,
        runs: RetentionRuns::new(log, data, Arc::new(SystemClock)),
        needs_archive,
    }
}

/// The auth service, with a token that stays as it is.
fn client(peer: &AuthPeer) -> anyhow::Result<AuthClient> {
    let http = HttpClient::new().context("no certificate authorities")?;
    let (_, token) = watch::channel(peer.token.value.clone());
    AuthClient::new(http, &peer.url, token).context("AUTH_SERVICE_URL")
}
