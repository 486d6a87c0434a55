//! What every ledger of notifications promises. Run it on an adapter with
//! [`notification_ledger_contract!`](crate::notification_ledger_contract).

use std::sync::Arc;

use core_kernel::{Clock, EventId, OrderId, SystemClock, UserId};
use jiff::SignedDuration;

use super::draft;
use crate::ledger::{Heard, NotificationLedger};
use crate::notification::{Channel, Draft};
use crate::ports::{Claim, Job, NotificationStore};

/// The ledger under test, with the store of the same notifications.
#[derive(Clone)]
pub struct Fixture {
    /// The ledger.
    pub ledger: Arc<dyn NotificationLedger>,
    /// Notifications.
    pub store: Arc<dyn NotificationStore>,
}

/// Makes one `#[tokio::test]` of each promise. `$fixture` is an `async fn() -> Fixture`.
#[macro_export]
macro_rules! notification_ledger_contract {
    ($fixture:path) => {
        $crate::notification_ledger_contract!(@tests $fixture,
            what_was_written_down_about_an_order_is_heard_once_a_type,
            only_what_is_queued_and_nobody_holds_is_stale,
            what_changed_of_late_is_not_stale,
            a_walk_through_what_is_stale_meets_each_once,
        );
    };
    (@tests $fixture:path, $($promise:ident),+ $(,)?) => {$(
        #[tokio::test]
        async fn $promise() {
            $crate::testing::ledger::$promise($fixture().await).await;
        }
    )+};
}

/// A draft that is written down and claimed.
async fn held(fixture: &Fixture, channel: Channel) -> (Draft, Job) {
    let draft = draft(EventId::generate(), UserId::generate(), channel);
    let claims = fixture.store.enqueue(std::slice::from_ref(&draft)).await;
    match claims.expect("an answer").pop() {
        Some(Claim::Send(job)) => (draft, job),
        other => panic!("not claimed: {other:?}"),
    }
}

/// One that is queued, and that nobody holds.
async fn released(fixture: &Fixture) -> Draft {
    let (draft, job) = held(fixture, Channel::Email).await;
    let released = fixture.store.release(&job, None, "later").await;
    released.expect("an answer");
    draft
}

/// Both channels are one; another order's is none of it.
pub async fn what_was_written_down_about_an_order_is_heard_once_a_type(fixture: Fixture) {
    let (event, user) = (EventId::generate(), UserId::generate());
    let drafts = [Channel::Email, Channel::Sms].map(|channel| draft(event, user, channel));
    let order_id = drafts[0].order_id.expect("it is about an order");
    let drafts = drafts.map(|draft| Draft {
        order_id: Some(order_id),
        ..draft
    });
    fixture.store.enqueue(&drafts).await.expect("an answer");
    held(&fixture, Channel::Email).await;
    let heard = fixture.ledger.heard(&[order_id, OrderId::generate()]).await;
    let type_key = drafts[0].type_key.to_owned();
    let wanted = [Heard { order_id, type_key }];
    assert_eq!(heard.expect("an answer"), wanted);
}

/// Whoever holds one works on it.
pub async fn only_what_is_queued_and_nobody_holds_is_stale(fixture: Fixture) {
    held(&fixture, Channel::Email).await;
    let (_, failed) = held(&fixture, Channel::Sms).await;
    let marked = fixture.store.mark_failed(&failed, None, "refused").await;
    marked.expect("an answer");
    let wanted = released(&fixture).await;
    let until = SystemClock.now() + SignedDuration::from_hours(1);
    let stale = fixture.ledger.stale(until, None, 10).await;
    let stale = stale.expect("an answer");
    assert_eq!(stale.len(), 1);
    assert_eq!(
        (stale[0].id, stale[0].event_id),
        (wanted.id, wanted.event_id)
    );
    assert_eq!(stale[0].order_id, wanted.order_id);
    assert_eq!(stale[0].channel, Channel::Email);
    assert_eq!(stale[0].type_key, wanted.type_key);
    assert!(!stale[0].resent);
}

/// It was released a moment ago.
pub async fn what_changed_of_late_is_not_stale(fixture: Fixture) {
    released(&fixture).await;
    let until = SystemClock.now() - SignedDuration::from_hours(1);
    let stale = fixture.ledger.stale(until, None, 10).await;
    assert!(stale.expect("an answer").is_empty());
}

/// In parts of two, by id.
pub async fn a_walk_through_what_is_stale_meets_each_once(fixture: Fixture) {
    let mut wanted = Vec::new();
    for _ in 0..5 {
        wanted.push(released(&fixture).await.id);
    }
    wanted.sort();
    let until = SystemClock.now() + SignedDuration::from_hours(1);
    let (mut met, mut last) = (Vec::new(), None);
    loop {
        let part = fixture.ledger.stale(until, last, 2).await;
        let part = part.expect("an answer");
        assert!(part.len() <= 2);
        let Some(end) = part.last() else { break };
        last = Some(end.id);
        met.extend(part.iter().map(|stale| stale.id));
    }
    assert_eq!(met, wanted);
}
