//! Connections that go from one statement to the next without a test in between.
//!
//! The pool tries a connection whenever it takes it back, twice, which costs more of the server than
//! the statement did. A connection whose statement was read to its end needs no test: it is kept here,
//! for the next statement. Any other one (given up halfway, failed) goes back to the pool and its tests.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use futures_util::stream::{self, BoxStream, StreamExt};
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgPool, PgQueryResult, PgRow, PgStatement, PgTypeInfo};
use sqlx::{Connection, Describe, Either, Error, Execute, Executor, Postgres, SqlStr};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::error::is_unavailable;
use crate::pool::{ACQUIRE_TIMEOUT, RELEASE_TIMEOUT, TRUSTED_IDLE};

/// So many connections stay with the pool, for transactions and for work in the background. A pool of
/// fewer than twice as many keeps to its own ways, so that nobody in it is left without.
const SPARE: u32 = 5;

/// A connection that was not used for so long goes back to the pool, which tries it. Short: the server
/// may have gone meanwhile, and who is lent a dead connection is told 503.
const KEPT_FOR: Duration = Duration::from_millis(50);

/// After a connection was found lost, others are tried before they are used, for as long as the pool
/// would trust them without.
const DOUBTED_FOR: Duration = TRUSTED_IDLE;

/// A pool for single statements, each of which is read whole.
#[derive(Clone, Debug)]
pub(crate) struct WarmPool(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    pool: PgPool,
    /// Whether there are enough connections to keep some.
    keeps: bool,
    /// One for each connection that may be lent or kept, so that waiting is fair.
    permits: Semaphore,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    kept: Vec<Kept>,
    /// Whether somebody sees to it that they are given back.
    giving_back: bool,
    /// When a connection was last found lost.
    lost: Option<Instant>,
}

#[derive(Debug)]
struct Kept {
    connection: PoolConnection<Postgres>,
    since: Instant,
}

/// A connection on loan. What is not given back goes to the pool, to be tried.
struct Lent<'a> {
    connection: PoolConnection<Postgres>,
    of: &'a Arc<Inner>,
    _permit: SemaphorePermit<'a>,
}

impl WarmPool {
    /// Keeps connections of this pool, which should be kept by nobody else.
    pub(crate) fn new(pool: PgPool) -> Self {
        let all = pool.options().get_max_connections();
        let keeps = all >= 2 * SPARE;
        let most = if keeps { all - SPARE } else { all };
        Self(Arc::new(Inner {
            keeps,
            permits: Semaphore::new(most as usize),
            pool,
            state: Mutex::default(),
        }))
    }

    /// The pool, for more than single statements.
    pub(crate) fn pool(&self) -> &PgPool {
        &self.0.pool
    }

    /// How many connections nobody uses, and are kept here all the same.
    pub(crate) fn kept(&self) -> usize {
        self.0.state().kept.len()
    }

    async fn lend(&self) -> Result<Lent<'_>, Error> {
        let permit = tokio::time::timeout(ACQUIRE_TIMEOUT, self.0.permits.acquire());
        // Never closed, so only the time can be over.
        let permit = permit.await.map_err(|_| Error::PoolTimedOut)?;
        let permit = permit.map_err(|_| Error::PoolClosed)?;
        let connection = match self.0.take() {
            Some(connection) => connection,
            None => self.0.acquire().await?,
        };
        Ok(Lent {
            connection,
            of: &self.0,
            _permit: permit,
        })
    }
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One of the pool's. While others have just been lost it is tried first: the pool trusts what was
    /// used a moment ago, and each of those would cost somebody an answer.
    async fn acquire(&self) -> Result<PoolConnection<Postgres>, Error> {
        loop {
            let mut connection = self.pool.acquire().await?;
            let lost = self.state().lost;
            let doubted = lost.is_some_and(|at| at.elapsed() < DOUBTED_FOR);
            if !doubted || answers(&mut connection).await {
                return Ok(connection);
            }
        }
    }

    /// The one used last, if it was just now; those not used for long wait to be given back.
    fn take(&self) -> Option<PoolConnection<Postgres>> {
        let kept = &mut self.state().kept;
        kept.last().filter(|last| last.is_fresh())?;
        kept.pop().map(|last| last.connection)
    }
}

impl Kept {
    fn is_fresh(&self) -> bool {
        self.since.elapsed() < KEPT_FOR
    }
}

/// Gives back what is not used any more, until nothing is kept.
async fn give_back(from: Arc<Inner>) {
    loop {
        tokio::time::sleep(KEPT_FOR).await;
        let mut state = from.state();
        // Oldest first: the one used last is lent first.
        let stale = state.kept.iter().take_while(|one| !one.is_fresh());
        let stale = stale.count();
        state.kept.drain(..stale);
        if state.kept.is_empty() {
            state.giving_back = false;
            return;
        }
    }
}

