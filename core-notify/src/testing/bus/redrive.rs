//! What operators do with what was given up.

use core_kernel::OutboxMessage;

use super::script::{Script, dead, pause};
use super::{Fixture, created, dead_letters, many_created, publish, shipped};
use crate::dead_letter::DeadLetter;
use crate::dead_letters::LettersInHand;
use crate::notification::Channel;
use crate::queue::{WORK_QUEUES, WorkQueue};

/// `OrderCreated` goes there.
const CREATED: WorkQueue = WORK_QUEUES[0];

/// Has all of these given up, and returns them as letters.
async fn buried(bus: &Fixture, events: &[OutboxMessage]) -> Vec<DeadLetter> {
    let script = Script::new();
    for event in events {
        script.plan(event, [dead("no such number")]);
    }
    let consumer = bus.consume(script.clone()).await;
    publish(bus, events).await;
    script.next_bodies(events.len()).await;
    consumer.stop().await;
    let letters = dead_letters(bus).await;
    assert_eq!(letters.len(), events.len());
    letters
}

async fn take(bus: &Fixture) -> Box<dyn LettersInHand> {
    let hand = bus.letters().take(CREATED).await;
    hand.expect("an answer")
}

async fn put_back(hand: Box<dyn LettersInHand>) {
    hand.put_back().await.expect("they are back");
}

fn ids(letters: &[DeadLetter]) -> Vec<&str> {
    letters.iter().map(|one| one.message_id.as_str()).collect()
}

/// However often, and whatever is taken out meanwhile: looking costs them nothing, not even their
/// order.
pub async fn letters_that_are_looked_at_stay_as_they_were(bus: Fixture) {
    let mut letters = buried(&bus, &many_created(12)).await;
    for _ in 0..30 {
        let hand = take(&bus).await;
        assert!(hand.letters() == letters);
        put_back(hand).await;
    }
    let mut hand = take(&bus).await;
    assert_eq!(hand.discard(&[5]).await.expect("an answer"), [true]);
    put_back(hand).await;
    letters.remove(5);
    assert!(dead_letters(&bus).await == letters);
    let count = bus.letters().count(CREATED).await.expect("an answer");
    assert_eq!(count, 11);
}

/// As if whoever had them had died.
pub async fn letters_in_hand_come_back_when_the_hand_is_dropped(bus: Fixture) {
    let letters = buried(&bus, &many_created(3)).await;
    drop(take(&bus).await);
    // The broker may have to notice first.
    while bus.letters().count(CREATED).await.expect("an answer") < 3 {}
    assert!(dead_letters(&bus).await == letters);
}

/// The first attempt, the same bytes and the same trace; and what had failed may be sent.
pub async fn a_replayed_letter_is_delivered_as_if_it_were_new(bus: Fixture) {
    let event = created();
    buried(&bus, std::slice::from_ref(&event)).await;
    let mut hand = take(&bus).await;
    assert_eq!(hand.replay(&[0]).await.expect("an answer"), [true]);
    put_back(hand).await;
    assert!(dead_letters(&bus).await.is_empty());

    let script = Script::new();
    let consumer = bus.consume(script.clone()).await;
    let seen = script.next().await;
    consumer.stop().await;
    assert_eq!((seen.attempt, seen.revive), (1, true));
    assert_eq!(seen.body, event.payload);
    assert_eq!(*seen.context.request_id, event.event_id.to_string());
    let trace = seen.context.trace.trace_id();
    assert!(event.traceparent.contains(&trace), "{trace}");
    assert!(script.rest().is_empty());
}

/// In the order in which they are named.
pub async fn only_the_letters_that_are_named_are_replayed(bus: Fixture) {
    let letters = buried(&bus, &many_created(5)).await;
    let mut hand = take(&bus).await;
    let replayed = hand.replay(&[3, 1]).await.expect("an answer");
    assert_eq!(replayed, [true, true]);
    put_back(hand).await;
    let left = dead_letters(&bus).await;
    let all = ids(&letters);
    assert_eq!(ids(&left), [all[0], all[2], all[4]]);

    let script = Script::new();
    let consumer = bus.consume(script.clone()).await;
    for place in [3, 1] {
        let seen = script.next().await;
        assert_eq!(*seen.context.request_id, *all[place]);
    }
    pause().await;
    consumer.stop().await;
    assert!(script.rest().is_empty());
}

/// Nothing is left of the first one: not its attempts, and not its time.
pub async fn a_letter_that_dies_again_tells_of_its_last_death(bus: Fixture) {
    let event = created();
    let first = buried(&bus, std::slice::from_ref(&event)).await.remove(0);
    let mut hand = take(&bus).await;
    hand.replay(&[0]).await.expect("an answer");
    put_back(hand).await;
    let script = Script::new();
    script.plan(&event, [dead("still no such number")]);
    let consumer = bus.consume(script.clone()).await;
    script.next().await;
    consumer.stop().await;
    let letters = dead_letters(&bus).await;
    assert_eq!(ids(&letters), [first.message_id.as_str()]);
    let again = &letters[0];
    assert_eq!(
        (again.attempts, again.reason.as_str()),
        (1, "still no such number")
    );
    assert!(again.first_failed_at > first.failed_at);
}

