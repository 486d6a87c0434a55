//! Connections.

use std::str::FromStr;
use std::time::Duration;

use jiff::Timestamp;
use sqlx::Connection;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};

/// How long a caller waits for a free or new connection. Long enough for a burst, short enough that
/// a database that is away is told to the client and not waited for.
pub(crate) const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);

/// A connection that nobody used for so long is tried before it is used: the server may have been
/// restarted. Busy ones are not, since that would double the round trips.
pub(crate) const TRUSTED_IDLE: Duration = Duration::from_secs(1);

/// A connection that does not answer by then is closed instead of kept.
pub(crate) const RELEASE_TIMEOUT: Duration = Duration::from_secs(2);

/// The URL is no PostgreSQL URL.
#[derive(Debug, thiserror::Error)]
#[error("must be a PostgreSQL URL, such as postgres://user:password@host:5432/database")]
pub struct UrlError(#[source] sqlx::Error);

/// A pool of at most `max_connections` (PRD §10.3) that connects when it is first used, so that a
/// service starts while its database is away.
///
/// # Errors
/// When the URL cannot be read.
pub fn pool(url: &str, max_connections: u32, application: &str) -> Result<PgPool, UrlError> {
    let options = PgConnectOptions::from_str(url)
        .map_err(UrlError)?
        .application_name(application);
    Ok(PgPoolOptions::new()
        .max_connections(max_connections)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .idle_timeout(Duration::from_secs(300))
        .test_before_acquire(false)
        .after_release(|connection, _| {
            Box::pin(async move {
                // A caller may have given up on a server that does not answer. The pool waits for
                // a connection's answer before it takes it back, without end; this ends it.
                match tokio::time::timeout(RELEASE_TIMEOUT, connection.ping()).await {
                    Ok(answer) => answer.map(|()| true),
                    Err(late) => Err(sqlx::Error::Io(late.into())),
                }
            })
        })
        .before_acquire(|connection, meta| {
            Box::pin(async move {
                if meta.idle_for > TRUSTED_IDLE {
                    connection.ping().await?;
                }
                Ok(true)
            })
        })
        .connect_lazy_with(options))
}

/// A statement that takes longer has lost its server.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(10);

/// What a statement gives, if the server answers at all: a connection can be silent for ever. For
/// work that no request's own time limit bounds.
pub(crate) async fn within<T>(work: impl Future<Output = sqlx::Result<T>>) -> sqlx::Result<T> {
    match tokio::time::timeout(STATEMENT_TIMEOUT, work).await {
        Ok(done) => done,
        Err(late) => Err(sqlx::Error::Io(late.into())),
    }
}

/// Whether the database answers.
///
/// # Errors
/// Why it does not.
pub async fn ping(pool: &PgPool) -> Result<(), sqlx::Error> {
    sqlx::query("SELECT 1").execute(pool).await.map(drop)
}

/// What the database's clock says.
///
/// # Errors
/// Why it does not answer.
pub async fn clock(pool: &PgPool) -> Result<Timestamp, sqlx::Error> {
    let now = sqlx::query_scalar("SELECT clock_timestamp()").fetch_one(pool);
    let now: jiff_sqlx::Timestamp = within(now).await?;
    Ok(now.to_jiff())
}

/// Whether a database can be reached by this URL, in principle.
///
/// # Errors
/// When it is no PostgreSQL URL.
pub fn check_url(url: &str) -> Result<(), UrlError> {
    let postgres = url.starts_with("postgres://") || url.starts_with("postgresql://");
    let options = PgConnectOptions::from_str(url).map_err(UrlError);
    match postgres {
        true => options.map(drop),
        false => Err(UrlError(sqlx::Error::Configuration(
            "not a PostgreSQL URL".into(),
        ))),
    }
}
