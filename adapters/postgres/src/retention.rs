//! Retention: which runs there were, whose turn it is, and what each service lets go of.

mod notifications;
mod orders;
mod users;

use async_trait::async_trait;
use core_kernel::{BoxError, Outcome, RetentionError, RetentionLog, RetentionRun, Tally, Turn};
use jiff::Timestamp;
use jiff_sqlx::ToSqlx;
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgPool, Postgres};
use sqlx::{Connection, FromRow};

use crate::migrate::Schema;
use crate::pool::within;

// Held by a connection, so it ends with the process that has it.
const LOCK: &str = "SELECT pg_try_advisory_lock(hashtextextended('shopflow retention ' || $1, 0))";

const UNLOCK: &str = "SELECT pg_advisory_unlock_all()";

const INTERRUPT: &str = "
    UPDATE retention_runs SET outcome = 'interrupted'
    WHERE service = $1 AND outcome = 'running'";

const BEGIN: &str = "
    INSERT INTO retention_runs (service, actor, started_at, outcome)
    VALUES ($1, left($2, 255), $3, 'running')
    RETURNING id";

const NOTE: &str = "
    UPDATE retention_runs
    SET purged = $2, masked = $3, archived = $4, past_term = $5,
        outcome = $6, ended_at = $7, error = left($8, 1000)
    WHERE id = $1";

const LIST: &str = "
    SELECT id, service, actor, started_at, ended_at, outcome, purged, masked, archived, past_term,
           error
    FROM retention_runs WHERE service = $1 ORDER BY id DESC LIMIT $2";

/// The runs over one service's data, in the table `retention_runs`.
#[derive(Clone, Debug)]
pub struct PgRetentionLog {
    pool: PgPool,
    service: &'static str,
}

/// A connection that holds the lock. It takes one of the pool's connections while a run lasts.
struct PgTurn(PoolConnection<Postgres>);

#[async_trait]
impl Turn for PgTurn {
    async fn end(mut self: Box<Self>) {
        // Whoever asks after this gets the lock; of the end of a session the server learns later.
        let _ = within(sqlx::query(UNLOCK).execute(&mut *self.0)).await;
        // Closed and not kept, so that the lock cannot stay with it. One that is broken has let go
        // of the lock already.
        let _ = within(self.0.detach().close()).await;
    }
}

#[derive(FromRow)]
struct Row {
    id: i64,
    service: String,
    actor: String,
    started_at: jiff_sqlx::Timestamp,
    ended_at: Option<jiff_sqlx::Timestamp>,
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
            started_at: row.started_at.to_jiff(),
            ended_at: row.ended_at.map(jiff_sqlx::Timestamp::to_jiff),
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

impl PgRetentionLog {
    /// The runs over this service's data.
    #[must_use]
    pub fn new(pool: PgPool, of: Schema) -> Self {
        let service = of.name();
        Self { pool, service }
    }

    async fn set(
        &self,
        id: i64,
        tally: Tally,
        outcome: Outcome,
        ended_at: Option<Timestamp>,
        error: Option<&str>,
    ) -> Result<(), RetentionError> {
        let noted = sqlx::query(NOTE)
            .bind(id)
            .bind(number(tally.purged))
            .bind(number(tally.masked))
            .bind(number(tally.archived))
            .bind(number(tally.past_term))
            .bind(outcome.as_str())
            .bind(ended_at.map(ToSqlx::to_sqlx))
            .bind(error)
            .execute(&self.pool);
        within(noted).await.map(drop).map_err(failed)
    }
}

#[async_trait]
impl RetentionLog for PgRetentionLog {
    async fn turn(&self) -> Result<Option<Box<dyn Turn>>, RetentionError> {
        let mut connection = self.pool.acquire().await.map_err(failed)?;
        // Whatever becomes of the turn, the lock must not go back to the pool with it.
        connection.close_on_drop();
        let lock = sqlx::query_scalar(LOCK).bind(self.service);
        let locked: bool = within(lock.fetch_one(&mut *connection))
            .await
            .map_err(failed)?;
        Ok(match locked {
            true => Some(Box::new(PgTurn(connection))),
            false => None,
        })
    }

    async fn begin(&self, actor: &str, at: Timestamp) -> Result<i64, RetentionError> {
        let interrupted = sqlx::query(INTERRUPT).bind(self.service);
        within(interrupted.execute(&self.pool))
            .await
            .map_err(failed)?;
        let begun = sqlx::query_scalar(BEGIN)
            .bind(self.service)
            .bind(actor)
            .bind(at.to_sqlx())
            .fetch_one(&self.pool);
        within(begun).await.map_err(failed)
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
        let listed = sqlx::query_as(LIST)
            .bind(self.service)
            .bind(i64::from(limit))
            .fetch_all(&self.pool);
        let rows: Vec<Row> = within(listed).await.map_err(failed)?;
        rows.into_iter().map(RetentionRun::try_from).collect()
    }
}
