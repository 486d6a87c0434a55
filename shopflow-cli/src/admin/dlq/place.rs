//! Where dead letters are, which are meant, and where it is noted what is done with them.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use async_trait::async_trait;
use core_kernel::{Clock, SystemClock};
use core_notify::{
    DeadLetterDesk, DeadLetterError, DeadLetterLog, DeadLetterNote, DeadLetters, LetterFilter,
    WORK_QUEUES, WorkQueue,
};
use indicatif::ProgressBar;
use shopflow_amqp::AmqpDeadLetters;
use shopflow_postgres::{PgDeadLetterLog, Schema, schemas};

use super::wire;
use crate::Failure;
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
    /// Opens it. `bar` is what lines of the log must not be drawn over.
    pub(in crate::admin) async fn open(
        &self,
        bar: &ProgressBar,
    ) -> Result<DeadLetterDesk, Failure> {
        let (letters, rows): (Arc<dyn DeadLetters>, Option<Arc<dyn DeadLetterLog>>) = match self {
            Self::Broker(url, database) => {
                let letters = Arc::new(AmqpDeadLetters::new(url.expose().to_owned()));
                (letters, rows(database.as_ref()).await?)
            }
            Self::Folder(folder) => {
                let place = Place::Folder(folder.clone());
                let Data::Folder(database) = place.open("shopflow dlq", 1).await? else {
                    return Err(anyhow::anyhow!("a folder has no server").into());
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
async fn rows(
    database: Option<&DatabaseConfig>,
) -> Result<Option<Arc<dyn DeadLetterLog>>, Failure> {
    let Some(database) = database else {
        return Ok(None);
    };
    let place = Place::Server(database.clone());
    let Data::Server(pool) = place.open("shopflow dlq", 1).await? else {
        return Ok(None);
    };
    let found = schemas(&pool).await.context("DATABASE_URL")?;
    if !found.contains(&Schema::Notify) {
        note("DATABASE_URL has no notifications: what is done is only logged here");
        return Ok(None);
    }
    Ok(Some(Arc::new(PgDeadLetterLog::new(pool))))
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
}
