//! From start to stop: background tasks that must not die in silence, signals, and an end in order.

use std::future::Future;
use std::time::Duration;

use anyhow::{Context, bail};
use shopflow_http::Ops;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// How long a service that is to stop still accepts connections, so that balancers see that it is
/// not ready before it is gone.
const DRAIN: Duration = Duration::from_secs(1);

/// The running parts of a service.
pub(crate) struct Lifecycle {
    /// True once the service is to stop: consumers take nothing more.
    stopping: watch::Sender<bool>,
    /// True once connections are no longer accepted.
    closing: watch::Sender<bool>,
    /// True once the last request is answered: what only serves requests may end.
    served: watch::Sender<bool>,
    tasks: JoinSet<&'static str>,
    ops: Ops,
    grace: Duration,
}

impl Lifecycle {
    pub(crate) fn new(ops: Ops, grace: Duration) -> Self {
        Self {
            stopping: watch::Sender::new(false),
            closing: watch::Sender::new(false),
            served: watch::Sender::new(false),
            tasks: JoinSet::new(),
            ops,
            grace,
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
        server: impl Future<Output = ()> + Send + 'static,
    ) -> anyhow::Result<()> {
        let mut server = tokio::spawn(server);
        let mut terminate = signal(SignalKind::terminate()).context("no signals")?;
        let mut interrupt = signal(SignalKind::interrupt()).context("no signals")?;
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
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
        self.ops.stop();
        let grace = self.grace;
        tokio::select! {
            ended = tokio::time::timeout(grace, self.stop(server)) => {
                if ended.is_err() {
                    tracing::warn!("stopped before everything was finished");
                }
            }
            _ = terminate.recv() => tracing::warn!("stopped at once by a second signal"),
            _ = interrupt.recv() => tracing::warn!("stopped at once by a second signal"),
        }
        tracing::info!("stopped");
        Ok(())
    }

    async fn stop(mut self, server: tokio::task::JoinHandle<()>) {
        self.stopping.send_replace(true);
        tokio::time::sleep(DRAIN.min(self.grace / 4)).await;
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
