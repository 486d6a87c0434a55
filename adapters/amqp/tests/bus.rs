//! What every bus promises, on RabbitMQ.

#![expect(
    clippy::unwrap_used,
    reason = "clippy knows tests, but not what helps them"
)]

use std::sync::Arc;
use std::thread::JoinHandle;

use async_trait::async_trait;
use core_kernel::{EventPublisher, SystemClock, wire_time};
use core_notify::testing::bus::{Bus, Consuming, Fixture};
use core_notify::{Channel, DeadLetter, EventHandler, WORK_QUEUES};
use shopflow_amqp::{AmqpPublisher, Consumer, ConsumerStatus};
use shopflow_testkit::{Message, Proxy, Vhost, rabbitmq};
use tokio::sync::{oneshot, watch};

core_notify::event_bus_contract!(fixture);

async fn fixture() -> Fixture {
    Arc::new(RabbitBus(rabbitmq().await.vhost().await))
}

/// A virtual host of the shared broker.
struct RabbitBus(Vhost);

#[async_trait]
impl Bus for RabbitBus {
    fn publisher(&self) -> Arc<dyn EventPublisher> {
        Arc::new(AmqpPublisher::orders(self.0.url().into()))
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

    async fn dead_letters(&self) -> Vec<DeadLetter> {
        let mut letters = Vec::new();
        for queue in WORK_QUEUES {
            let messages = self.0.drain(&queue.dead_letter_queue()).await;
            letters.extend(messages.iter().map(|message| letter(queue.name, message)));
        }
        letters.sort_by_key(|letter| letter.failed_at);
        letters
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

fn letter(queue: &str, message: &Message) -> DeadLetter {
    let text = |name: &str| message.headers[name].as_str().unwrap().to_owned();
    let time = |name: &str| wire_time::deserialize(&message.headers[name]).unwrap();
    let attempts = message.headers["x-attempts"].as_u64().unwrap();
    let channels = text("x-failed-channels");
    DeadLetter {
        queue: queue.into(),
        message_id: message.message_id.clone().unwrap(),
        event_type: message.type_.clone(),
        body: message.body.clone(),
        class: text("x-error-class"),
        reason: text("x-error-message"),
        attempts: attempts.try_into().unwrap(),
        first_failed_at: time("x-first-failed-at"),
        failed_at: time("x-failed-at"),
        channels: channels.split(',').filter_map(Channel::from_word).collect(),
    }
}
