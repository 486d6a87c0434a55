//! Rows by their ids: those that are asked for at the same time are one statement.

use std::marker::PhantomData;

use async_trait::async_trait;
use sqlx::FromRow;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use crate::together::Work;
use crate::warm::WarmPool;

/// A row that says which one it is.
pub(crate) trait Identified: for<'r> FromRow<'r, PgRow> + Send + Unpin + 'static {
    /// Its primary key.
    fn id(&self) -> Uuid;
}

/// Finds rows by a statement that gives those whose ids are in `$1`, of which there are `$2`.
///
/// How many there are is a limit that the planner does not see: otherwise it would make a plan for each
/// call anew, or one that reads a whole table because that was small once.
pub(crate) struct Finds<R> {
    pool: WarmPool,
    statement: &'static str,
    row: PhantomData<fn() -> R>,
}

impl<R> Finds<R> {
    pub(crate) fn new(pool: WarmPool, statement: &'static str) -> Self {
        Self {
            pool,
            statement,
            row: PhantomData,
        }
    }
}

#[async_trait]
impl<R: Identified> Work for Finds<R> {
    type Item = Uuid;
    type Answer = Option<R>;

    async fn run(&self, ids: &[Uuid]) -> sqlx::Result<Vec<Option<R>>> {
        let rows = sqlx::query(self.statement)
            .bind(ids)
            .bind(i64::try_from(ids.len()).unwrap_or(i64::MAX))
            .fetch_all(&self.pool)
            .await?;
        let mut rows = rows
            .iter()
            .map(R::from_row)
            .collect::<sqlx::Result<Vec<R>>>()?;
        // A row that is asked for twice comes twice.
        let mut take = |id: &Uuid| {
            let place = rows.iter().position(|row| row.id() == *id)?;
            Some(rows.swap_remove(place))
        };
        Ok(ids.iter().map(&mut take).collect())
    }
}
