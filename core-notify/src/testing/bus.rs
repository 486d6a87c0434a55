//! What every event bus promises between a publisher and an [`EventHandler`], one function a
//! promise. Run all of them on a bus with [`event_bus_contract!`](crate::event_bus_contract).
//!
//! What happens on a crash is at least once: a promise may say that a delivery comes again, and
//! none says that it does not, unless it was settled long before.

mod crashes;
mod dead_letters;
mod delivery;
mod redrive;
mod retries;
mod script;

use std::sync::Arc;

use async_trait::async_trait;
use core_kernel::{EventId, EventPublisher, OrderId, OutboxMessage, TraceContext};

use crate::dead_letter::DeadLetter;
use crate::dead_letters::DeadLetters;
use crate::outcome::{EventHandler, Outcome};
use crate::queue::{QueueDepths, WORK_QUEUES};

use script::{Gate, Script, Step, pause};

pub use crashes::*;
pub use dead_letters::*;
pub use delivery::*;
pub use redrive::*;
pub use retries::*;

/// A bus under test, empty and without a consumer at the start.
#[async_trait]
pub trait Bus: Send + Sync {
    /// Publishes as the order service does. Asked for anew after every crash.
    fn publisher(&self) -> Arc<dyn EventPublisher>;

    /// Publishes straight into work queues: its routing keys are their names.
    fn queues(&self) -> Arc<dyn EventPublisher>;

    /// Starts a consumer of all work queues that hands everything to `handler`, on the system's
    /// clock. There is one at a time. It works on a single thread, so that the order in which the
    /// handler is called is the order of the deliveries.
    async fn consume(&self, handler: Arc<dyn EventHandler>) -> Box<dyn Consuming>;

    /// Its dead letters.
    fn letters(&self) -> Arc<dyn DeadLetters>;

    /// Its queues, from outside.
    fn depths(&self) -> Arc<dyn QueueDepths>;
}

/// A consumer that runs. One that is dropped ends in any way, but it ends.
#[async_trait]
pub trait Consuming: Send {
    /// Takes nothing more, finishes what is in hand, and returns when all of it is settled.
    async fn stop(self: Box<Self>);

    /// Dies where it stands, as by `kill -9`: what is in hand is not settled, not even if the
    /// handler has just answered.
    async fn crash(self: Box<Self>);
}

/// The bus under test.
pub type Fixture = Arc<dyn Bus>;

/// Makes one `#[tokio::test]` of each promise. `$fixture` is an `async fn() -> Fixture`.
///
/// A promise that is not kept shows as a wait without end, so each has five minutes.
#[macro_export]
macro_rules! event_bus_contract {
    ($fixture:path) => {
        $crate::event_bus_contract!(@tests $fixture,
            an_event_arrives_whole,
            an_event_that_no_queue_takes_is_refused_and_the_others_arrive,
            an_event_for_a_queue_by_its_name_arrives_whole_and_once,
            events_arrive_in_the_order_of_publishing,
            what_was_published_before_anybody_consumed_arrives_in_order,
            an_event_that_is_published_again_arrives_again,
            what_is_done_never_comes_again,
            what_waits_and_what_was_given_up_is_counted_queue_by_queue,
            a_slow_event_holds_up_nobody,
            at_most_ten_of_a_queue_are_in_hand_at_once,
            a_retry_comes_whole_as_the_next_attempt_and_not_before_its_time,
            attempts_are_counted_over_several_retries,
            thirty_waiting_retries_hold_up_nobody,
            a_short_retry_overtakes_a_long_one,
            a_held_event_comes_again_soon_as_the_same_attempt,
            an_event_that_waits_is_tried_again_as_the_same_attempt_and_holds_up_nobody,
            an_event_that_waits_is_given_back_by_a_stop,
            a_dead_event_is_kept_with_all_that_is_known,
            a_dead_event_is_not_delivered_again,
            a_dead_letter_is_told_its_queue_and_that_no_channel_failed,
            a_long_reason_is_cut_to_a_thousand_characters,
            a_dead_letter_knows_when_its_event_first_failed,
            a_hold_and_a_wait_are_no_failure,
            dead_letters_are_told_oldest_first,
            letters_that_are_looked_at_stay_as_they_were,
            letters_in_hand_come_back_when_the_hand_is_dropped,
            a_replayed_letter_is_delivered_as_if_it_were_new,
            only_the_letters_that_are_named_are_replayed,
            a_letter_that_dies_again_tells_of_its_last_death,
            a_discarded_letter_is_gone_for_good,
            of_many_letters_those_leave_that_are_named,
            of_two_who_replay_a_letter_one_does,
            a_letter_that_is_put_is_kept_whole,
            a_letter_of_no_queue_is_refused_and_the_others_are_kept,
            a_panic_loses_nothing,
            a_crash_gives_back_what_was_in_hand_and_nothing_that_was_settled,
            a_crash_costs_no_attempt_and_forgets_none,
            a_waiting_retry_outlives_a_crash,
            what_was_confirmed_outlives_a_crash,
            a_stop_finishes_what_is_in_hand,
            what_is_published_after_a_stop_is_left_to_the_next,
        );
    };
    (@tests $fixture:path, $($promise:ident),+ $(,)?) => {$(
        #[tokio::test]
        async fn $promise() {
            // What the fixture starts may take its own time.
            let bus = $fixture().await;
            let limit = ::std::time::Duration::from_secs(300);
            let kept = ::tokio::time::timeout(limit, $crate::testing::bus::$promise(bus));
            kept.await.expect("the promise is kept in time");
        }
    )+};
}

