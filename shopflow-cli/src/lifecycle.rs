//! From start to stop: background tasks that must not die in silence, signals, and an end in order.

use std::future::Future;
use std::time::Duration;

use anyhow::{Context, bail};
use shopflow_http::Ops;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Left of the grace for the process to end in.
const MARGIN: Duration = Duration::from_millis(300);

/// The running parts of a service.
pub(crate) struct Lifecycle {
    /// True once the service is to stop: consumers take nothing more.
    stopping: watch::Sender<bool>,
    /// True once connections are no longer accepted.
    closing: watch::Sender<bool>,
    /// True once the last request is answered: what only serves requests may end.
    served: watch::Sender<bool>,
    tasks: JoinSet<&'static str>,
    ops: Vec<Ops>,
    grace: Duration,
    drain: Duration,
}

/// The signals that end a service. Caught from the first moment, before it says that it listens.
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Catches them from now on.
    ///
    /// # Errors
    /// When the system does not let us.
    pub(crate) fn catch() -> anyhow::Result<Self> {
        let catch = |kind| signal(kind).context("no signals");
        Ok(Self {
            terminate: catch(SignalKind::terminate())?,
            interrupt: catch(SignalKind::interrupt())?,
        })
    }

    /// Waits for the next one.
    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

impl Lifecycle {
    /// A stop first makes all of `ops` say so, for `drain`, and then has `grace` in all.
    pub(crate) fn new(ops: Vec<Ops>, grace: Duration, drain: Duration) -> Self {
        Self {
            stopping: watch::Sender::new(false),
            closing: watch::Sender::new(false),
            served: watch::Sender::new(false),
            tasks: JoinSet::new(),
            ops,
            grace,
            drain,
        }
    }

    /// Turns true at the first signal.
    pub(crate) fn stopping(&self) -> watch::Receiver<bool> {
        self.stopping.subscribe()
    }

    /// Turns true when connections are to be accepted no more.
    pub(crate) fn closing(&self) -> watch::Receiver<bool> {
        self.closing.subscribe()
    }

    /// Turns true when the last request is answered.
    pub(crate) fn served(&self) -> watch::Receiver<bool> {
        self.served.subscribe()
    }

    /// Runs a part of the service. It has to go on until it is told to stop.
    pub(crate) fn spawn(
        &mut self,
        name: &'static str,
        task: impl Future<Output = ()> + Send + 'static,
    ) {
        self.tasks.spawn(async move {
            task.await;
            name
        });
    }

    /// Runs `server` and everything that was spawned until a signal comes, then ends them: ready no
    /// more, consumers, connections, the rest.
    ///
    /// # Errors
    /// When a part ended by itself or panicked: the process must not go on without it.
    pub(crate) async fn run(
        mut self,
        mut signals: Signals,
        server: impl Future<Output = ()> + Send + 'static,
    ) -> anyhow::Result<()> {
        let mut server = tokio::spawn(server);
        tokio::select! {
            () = signals.next() => {}
            Some(ended) = self.tasks.join_next() => match ended {
                Ok(name) => bail!("the {name} ended by itself"),
                Err(error) => return Err(error).context("a part of the service died"),
            },
            ended = &mut server => match ended {
                Ok(()) => bail!("the server ended by itself"),
                Err(error) => return Err(error).context("the server died"),
            },
        }
        tracing::info!("stopping");
        self.ops.iter().for_each(Ops::stop);
        let grace = self.grace.saturating_sub(MARGIN);
        tokio::select! {
            ended = tokio::time::timeout(grace, self.stop(server)) => {
                if ended.is_err() {
                    tracing::warn!("stopped before everything was finished");
                }
            }
            () = signals.next() => tracing::warn!("stopped at once by a second signal"),
        }
        tracing::info!("stopped");
        Ok(())
    }

    async fn stop(mut self, server: tokio::task::JoinHandle<()>) {
        self.stopping.send_replace(true);
        tokio::time::sleep(self.drain.min(self.grace / 4)).await;
        self.closing.send_replace(true);
        if let Err(error) = server.await {
            tracing::error!(error = %error, "the server died");
        }
        self.served.send_replace(true);
        while let Some(ended) = self.tasks.join_next().await {
            if let Err(error) = ended {
                tracing::error!(error = %error, "a part of the service died");
            }
        }
    }
}
