//! The relay: carries events from the outbox to the broker, woken at every commit.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use core_kernel::{EventPublisher, Outbox, Refused, RelayError, RelayReport, Wake, chain};
use metrics::{Counter, Gauge};
use shopflow_amqp::Backoff;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

/// Events published together, all in flight at once.
const BATCH: u32 = 100;

/// How long what nobody woke us for waits: events of a process that died, or of another program.
const POLL: Duration = Duration::from_secs(1);

/// How often the backlog is counted.
const GAUGE: Duration = Duration::from_secs(5);

/// An event that was refused so often needs somebody's eyes: no queue for it, or a full one.
const STUBBORN: u32 = 5;

static WAITING: LazyLock<Gauge> = LazyLock::new(|| metrics::gauge!("shopflow_outbox_waiting"));

static OLDEST: LazyLock<Gauge> =
    LazyLock::new(|| metrics::gauge!("shopflow_outbox_oldest_seconds"));

static PUBLISHED: LazyLock<Counter> =
    LazyLock::new(|| metrics::counter!("shopflow_events_published_total"));

static REFUSED: LazyLock<Counter> =
    LazyLock::new(|| metrics::counter!("shopflow_events_refused_total"));

/// Wakes the relay in the same process. One wake is kept while the relay is busy.
#[derive(Clone, Debug, Default)]
pub(crate) struct RelayWake(Arc<Notify>);

impl Wake for RelayWake {
    fn wake(&self) {
        self.0.notify_one();
    }
}

/// Publishes what the outbox holds.
pub(crate) struct Relay {
    pub(crate) outbox: Arc<dyn Outbox>,
    pub(crate) publisher: Arc<dyn EventPublisher>,
    pub(crate) wake: RelayWake,
}

impl Relay {
    /// Relays until `stop` is true and the last pass is done. A broker that is away costs waiting
    /// and nothing else.
    pub(crate) async fn run(self, mut stop: watch::Receiver<bool>) {
        let mut backoff = Backoff::default();
        let mut counted: Option<Instant> = None;
        loop {
            let last = *stop.borrow();
            if counted.is_none_or(|at| at.elapsed() > GAUGE) {
                self.count_backlog().await;
                counted = Some(Instant::now());
            }
            let passed = self.pass().await;
            match &passed {
                Ok(report) => {
                    backoff.reset();
                    tell(report);
                    if report.published > 0 {
                        continue;
                    }
                }
                Err(error) => tracing::warn!(error = chain(error), "events wait in the outbox"),
            }
            if last {
                return;
            }
            let pause = async {
                match passed {
                    // Each event that was refused has a back-off of its own, in the outbox.
                    Ok(_) => tokio::select! {
                        () = self.wake.0.notified() => {}
                        () = tokio::time::sleep(POLL) => {}
                    },
                    Err(_) => backoff.pause().await,
                }
            };
            tokio::select! {
                () = pause => {}
                _ = stop.wait_for(|stop| *stop) => {}
            }
        }
    }

    /// Publishes all that waits now, also what was put off, and tells how many that were. What is
    /// refused once more stays, and so does what another relay has in hand.
    ///
    /// # Errors
    /// When the broker or the store is away.
    pub(crate) async fn flush(&self) -> Result<u64, RelayError> {
        self.outbox.hurry().await?;
        let waiting = self.outbox.backlog().await?.waiting;
        let (mut published, mut tried) = (0, 0);
        // No longer than that: where orders go on coming in, there is always one more.
        while tried < waiting {
            let pass = self.pass().await?;
            let refused = pass.refused.len() as u64;
            if pass.published == 0 && refused == 0 {
                break;
            }
            published += pass.published as u64;
            tried += pass.published as u64 + refused;
        }
        Ok(published)
    }

    /// Nothing is claimed before the broker is there to take it.
    async fn pass(&self) -> Result<RelayReport, RelayError> {
        self.publisher.ready().await?;
        self.outbox.relay(&*self.publisher, BATCH).await
    }

    async fn count_backlog(&self) {
        if let Ok(backlog) = self.outbox.backlog().await {
            #[expect(clippy::cast_precision_loss, reason = "a gauge is a float")]
            WAITING.set(backlog.waiting as f64);
            OLDEST.set(backlog.oldest_seconds);
        }
    }
}

/// Counts what a pass did, and tells of what does not go out.
fn tell(report: &RelayReport) {
    PUBLISHED.increment(report.published as u64);
    REFUSED.increment(report.refused.len() as u64);
    if !report.refused.is_empty() {
        let refused = report.refused.len();
        tracing::warn!(refused, "the broker refused events; they are tried again");
    }
    for refused in &report.refused {
        let Refused { event_id, times } = refused;
        if *times >= STUBBORN {
            tracing::error!(%event_id, times, "the broker goes on refusing an event");
        }
    }
}