impl Lent<'_> {
    /// What one connection has lost, the others have lost too: all go back, and are doubted.
    fn failed(&self, error: &Error) {
        if is_unavailable(error) {
            let mut state = self.of.state();
            state.kept.clear();
            state.lost = Some(Instant::now());
        }
    }

    /// After a statement that gave this.
    fn settle<T>(self, given: &Result<T, Error>) {
        match given {
            Err(error) => self.failed(error),
            Ok(_) => self.keep(),
        }
    }

    /// Keeps the connection: its statement was read to its end.
    fn keep(self) {
        if !self.of.keeps {
            return;
        }
        let mut state = self.of.state();
        state.kept.push(Kept {
            connection: self.connection,
            since: Instant::now(),
        });
        if !std::mem::replace(&mut state.giving_back, true) {
            tokio::spawn(give_back(self.of.clone()));
        }
    }
}

/// Whether the server answers, in time.
async fn answers(connection: &mut PoolConnection<Postgres>) -> bool {
    let answer = tokio::time::timeout(RELEASE_TIMEOUT, connection.ping());
    matches!(answer.await, Ok(Ok(())))
}

type Step = Result<Either<PgQueryResult, PgRow>, Error>;

impl<'p> Executor<'p> for &'p WarmPool {
    type Database = Postgres;

    fn fetch_many<'e, 'q: 'e, E>(self, query: E) -> BoxStream<'e, Step>
    where
        'p: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        let whole = async move {
            let mut lent = match self.lend().await {
                Ok(lent) => lent,
                Err(error) => return vec![Err(error)],
            };
            let steps: Vec<Step> = lent.connection.fetch_many(query).collect().await;
            match steps.iter().find_map(|step| step.as_ref().err()) {
                Some(error) => lent.failed(error),
                None => lent.keep(),
            }
            steps
        };
        stream::once(whole).flat_map(stream::iter).boxed()
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, Result<Option<PgRow>, Error>>
    where
        'p: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        Box::pin(async move {
            let mut lent = self.lend().await?;
            let row = lent.connection.fetch_optional(query).await;
            lent.settle(&row);
            row
        })
    }

    fn fetch_all<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, Result<Vec<PgRow>, Error>>
    where
        'p: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        Box::pin(async move {
            let mut lent = self.lend().await?;
            let rows = lent.connection.fetch_all(query).await;
            lent.settle(&rows);
            rows
        })
    }

    fn prepare_with<'e>(
        self,
        sql: SqlStr,
        parameters: &'e [PgTypeInfo],
    ) -> BoxFuture<'e, Result<PgStatement, Error>>
    where
        'p: 'e,
    {
        self.pool().prepare_with(sql, parameters)
    }

    fn describe<'e>(self, sql: SqlStr) -> BoxFuture<'e, Result<Describe<Postgres>, Error>>
    where
        'p: 'e,
    {
        self.pool().describe(sql)
    }
}

#[cfg(test)]
mod tests {
    use shopflow_testkit::{postgres, wait_until};

    use super::*;

    /// A pool of so many connections, with none in it yet.
    async fn pool(connections: u32) -> WarmPool {
        let url = postgres().await.database().await;
        WarmPool::new(crate::pool(&url, connections, "test").unwrap())
    }

    async fn one(pool: &WarmPool) -> i32 {
        sqlx::query_scalar("SELECT 1")
            .fetch_one(pool)
            .await
            .unwrap()
    }

    #[tokio::test]
    async fn a_connection_is_kept_for_the_next_statement_and_then_given_back() {
        let warm = pool(10).await;
        assert_eq!(one(&warm).await, 1);
        assert_eq!(warm.0.state().kept.len(), 1);
        assert_eq!(warm.pool().num_idle(), 0);
        // Not necessarily the one, where a test of the pool took too long.
        let back = async || {
            let pool = warm.pool();
            warm.0.state().kept.is_empty() && pool.size() as usize == pool.num_idle()
        };
        wait_until("it is given back", Duration::from_secs(60), back).await;
    }

    #[tokio::test]
    async fn a_connection_is_kept_after_many_rows_as_well() {
        let warm = pool(10).await;
        let rows = sqlx::query("SELECT generate_series(1, 3)").fetch_all(&warm);
        assert_eq!(rows.await.unwrap().len(), 3);
        assert_eq!(warm.0.state().kept.len(), 1);
    }

    #[tokio::test]
    async fn however_many_statements_one_task_gives_connections_back() {
        let warm = pool(10).await;
        one(&warm).await;
        let tasks = || {
            tokio::runtime::Handle::current()
                .metrics()
                .num_alive_tasks()
        };
        let before = tasks();
        for _ in 0..200 {
            one(&warm).await;
        }
        // And, it may be, one that takes a connection back.
        assert!(tasks() <= before + 2, "{} tasks", tasks());
    }

    #[tokio::test]
    async fn a_small_pool_keeps_none() {
        let warm = pool(9).await;
        assert_eq!(one(&warm).await, 1);
        assert_eq!(warm.0.state().kept.len(), 0);
    }

    #[tokio::test]
    async fn some_connections_are_never_lent_for_single_statements() {
        let warm = pool(10).await;
        let (mut lent, mut spare) = (Vec::new(), Vec::new());
        while warm.0.permits.available_permits() > 0 {
            lent.push(warm.lend().await.unwrap());
        }
        for _ in 0..SPARE {
            spare.push(warm.pool().acquire().await.unwrap());
        }
    }
}
