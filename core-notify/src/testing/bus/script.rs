//! A handler that does as it is told, and tells what it got. It waits without a runtime: the
//! core has none.

use std::collections::{HashMap, VecDeque};
use std::future::{pending, poll_fn};
use std::mem::take;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use core_kernel::{OutboxMessage, RequestContext};

use crate::outcome::{Delivery, EventHandler, Outcome};

/// Bytes of an event, by which deliveries are told apart. Not by the request's id, which is under
/// test itself.
type Body = String;

/// One delivery, as the handler got it.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) body: Body,
    pub(super) attempt: u32,
    pub(super) again: bool,
    pub(super) revive: bool,
    pub(super) context: RequestContext,
    pub(super) at: Instant,
}

impl Seen {
    /// How long after an earlier delivery this one came.
    pub(super) fn after(&self, earlier: &Self) -> Duration {
        self.at.duration_since(earlier.at)
    }
}

/// What the handler is to do with one delivery.
pub(super) enum Step {
    /// Answers at once.
    Answer(Outcome),
    /// Answers once the gate is open.
    Behind(Arc<Gate>, Outcome),
    /// Never answers.
    Hang,
    /// Panics.
    Panic,
}

/// Another attempt after this many seconds.
pub(super) fn retry(seconds: u64) -> Step {
    Step::Answer(Outcome::Retry {
        after: Duration::from_secs(seconds),
        reason: "throttled".into(),
    })
}

/// Another look once the neighbour is back.
pub(super) fn wait() -> Step {
    Step::Answer(Outcome::Wait {
        reason: "the neighbour is away".into(),
    })
}

/// Given up, for this reason.
pub(super) fn dead(reason: &str) -> Step {
    Step::Answer(Outcome::Dead {
        class: "refused",
        reason: reason.into(),
        channels: Vec::new(),
    })
}

/// Does with each delivery of an event what was planned next for that event, and is done with it
/// when nothing was.
#[derive(Default)]
pub(super) struct Script {
    plans: Mutex<HashMap<Body, VecDeque<Step>>>,
    seen: Watched<Vec<Seen>>,
    in_hand: AtomicUsize,
    most_in_hand: AtomicUsize,
    answered: AtomicUsize,
}

impl Script {
    /// A handler that is done with everything.
    pub(super) fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Plans the deliveries of one event.
    pub(super) fn plan(&self, event: &OutboxMessage, steps: impl IntoIterator<Item = Step>) {
        let mut plans = self.plans.lock().expect("no panic while it is held");
        plans.insert(event.payload.clone(), steps.into_iter().collect());
    }

    /// The next delivery that was not asked for yet.
    pub(super) async fn next(&self) -> Seen {
        let first = |seen: &mut Vec<Seen>| (!seen.is_empty()).then(|| seen.remove(0));
        self.seen.until(first).await
    }

    /// The next delivery of this event that was not asked for yet; others stay.
    pub(super) async fn next_of(&self, event: &OutboxMessage) -> Seen {
        let of_event = |seen: &mut Vec<Seen>| {
            let place = seen.iter().position(|seen| seen.body == event.payload)?;
            Some(seen.remove(place))
        };
        self.seen.until(of_event).await
    }

    /// The bodies of the next `count` deliveries.
    pub(super) async fn next_bodies(&self, count: usize) -> Vec<Body> {
        let mut bodies = Vec::with_capacity(count);
        while bodies.len() < count {
            bodies.push(self.next().await.body);
        }
        bodies
    }

    /// What has come and was not asked for.
    pub(super) fn rest(&self) -> Vec<Body> {
        let mut rest = Vec::new();
        self.seen.change(|seen| rest = take(seen));
        rest.into_iter().map(|seen| seen.body).collect()
    }

    /// How many deliveries it has answered.
    pub(super) fn answered(&self) -> usize {
        self.answered.load(Ordering::SeqCst)
    }

    /// How many it had in hand at once, at most.
    pub(super) fn most_in_hand(&self) -> usize {
        self.most_in_hand.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl EventHandler for Script {
    async fn handle(&self, delivery: Delivery<'_>, context: &RequestContext) -> Outcome {
        let now = self.in_hand.fetch_add(1, Ordering::SeqCst) + 1;
        let _in_hand = InHand(&self.in_hand);
        self.most_in_hand.fetch_max(now, Ordering::SeqCst);
        let body = String::from_utf8_lossy(delivery.body).into_owned();
        let step = {
            let mut plans = self.plans.lock().expect("no panic while it is held");
            plans.get_mut(&body).and_then(VecDeque::pop_front)
        };
        let seen = Seen {
            body,
            attempt: delivery.attempt,
            again: delivery.again,
            revive: delivery.revive,
            context: context.clone(),
            at: Instant::now(),
        };
        self.seen.change(|all| all.push(seen));
        let outcome = match step {
            None => Outcome::Done,
            Some(Step::Answer(outcome)) => outcome,
            Some(Step::Behind(gate, outcome)) => {
                gate.passed().await;
                outcome
            }
            Some(Step::Hang) => pending().await,
            Some(Step::Panic) => panic!("the handler panics, as the script says"),
        };
        self.answered.fetch_add(1, Ordering::SeqCst);
        outcome
    }
}

/// One delivery in hand, until it is answered or dropped.
struct InHand<'a>(&'a AtomicUsize);

impl Drop for InHand<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Closed until it is opened.
#[derive(Default)]
pub(super) struct Gate(Watched<bool>);

impl Gate {
    /// A closed one.
    pub(super) fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Opens it for good.
    pub(super) fn open(&self) {
        self.0.change(|open| *open = true);
    }

    /// Opens it after a while.
    pub(super) fn open_after(self: &Arc<Self>, wait: Duration) {
        let gate = self.clone();
        std::thread::spawn(move || {
            std::thread::sleep(wait);
            gate.open();
        });
    }

    /// Waits until it is open.
    pub(super) async fn passed(&self) {
        self.0.until(|open| open.then_some(())).await;
    }
}

/// Lets time pass: to settle what was answered, or to see that nothing comes.
pub(super) async fn pause() {
    let gate = Gate::new();
    gate.open_after(Duration::from_millis(1500));
    gate.passed().await;
}

/// A value that can be waited for.
#[derive(Default)]
struct Watched<T>(Mutex<(T, Vec<Waker>)>);

impl<T> Watched<T> {
    /// Changes it, and tells all who wait.
    fn change(&self, change: impl FnOnce(&mut T)) {
        let wakers = {
            let mut inner = self.0.lock().expect("no panic while it is held");
            change(&mut inner.0);
            take(&mut inner.1)
        };
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Waits until `find` gives something.
    async fn until<R>(&self, mut find: impl FnMut(&mut T) -> Option<R>) -> R {
        poll_fn(|context| {
            let mut inner = self.0.lock().expect("no panic while it is held");
            match find(&mut inner.0) {
                Some(found) => Poll::Ready(found),
                None => {
                    inner.1.push(context.waker().clone());
                    Poll::Pending
                }
            }
        })
        .await
    }
}
