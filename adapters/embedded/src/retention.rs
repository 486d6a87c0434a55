//! Retention: which runs there were, whose turn it is, and what each service lets go of.

mod notifications;
mod orders;
mod users;

use std::fs::{File, OpenOptions, TryLockError};

use async_trait::async_trait;
use core_kernel::{BoxError, Outcome, RetentionError, RetentionLog, RetentionRun, Tally, Turn};
use jiff::Timestamp;
use sqlx::FromRow;
use tokio::sync::OwnedMutexGuard;

use crate::database::Database;
use crate::value::Micros;

const INTERRUPT: &str = "
    UPDATE retention_runs SET outcome = 'interrupted'
    WHERE service = ?1 AND outcome = 'running'";

const BEGIN: &str = "
    INSERT INTO retention_runs (service, actor, started_at, outcome)
    VALUES (?1, substr(?2, 1, 255), ?3, 'running')
    RETURNING id";

const NOTE: &str = "
    UPDATE retention_runs
    SET purged = ?2, masked = ?3, archived = ?4, past_term = ?5,
        outcome = ?6, ended_at = ?7, error = substr(?8, 1, 1000)
    WHERE id = ?1";

const LIST: &str = "
    SELECT id, service, actor, started_at, ended_at, outcome, purged, masked, archived, past_term,
           error
    FROM retention_runs WHERE service = ?1 ORDER BY id DESC LIMIT ?2";

/// The runs over one service's data, in the table `retention_runs`. All services take turns.
#[derive(Clone, Debug)]
pub struct SqliteRetentionLog {
    pub(crate) database: Database,
    pub(crate) service: &'static str,
}

/// The turn in this process, and among processes that have the same file open. The system lets go of
/// the second when the process ends, however it ends.
struct SqliteTurn {
    _here: OwnedMutexGuard<()>,
    _everywhere: Option<File>,
}

#[async_trait]
impl Turn for SqliteTurn {
    async fn end(self: Box<Self>) {}
}

#[derive(FromRow)]
struct Row {
    id: i64,
    service: String,
    actor: String,
    started_at: Micros,
    ended_at: Option<Micros>,
    outcome: String,
    purged: i64,
    masked: i64,
    archived: i64,
    past_term: i64,
    error: Option<String>,
}

impl TryFrom<Row> for RetentionRun {
    type Error = RetentionError;

    fn try_from(row: Row) -> Result<Self, RetentionError> {
        let outcome = Outcome::from_word(&row.outcome);
        let outcome = outcome.ok_or_else(|| failed(BoxError::from("unknown outcome")))?;
        Ok(Self {
            id: row.id,
            service: row.service,
            actor: row.actor,
            started_at: row.started_at.0,
            ended_at: row.ended_at.map(|at| at.0),
            outcome,
            tally: Tally {
                purged: row.purged.unsigned_abs(),
                masked: row.masked.unsigned_abs(),
                archived: row.archived.unsigned_abs(),
                past_term: row.past_term.unsigned_abs(),
            },
            error: row.error,
        })
    }
}

fn failed(error: impl Into<BoxError>) -> RetentionError {
    RetentionError::of("keeping the log of runs")(error)
}

fn number(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

impl SqliteRetentionLog {
    async fn set(
        &self,
        id: i64,
        tally: Tally,
        outcome: Outcome,
        ended_at: Option<Timestamp>,
        error: Option<&str>,
    ) -> Result<(), RetentionError> {
        let note = sqlx::query(NOTE)
            .bind(id)
            .bind(number(tally.purged))
            .bind(number(tally.masked))
            .bind(number(tally.archived))
            .bind(number(tally.past_term))
            .bind(outcome.as_str())
            .bind(ended_at.map(Micros))
            .bind(error.map(str::to_owned));
        let mut transaction = self.database.write().await.map_err(failed)?;
        note.execute(&mut *transaction).await.map_err(failed)?;
        transaction.commit().await.map_err(failed)
    }
}

#[async_trait]
impl RetentionLog for SqliteRetentionLog {
    async fn turn(&self) -> Result<Option<Box<dyn Turn>>, RetentionError> {
        let Ok(here) = self.database.retiring.clone().try_lock_owned() else {
            return Ok(None);
        };
        let everywhere = match &self.database.turn_file {
            None => None,
            Some(path) => {
                let file = OpenOptions::new().create(true).append(true).open(path);
                let file = file.map_err(failed)?;
                match file.try_lock() {
                    Ok(()) => Some(file),
                    Err(TryLockError::WouldBlock) => return Ok(None),
                    Err(TryLockError::Error(error)) => return Err(failed(error)),
                }
            }
        };
        Ok(Some(Box::new(SqliteTurn {
            _here: here,
            _everywhere: everywhere,
        })))
    }

    async fn begin(&self, actor: &str, at: Timestamp) -> Result<i64, RetentionError> {
        let mut transaction = self.database.write().await.map_err(failed)?;
        sqlx::query(INTERRUPT)
            .bind(self.service)
            .execute(&mut *transaction)
            .await
            .map_err(failed)?;
        let id = sqlx::query_scalar(BEGIN)
            .bind(self.service)
            .bind(actor.to_owned())
            .bind(Micros(at))
            .fetch_one(&mut *transaction)
            .await
            .map_err(failed)?;
        transaction.commit().await.map_err(failed)?;
        Ok(id)
    }

    async fn note(&self, id: i64, tally: Tally) -> Result<(), RetentionError> {
        self.set(id, tally, Outcome::Running, None, None).await
    }

    async fn finish(
        &self,
        id: i64,
        at: Timestamp,
        tally: Tally,
        error: Option<&str>,
    ) -> Result<(), RetentionError> {
        let outcome = match error {
            None => Outcome::Done,
            Some(_) => Outcome::Failed,
        };
        self.set(id, tally, outcome, Some(at), error).await
    }

    async fn list(&self, limit: u32) -> Result<Vec<RetentionRun>, RetentionError> {
        let rows: Vec<Row> = sqlx::query_as(LIST)
            .bind(self.service)
            .bind(i64::from(limit))
            .fetch_all(self.database.read())
            .await
            .map_err(failed)?;
        rows.into_iter().map(RetentionRun::try_from).collect()
    }
}
