//! Feeding what the auth service keeps in memory of revoked sessions and tokens.

use std::sync::Arc;
use std::time::{Duration, Instant};

use core_auth::{Revocations, SessionStore};
use core_kernel::{Clock, SystemClock, chain};
use shopflow_amqp::Backoff;
use sqlx::PgPool;
use tokio::sync::{Notify, watch};

use crate::lifecycle::Lifecycle;

/// How often the store is asked. With the time that a poll is trusted it makes less than the second
/// within which every instance is to know.
const POLL: Duration = Duration::from_millis(250);

/// A store that takes longer is away.
const TIMEOUT: Duration = Duration::from_secs(2);

/// Of news that come in a row, those of so long are fetched together.
const GAP: Duration = Duration::from_millis(20);

/// How often what no longer matters is forgotten.
const PRUNE: Duration = Duration::from_secs(60);

/// That others have revoked something: then the store is asked at once. One piece of news is kept
/// while it is being asked.
#[derive(Clone, Debug, Default)]
pub(crate) struct News(Arc<Notify>);

/// Hears of what other instances on this database revoke. It is only faster than the poll, so that
/// nothing is lost with the connection; and it takes one of the pool, which must have one more.
pub(crate) fn hear(lifecycle: &mut Lifecycle, pool: PgPool, news: News) {
    let mut served = lifecycle.served();
    lifecycle.spawn("revocation news", async move {
        if pool.options().get_max_connections() > 1 {
            tokio::select! {
                () = listen(&pool, &news) => {}
                _ = served.wait_for(|served| *served) => {}
            }
        } else {
            // A part of a service goes on until it is told to stop.
            let _ = served.wait_for(|served| *served).await;
        }
    });
}

async fn listen(pool: &PgPool, news: &News) {
    let gauge = metrics::gauge!("shopflow_revocations_listening");
    let mut backoff = Backoff::default();
    let mut well = true;
    loop {
        let mut listens = false;
        let lost = shopflow_postgres::listen(pool, || {
            if !listens {
                (listens, well) = (true, true);
                backoff.reset();
                gauge.set(1.0);
            }
            news.0.notify_one();
        });
        let error = lost.await;
        gauge.set(0.0);
        if std::mem::replace(&mut well, false) {
            let error = chain(&*error);
            tracing::warn!(error, "not told of revocations; the store is polled");
        }
        backoff.pause().await;
    }
}

/// Feeds `revocations` for as long as anybody may show a token.
pub(crate) fn feed(
    lifecycle: &mut Lifecycle,
    store: Arc<dyn SessionStore>,
    revocations: Arc<Revocations>,
    news: News,
) {
    let served = lifecycle.served();
    lifecycle.spawn("revocations", run(store, revocations, news, served));
}

async fn run(
    store: Arc<dyn SessionStore>,
    revocations: Arc<Revocations>,
    news: News,
    mut served: watch::Receiver<bool>,
) {
    let (mut pruned, mut well) = (Instant::now(), true);
    loop {
        let (begun, now) = (Instant::now(), SystemClock.now());
        let poll = store.revoked_since(revocations.since(now));
        let problem = match tokio::time::timeout(TIMEOUT, poll).await {
            Ok(Ok(found)) => {
                revocations.polled(&found, begun, now);
                None
            }
            Ok(Err(error)) => Some(chain(&error)),
            Err(late) => Some(late.to_string()),
        };
        if let (true, Some(error)) = (well, &problem) {
            tracing::warn!(
                error,
                "revocations unknown; asking the store for every token"
            );
        }
        well = problem.is_none();
        if pruned.elapsed() > PRUNE {
            revocations.prune(now);
            pruned = Instant::now();
        }
        #[expect(clippy::cast_precision_loss, reason = "a gauge is a float")]
        metrics::gauge!("shopflow_revocations").set(revocations.len() as f64);
        let told = tokio::select! {
            _ = served.wait_for(|served| *served) => return,
            () = tokio::time::sleep(POLL) => false,
            () = news.0.notified() => true,
        };
        if told {
            tokio::time::sleep(GAP.saturating_sub(begun.elapsed())).await;
        }
    }
}
