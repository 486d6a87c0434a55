//! The bus suite on the embedded bus.

use std::sync::Arc;

use async_trait::async_trait;
use core_kernel::EventPublisher;
use core_notify::testing::bus::{Bus, Consuming, Fixture};
use core_notify::{DeadLetters, EventHandler, QueueDepths};
use shopflow_embedded::Database;
use tokio::sync::watch;
use tokio::task::JoinHandle;

struct Embedded(Database);

#[async_trait]
impl Bus for Embedded {
    fn publisher(&self) -> Arc<dyn EventPublisher> {
        Arc::new(self.0.bus())
    }

    fn queues(&self) -> Arc<dyn EventPublisher> {
        Arc::new(self.0.bus())
    }

    async fn consume(&self, handler: Arc<dyn EventHandler>) -> Box<dyn Consuming> {
        let (stop, stopped) = watch::channel(false);
        let consumer = self.0.bus().consumer(handler);
        let task = tokio::spawn(async move { consumer.run(stopped).await });
        Box::new(Running { stop, task })
    }

    fn letters(&self) -> Arc<dyn DeadLetters> {
        Arc::new(self.0.bus())
    }

    fn depths(&self) -> Arc<dyn QueueDepths> {
        Arc::new(self.0.bus())
    }
}

struct Running {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

#[async_trait]
impl Consuming for Running {
    async fn stop(self: Box<Self>) {
        self.stop.send_replace(true);
        self.task.await.unwrap();
    }

    async fn crash(self: Box<Self>) {
        // Whatever it was doing ends at its next await; a transaction that is not committed by
        // then is none.
        self.task.abort();
        assert!(self.task.await.unwrap_err().is_cancelled());
    }
}

async fn in_a_file() -> Fixture {
    Arc::new(Embedded(crate::file().await))
}

async fn in_memory() -> Fixture {
    Arc::new(Embedded(crate::memory().await))
}

mod in_a_file {
    use super::in_a_file;

    core_notify::event_bus_contract!(in_a_file);
}

mod in_memory {
    use super::in_memory;

    core_notify::event_bus_contract!(in_memory);
}