/// It is no letter any more, and nobody gets it.
pub async fn a_discarded_letter_is_gone_for_good(bus: Fixture) {
    buried(&bus, &many_created(2)).await;
    let mut hand = take(&bus).await;
    let gone = hand.discard(&[0, 1]).await.expect("an answer");
    assert_eq!(gone, [true, true]);
    put_back(hand).await;
    assert!(dead_letters(&bus).await.is_empty());
    let script = Script::new();
    let consumer = bus.consume(script.clone()).await;
    pause().await;
    consumer.stop().await;
    assert!(script.rest().is_empty());
}

/// However many leave at once, and whichever: a bus may be slow to let go of them.
pub async fn of_many_letters_those_leave_that_are_named(bus: Fixture) {
    let one = buried(&bus, &many_created(1)).await.remove(0);
    let letter = |number: usize| DeadLetter {
        message_id: number.to_string(),
        ..one.clone()
    };
    let many: Vec<DeadLetter> = (0..1000).map(letter).collect();
    let letters = bus.letters();
    // A bus has little time for a batch.
    for some in many.chunks(100) {
        let put = letters.put(some).await.expect("an answer");
        assert_eq!(put, [true; 100]);
    }
    let mut hand = take(&bus).await;
    let letters = hand.letters().iter().enumerate();
    let even = letters.filter(|(_, one)| {
        one.message_id
            .parse()
            .is_ok_and(|n: usize| n.is_multiple_of(2))
    });
    let even: Vec<usize> = even.map(|(place, _)| place).collect();
    assert_eq!(even.len(), 500);
    let gone = hand.discard(&even).await.expect("an answer");
    assert_eq!(gone, vec![true; 500]);
    put_back(hand).await;
    let left = dead_letters(&bus).await;
    assert_eq!(left.len(), 501);
    assert!(left.iter().all(|one| {
        !one.message_id
            .parse()
            .is_ok_and(|n: usize| n.is_multiple_of(2))
    }));
}

/// The other does not get it in hand, or is told that it was too late.
pub async fn of_two_who_replay_a_letter_one_does(bus: Fixture) {
    buried(&bus, &many_created(4)).await;
    let mut hands = [take(&bus).await, take(&bus).await];
    let mut replayed = 0;
    for hand in &mut hands {
        let places: Vec<usize> = (0..hand.letters().len()).collect();
        let answers = hand.replay(&places).await.expect("an answer");
        replayed += answers.into_iter().filter(|done| *done).count();
    }
    for hand in hands {
        put_back(hand).await;
    }
    assert_eq!(replayed, 4);
    let script = Script::new();
    let consumer = bus.consume(script.clone()).await;
    script.next_bodies(4).await;
    pause().await;
    consumer.stop().await;
    assert!(script.rest().is_empty());
}

/// All that is known of it, so that what was exported can be brought back.
pub async fn a_letter_that_is_put_is_kept_whole(bus: Fixture) {
    let mut letters = buried(&bus, &[created(), shipped()]).await;
    letters[0].channels = vec![Channel::Email, Channel::Sms];
    letters[0].attempts = 4;
    for queue in WORK_QUEUES {
        let mut hand = bus.letters().take(queue).await.expect("an answer");
        let places: Vec<usize> = (0..hand.letters().len()).collect();
        hand.discard(&places).await.expect("an answer");
        put_back(hand).await;
    }
    let put = bus.letters().put(&letters).await.expect("an answer");
    assert_eq!(put, [true, true]);
    // A bus may keep times to the millisecond.
    let whole = |mut letter: DeadLetter| {
        for at in [&mut letter.first_failed_at, &mut letter.failed_at] {
            *at = jiff::Timestamp::from_millisecond(at.as_millisecond()).expect("a time");
        }
        letter
    };
    let found: Vec<_> = dead_letters(&bus).await.into_iter().map(whole).collect();
    let wanted: Vec<_> = letters.into_iter().map(whole).collect();
    assert!(found == wanted, "{found:?} and not {wanted:?}");
}

/// A file may come from elsewhere.
pub async fn a_letter_of_no_queue_is_refused_and_the_others_are_kept(bus: Fixture) {
    let mut letters = buried(&bus, &many_created(2)).await;
    letters[0].queue = "somebody.elses".into();
    let put = bus.letters().put(&letters).await.expect("an answer");
    assert_eq!(put, [false, true]);
    assert_eq!(dead_letters(&bus).await.len(), 3);
}
