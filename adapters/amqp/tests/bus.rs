//! What every bus promises, on RabbitMQ.

#![expect(
    clippy::unwrap_used,
    reason = "clippy knows tests, but not what helps them"
)]

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use async_trait::async_trait;
use core_kernel::{EventPublisher, SystemClock};
use core_notify::testing::bus::{Bus, Consuming, Fixture};
use core_notify::{DeadLetters, EventHandler, QueueDepths};
use shopflow_amqp::{AmqpDeadLetters, AmqpPublisher, AmqpQueues, Consumer, ConsumerStatus};
use shopflow_testkit::{Proxy, Vhost, rabbitmq, wait_until};
use tokio::sync::{oneshot, watch};

/// By then a broker has made its queues, however slow its disk.
const MADE: Duration = Duration::from_secs(120);

core_notify::event_bus_contract!(fixture);

async fn fixture() -> Fixture {
    let bus = RabbitBus(rabbitmq().await.vhost().await);
    // Making all queues takes a slow disk its time, which is not that of the promises.
    let publisher = bus.publisher();
    let ready = async || publisher.ready().await.is_ok();
    wait_until("the queues exist", MADE, ready).await;
    Arc::new(bus)
}

/// A virtual host of the shared broker.
struct RabbitBus(Vhost);

#[async_trait]
impl Bus for RabbitBus {
    fn publisher(&self) -> Arc<dyn EventPublisher> {
        Arc::new(AmqpPublisher::orders(self.0.url().into()))
    }

    fn queues(&self) -> Arc<dyn EventPublisher> {
        Arc::new(AmqpPublisher::notifications(self.0.url().into()))
    }

    async fn consume(&self, handler: Arc<dyn EventHandler>) -> Box<dyn Consuming> {
        let proxy = Proxy::for_url(self.0.url());
        let url = proxy.proxied_url(self.0.url());
        let status = ConsumerStatus::default();
        let consumer = Consumer::new(url, handler, Arc::new(SystemClock), status);
        let (stop, stopping) = watch::channel(false);
        let (crash, crashed) = oneshot::channel();
        let thread = std::thread::spawn(move || run(&consumer, stopping, crashed));
        Box::new(Running {
            proxy,
            stop,
            crash,
            thread,
        })
    }

    fn letters(&self) -> Arc<dyn DeadLetters> {
        Arc::new(AmqpDeadLetters::new(self.0.url().into()))
    }

    fn depths(&self) -> Arc<dyn QueueDepths> {
        Arc::new(AmqpQueues::new(self.0.url().into()))
    }
}

/// A consumer on a thread and a runtime of its own, so that all of it can die at once.
struct Running {
    /// Its only way to the broker.
    proxy: Proxy,
    stop: watch::Sender<bool>,
    /// Ends the thread by being dropped.
    crash: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

fn run(consumer: &Consumer, stop: watch::Receiver<bool>, crashed: oneshot::Receiver<()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        tokio::select! {
            () = consumer.run(stop) => {}
            _ = crashed => {}
        }
    });
    // With it goes what the handler has in hand.
    runtime.shutdown_background();
}

#[async_trait]
impl Consuming for Running {
    async fn stop(self: Box<Self>) {
        self.stop.send_replace(true);
        join(self.thread).await;
    }

    async fn crash(self: Box<Self>) {
        // From here on nothing is acknowledged, and the broker gives back what was in hand.
        self.proxy.cut();
        drop(self.crash);
        join(self.thread).await;
    }
}

async fn join(thread: JoinHandle<()>) {
    let joined = tokio::task::spawn_blocking(|| thread.join());
    joined.await.unwrap().unwrap();
}
