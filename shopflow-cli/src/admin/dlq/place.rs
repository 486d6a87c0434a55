//! Where dead letters are, which are meant, and where it is noted what is done with them.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, anyhow};
use async_trait::async_trait;
use core_kernel::{Clock, OrderId, SystemClock};
use core_notify::{
    DeadLetterDesk, DeadLetterError, DeadLetterLog, DeadLetterNote, DeadLetters, Discarded,
    LetterFilter, WORK_QUEUES, WorkQueue,
};
use indicatif::ProgressBar;
use shopflow_amqp::AmqpDeadLetters;
use shopflow_postgres::{Schema, schemas};

use super::wire;
use crate::admin::actor::actor;
use crate::admin::output::note;
use crate::admin::place::{Data, Place};
use crate::admin::walk::ago;
use crate::cli::{FilterArgs, LettersArgs};
use crate::config::{DatabaseConfig, Problems, Secret};

/// Where dead letters are.
pub(in crate::admin) enum LettersPlace {
    /// On the broker; what is done is also kept in a database, if one is named.
    Broker(Secret, Option<DatabaseConfig>),
    /// In a folder of `shopflow dev`, which may be running on it.
    Folder(PathBuf),
}

impl LettersArgs {
    pub(super) fn check(&self, problems: &mut Problems) -> Option<LettersPlace> {
        if let Some(folder) = &self.data_dir {
            return Some(LettersPlace::Folder(folder.clone()));
        }
        let database = self.database.optional(problems);
        let url = self.broker.required(problems)?;
        Some(LettersPlace::Broker(url, database))
    }
}

impl FilterArgs {
    pub(super) fn check(&self, problems: &mut Problems) -> LetterFilter {
        LetterFilter {
            queue: self.queue.as_deref().and_then(|name| {
                let names = WORK_QUEUES.map(|queue| queue.name).join(", ");
                let queue = WorkQueue::named(name);
                problems.take("--queue", queue.ok_or(format!("must be one of {names}")))
            }),
            message_ids: Vec::new(),
            order_id: self.order.as_deref().and_then(|id| {
                problems.take("--order", id.parse().map_err(|_| "must be an order's id"))
            }),
            event_type: self.event_type.clone(),
            reason: self.reason.clone(),
            failed_until: ago(
                problems,
                "--older-than",
                self.older_than.as_ref(),
                SystemClock.now(),
            ),
        }
    }
}

impl LettersPlace {
    /// The dead letters that belong to some data, for who only looks at them: in the same folder, or
    /// on this broker.
    ///
    /// # Errors
    /// When no broker was named, or the folder is of no use.
    pub(in crate::admin) async fn of(
        place: &Place,
        broker: Option<&Secret>,
    ) -> anyhow::Result<DeadLetterDesk> {
        let place = match (place, broker) {
            (Place::Folder(folder), _) => Self::Folder(folder.clone()),
            (Place::Server(_), Some(url)) => Self::Broker(url.clone(), None),
            (Place::Server(_), None) => return Err(anyhow!("RABBITMQ_URL is not set")),
        };
        place.open(&ProgressBar::hidden()).await
    }

    /// Opens it. `bar` is what lines of the log must not be drawn over.
    ///
    /// # Errors
    /// When the database that was named does not answer, or the folder is of no use.
    pub(super) async fn open(&self, bar: &ProgressBar) -> anyhow::Result<DeadLetterDesk> {
        let (letters, rows): (Arc<dyn DeadLetters>, Option<Arc<dyn DeadLetterLog>>) = match self {
            Self::Broker(url, database) => {
                let letters = Arc::new(AmqpDeadLetters::new(url.expose().to_owned()));
                (letters, rows(database.as_ref()).await?)
            }
            Self::Folder(folder) => {
                let place = Place::Folder(folder.clone());
                let Data::Folder(database) = place.open("shopflow dlq", 1).await? else {
                    return Err(anyhow!("a folder has no server"));
                };
                let bus = Arc::new(database.bus());
                (bus.clone(), Some(bus))
            }
        };
        Ok(DeadLetterDesk {
            letters,
            log: Arc::new(Audit {
                rows,
                bar: bar.clone(),
            }),
            clock: Arc::new(SystemClock),
            actor: actor(),
        })
    }
}

/// The log in the notification service's database, if that is the one that is named.
async fn rows(database: Option<&DatabaseConfig>) -> anyhow::Result<Option<Arc<dyn DeadLetterLog>>> {
    let Some(database) = database else {
        return Ok(None);
    };
    let place = Place::Server(database.clone());
    let data = place.open("shopflow dlq", 1).await?;
    let Data::Server(pool) = &data else {
        return Ok(None);
    };
    let found = schemas(pool).await.context("DATABASE_URL")?;
    if !found.contains(&Schema::Notify) {
        note("DATABASE_URL has no notifications: what is done is only logged here");
        return Ok(None);
    }
    Ok(Some(data.dead_letter_log()))
}

/// A line on standard error for each letter that something is done with, and a row where the
/// database is known.
struct Audit {
    rows: Option<Arc<dyn DeadLetterLog>>,
    bar: ProgressBar,
}

#[async_trait]
impl DeadLetterLog for Audit {
    async fn note(&self, notes: &[DeadLetterNote]) -> Result<(), DeadLetterError> {
        if let Some(rows) = &self.rows {
            rows.note(notes).await?;
        }
        let lines = notes.iter().map(|one| wire::note(one).to_string());
        let lines: Vec<String> = lines.collect();
        if !lines.is_empty() {
            self.bar.suspend(|| note(&lines.join("\n")));
        }
        Ok(())
    }

    async fn notes_of(&self, message_id: &str) -> Result<Vec<DeadLetterNote>, DeadLetterError> {
        match &self.rows {
            Some(rows) => rows.notes_of(message_id).await,
            None => Ok(Vec::new()),
        }
    }

    async fn discarded(
        &self,
        orders: &[OrderId],
        message_ids: &[String],
    ) -> Result<Vec<Discarded>, DeadLetterError> {
        match &self.rows {
            Some(rows) => rows.discarded(orders, message_ids).await,
            None => Ok(Vec::new()),
        }
    }
}