/// `OrderCreated`, about an order of its own.
fn created() -> OutboxMessage {
    event("OrderCreated", "order.created")
}

/// `OrderShipped`, about an order of its own.
fn shipped() -> OutboxMessage {
    event("OrderShipped", "order.shipped")
}

fn many_created(count: usize) -> Vec<OutboxMessage> {
    (0..count).map(|_| created()).collect()
}

fn event(event_type: &str, routing_key: &str) -> OutboxMessage {
    let event_id = EventId::generate();
    OutboxMessage {
        event_id,
        subject: OrderId::generate().0,
        event_type: event_type.into(),
        routing_key: routing_key.into(),
        // As nobody would write it anew who read it: spaces, an escape, an order of its own.
        payload: format!(
            "{{ \"name\" : \"Gr\\u00fc\u{df}e \u{1f389}\",\n \"event_id\":\"{event_id}\",\"amount\": 1.10 }}\n"
        ),
        traceparent: TraceContext::root().traceparent(),
        tracestate: Some("vendor=1".into()),
        occurred_at: 1_771_324_200,
    }
}

/// Once it is ready, as the relay waits for it: a bus may take its time to let one in.
async fn ready(publisher: Arc<dyn EventPublisher>) -> Arc<dyn EventPublisher> {
    while publisher.ready().await.is_err() {
        pause().await;
    }
    publisher
}

/// Publishes all of it, and is content with nothing less.
async fn publish(bus: &Fixture, events: &[OutboxMessage]) {
    publish_by(&*ready(bus.publisher()).await, events).await;
}

async fn publish_by(publisher: &dyn EventPublisher, events: &[OutboxMessage]) {
    let published = publisher.publish(events).await;
    let published = published.expect("the bus takes events");
    assert_eq!(published, vec![true; events.len()]);
}

/// Waits until all is settled that was answered before, of the queue of `OrderCreated`: ten more of it
/// are in hand, where they stay until the gate opens, and there is room for no others.
async fn settled(bus: &Fixture, script: &Script, gate: &Arc<Gate>) {
    let ten = many_created(10);
    for event in &ten {
        script.plan(event, [Step::Behind(gate.clone(), Outcome::Done)]);
    }
    publish(bus, &ten).await;
    for event in &ten {
        script.next_of(event).await;
    }
}

/// All dead letters, oldest first.
async fn dead_letters(bus: &Fixture) -> Vec<DeadLetter> {
    let mut all = Vec::new();
    for queue in WORK_QUEUES {
        let hand = bus.letters().take(queue).await.expect("an answer");
        all.extend_from_slice(hand.letters());
        hand.put_back().await.expect("they are back");
    }
    all.sort_by_key(|letter| letter.failed_at);
    all
}

fn bodies(events: &[OutboxMessage]) -> Vec<String> {
    events.iter().map(|event| event.payload.clone()).collect()
}
