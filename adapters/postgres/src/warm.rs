//! Connections that go from one statement to the next without a test in between.
//!
//! The pool tries a connection whenever it takes it back, twice, which costs more of the server than
//! the statement did. A connection whose statement was read to its end needs no test: it is kept here,
//! for the next statement. Any other one (given up halfway, failed) goes back to the pool and its tests.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use futures_util::stream::{self, BoxStream, StreamExt};
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgPool, PgQueryResult, PgRow, PgStatement, PgTypeInfo};
use sqlx::{Describe, Either, Error, Execute, Executor, Postgres, SqlStr};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::error::is_unavailable;
use crate::pool::ACQUIRE_TIMEOUT;

/// One of so many connections stays with the pool, for transactions and for work in the background. A
/// pool of fewer keeps to its own ways, so that nobody in it is left without.
const SHARE_OF_POOL: u32 = 5;

/// A connection that was not used for so long goes back to the pool, which tries it. Short: the server
/// may have gone meanwhile, and who is lent a dead connection is told 503.
const KEPT_FOR: Duration = Duration::from_millis(50);

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
    kept: Mutex<Vec<Kept>>,
}

#[derive(Debug)]
struct Kept {
    connection: PoolConnection<Postgres>,
    since: Instant,
}

/// A connection on loan. What is not given back goes to the pool, to be tried.
struct Lent<'a> {
    connection: PoolConnection<Postgres>,
    of: &'a Inner,
    _permit: SemaphorePermit<'a>,
}

impl WarmPool {
    /// Keeps connections of this pool, which should be kept by nobody else.
    pub(crate) fn new(pool: PgPool) -> Self {
        let all = pool.options().get_max_connections();
        let most = all - all / SHARE_OF_POOL;
        Self(Arc::new(Inner {
            keeps: most < all,
            permits: Semaphore::new(most as usize),
            pool,
            kept: Mutex::default(),
        }))
    }

    /// The pool, for more than single statements.
    pub(crate) fn pool(&self) -> &PgPool {
        &self.0.pool
    }

    async fn lend(&self) -> Result<Lent<'_>, Error> {
        let permit = tokio::time::timeout(ACQUIRE_TIMEOUT, self.0.permits.acquire());
        // Never closed, so only the time can be over.
        let permit = permit.await.map_err(|_| Error::PoolTimedOut)?;
        let permit = permit.map_err(|_| Error::PoolClosed)?;
        let connection = match self.0.take() {
            Some(connection) => connection,
            None => self.0.pool.acquire().await?,
        };
        Ok(Lent {
            connection,
            of: &self.0,
            _permit: permit,
        })
    }
}

impl Inner {
    /// The one used last, if it was just now; older ones go back.
    fn take(&self) -> Option<PoolConnection<Postgres>> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        match kept.pop() {
            Some(last) if last.since.elapsed() < KEPT_FOR => Some(last.connection),
            Some(_) => {
                kept.clear();
                None
            }
            None => None,
        }
    }
}

impl Lent<'_> {
    /// What one connection has lost, the others have lost too: all go back.
    fn failed(&self, error: &Error) {
        if is_unavailable(error) {
            let mut kept = self.of.kept.lock().unwrap_or_else(PoisonError::into_inner);
            kept.clear();
        }
    }

    /// Keeps the connection: its statement was read to its end.
    fn keep(self) {
        if self.of.keeps {
            let kept = Kept {
                connection: self.connection,
                since: Instant::now(),
            };
            let mut all = self.of.kept.lock().unwrap_or_else(PoisonError::into_inner);
            all.push(kept);
        }
    }
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
            match &row {
                Err(error) => lent.failed(error),
                Ok(_) => lent.keep(),
            }
            row
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
