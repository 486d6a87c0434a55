//! Brokers that take events, refuse them, or are away.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use core_kernel::{EventPublisher, OrderId, OutboxMessage, PublishError, RelayError, RelayReport};
use futures_util::future::{BoxFuture, poll_fn};

/// Takes every event and remembers it; refuses the `OrderCreated` of those `refused`; answers
/// nothing; or is away altogether.
#[derive(Default)]
pub(super) struct Capture {
    pub(super) taken: Mutex<Vec<OutboxMessage>>,
    pub(super) refused: Vec<OrderId>,
    pub(super) silent: bool,
    pub(super) away: bool,
}

#[async_trait]
impl EventPublisher for Capture {
    async fn ready(&self) -> Result<(), PublishError> {
        Ok(())
    }

    async fn publish(&self, batch: &[OutboxMessage]) -> Result<Vec<bool>, PublishError> {
        if self.away {
            return Err(PublishError("connection refused".into()));
        }
        if self.silent {
            return Ok(Vec::new());
        }
        let mut taken = self.taken.lock().expect("no test panics here");
        Ok(batch
            .iter()
            .map(|message| {
                let refused = self.refused.contains(&OrderId(message.subject));
                let takes = !(refused && message.event_type == "OrderCreated");
                if takes {
                    taken.push(message.clone());
                }
                takes
            })
            .collect())
    }
}

impl Capture {
    /// The types of the events taken for one order.
    pub(super) fn types_of(&self, id: OrderId) -> Vec<String> {
        let taken = self.taken.lock().expect("no test panics here");
        taken
            .iter()
            .filter(|message| message.subject == id.0)
            .map(|message| message.event_type.clone())
            .collect()
    }
}

/// Has a batch in hand and does not publish it before its gate is opened.
pub(super) struct Gated<'a> {
    broker: &'a Capture,
    pub(super) gate: futures_util::lock::Mutex<()>,
    holds: AtomicBool,
}

#[async_trait]
impl EventPublisher for Gated<'_> {
    async fn ready(&self) -> Result<(), PublishError> {
        Ok(())
    }

    async fn publish(&self, batch: &[OutboxMessage]) -> Result<Vec<bool>, PublishError> {
        self.holds.store(true, Ordering::SeqCst);
        let _open = self.gate.lock().await;
        self.broker.publish(batch).await
    }
}

impl<'a> Gated<'a> {
    pub(super) fn new(broker: &'a Capture) -> Self {
        Self {
            broker,
            gate: futures_util::lock::Mutex::default(),
            holds: AtomicBool::default(),
        }
    }

    /// Drives a pass to where this has its batch in hand.
    pub(super) async fn has_batch_of(
        &self,
        pass: &mut BoxFuture<'_, Result<RelayReport, RelayError>>,
    ) {
        poll_fn(|context| match pass.as_mut().poll(context) {
            Poll::Ready(done) => panic!("a pass waits for its publisher: {done:?}"),
            Poll::Pending if self.holds.load(Ordering::SeqCst) => Poll::Ready(()),
            Poll::Pending => Poll::Pending,
        })
        .await;
    }
}

/// A quarter of a second, without a runtime to tell it: this core has none.
pub(super) async fn a_while() {
    let end = Instant::now() + Duration::from_millis(250);
    poll_fn(|context| {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Poll::Ready(());
        }
        let waker = context.waker().clone();
        std::thread::spawn(move || {
            std::thread::sleep(left);
            waker.wake();
        });
        Poll::Pending
    })
    .await;
}
