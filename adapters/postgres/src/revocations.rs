//! Learning at once of what other instances revoke.
//!
//! The statements that end sessions or tokens notify a channel; PostgreSQL delivers at their commit,
//! and once for a transaction. Nothing else does, so logins and refreshes do not pay for it.
//! (NOTIFY takes a lock of the whole server at commit.) What was revoked is not in the notification:
//! it is read by the same query as in every poll, so that there is one way to learn of it.

use std::time::Duration;

use core_kernel::BoxError;
use sqlx::postgres::{PgListener, PgPool};

use crate::pool::within;

const CHANNEL: &str = "shopflow_revocations";

// To try a connection. A second time it changes nothing.
const LISTEN: &str = "LISTEN shopflow_revocations";

/// A connection on which nothing came for so long is tried: it may be silent for good.
const SILENCE: Duration = Duration::from_secs(15);

/// Listens on a connection of the pool, which it keeps, and calls `revoked` once it listens and
/// whenever sessions or tokens were ended. Returns, with the reason, when the connection is lost;
/// what is revoked from then on nobody is told of.
pub async fn listen(pool: &PgPool, mut revoked: impl FnMut() + Send) -> BoxError {
    let mut listener = match within(listener(pool)).await {
        Ok(listener) => listener,
        Err(error) => return error.into(),
    };
    loop {
        // What came before it listened is looked for as well.
        revoked();
        loop {
            match tokio::time::timeout(SILENCE, listener.try_recv()).await {
                Ok(Ok(Some(_))) => break,
                Ok(Ok(None)) => return "the connection was closed".into(),
                Ok(Err(error)) => return error.into(),
                Err(_) => {
                    let answer = sqlx::query(LISTEN).execute(&mut listener);
                    if let Err(error) = within(answer).await {
                        return error.into();
                    }
                }
            }
        }
    }
}

async fn listener(pool: &PgPool) -> sqlx::Result<PgListener> {
    let mut listener = PgListener::connect_with(pool).await?;
    // Whoever called is to know of a loss, and to wait between attempts.
    listener.eager_reconnect(false);
    listener.listen(CHANNEL).await?;
    Ok(listener)
}
