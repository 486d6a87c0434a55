//! What every store of notifications promises, one function a promise. Run all of them on an
//! adapter with [`notification_store_contract!`](crate::notification_store_contract).

mod lists;

use std::sync::Arc;

use core_kernel::{Clock, EventId, NotificationId, SystemClock, Text, UserId};
use futures_util::future::join_all;

use super::draft;
use crate::notification::{Channel, Draft, Notification, Resent, Status};
use crate::ports::{Attempt, AttemptOutcome, Claim, Job, NotificationStore};

pub use lists::*;

/// The store under test.
pub type Fixture = Arc<dyn NotificationStore>;

/// Makes one `#[tokio::test]` of each promise. `$fixture` is an `async fn() -> Fixture`.
#[macro_export]
macro_rules! notification_store_contract {
    ($fixture:path) => {
        $crate::notification_store_contract!(@tests $fixture,
            a_draft_is_queued_claimed_and_found,
            an_unknown_notification_is_none,
            an_event_has_one_notification_per_channel,
            of_twenty_racing_claims_one_sends,
            of_many_at_once_each_comes_to_its_own,
            what_was_sent_is_not_claimed_again,
            what_was_released_is_claimed_again_with_its_first_words,
            a_lost_answer_is_remembered,
            a_failed_one_is_only_claimed_when_asked_for,
            a_new_draft_revives_a_failed_one,
            a_resent_one_is_another_and_knows_which_it_is_again,
            an_outcome_of_an_old_claim_changes_nothing,
            an_event_without_notifications_has_none_to_reclaim,
            all_attempts_are_told_oldest_first,
            a_late_outcome_is_on_record_all_the_same,
            a_list_holds_only_what_passes_the_filter,
            pages_are_newest_first_and_neither_repeat_nor_skip,
            a_walk_meets_every_notification_once,
        );
    };
    (@tests $fixture:path, $($promise:ident),+ $(,)?) => {$(
        #[tokio::test]
        async fn $promise() {
            $crate::testing::contract::$promise($fixture().await).await;
        }
    )+};
}

async fn enqueue(store: &Fixture, event: EventId, channel: Channel) -> Claim {
    let draft = draft(event, UserId::generate(), channel);
    let mut claims = store.enqueue(&[draft]).await.expect("an answer");
    assert_eq!(claims.len(), 1);
    claims.remove(0)
}

fn job(claim: Claim) -> Job {
    match claim {
        Claim::Send(job) => job,
        other => panic!("not claimed: {other:?}"),
    }
}

/// An attempt under a job's claim that came to this.
fn attempt(job: &Job, outcome: AttemptOutcome) -> Attempt {
    let now = SystemClock.now();
    let sent = outcome == AttemptOutcome::Sent;
    Attempt {
        number: job.claim,
        began_at: now,
        ended_at: Some(now),
        outcome,
        provider_ref: sent.then(|| "ses-1".to_owned()),
        reason: (!sent).then(|| "reset".to_owned()),
    }
}

async fn send(store: &Fixture, job: &Job) -> Attempt {
    let attempt = attempt(job, AttemptOutcome::Sent);
    store.mark_sent(job, &attempt).await;
    attempt
}

async fn release(store: &Fixture, job: &Job, outcome: AttemptOutcome, reason: &str) -> Attempt {
    let attempt = attempt(job, outcome);
    let released = store.release(job, Some(&attempt), reason).await;
    released.expect("an answer");
    attempt
}

async fn fail(store: &Fixture, job: &Job, reason: &str) -> Attempt {
    let attempt = attempt(job, AttemptOutcome::Refused);
    let failed = store.mark_failed(job, Some(&attempt), reason).await;
    failed.expect("an answer");
    attempt
}

async fn found(store: &Fixture, id: NotificationId) -> Notification {
    let found = store.find(id).await.expect("an answer");
    found.expect("a notification")
}

async fn reclaim(store: &Fixture, event: EventId, failed_too: bool) -> Vec<Claim> {
    store.reclaim(event, failed_too).await.expect("an answer")
}

/// Round trip of both channels in one call.
pub async fn a_draft_is_queued_claimed_and_found(store: Fixture) {
    let (event, user) = (EventId::generate(), UserId::generate());
    let drafts = [Channel::Email, Channel::Sms].map(|channel| draft(event, user, channel));
    let claims = store.enqueue(&drafts).await.expect("an answer");
    assert_eq!(claims.len(), 2);
    for draft in drafts {
        let claimed = claims.iter().find_map(|claim| match claim {
            Claim::Send(job) if job.channel == draft.channel => Some(job),
            _ => None,
        });
        let job = claimed.expect("a claim");
        assert_eq!((job.id, &job.content), (draft.id, &draft.content));
        assert_eq!(job.recipient, draft.recipient);
        assert!(!job.maybe_sent);
        let found = found(&store, draft.id).await;
        assert_eq!(found.summary.status, Status::Queued);
        assert_eq!(found.summary.created_at, draft.created_at);
        assert_eq!(found.summary.order_id, draft.order_id);
        assert_eq!(
            (found.body, found.plain),
            (draft.content.body, draft.content.plain)
        );
        assert_eq!(found.resent, None);
        assert_eq!((found.provider_ref, found.error_message), (None, None));
    }
}

/// Absence is no failure.
pub async fn an_unknown_notification_is_none(store: Fixture) {
    let found = store.find(NotificationId::generate()).await;
    assert_eq!(found.expect("an answer"), None);
}

/// The same event again makes nothing new, and finds the first held.
pub async fn an_event_has_one_notification_per_channel(store: Fixture) {
    let event = EventId::generate();
    job(enqueue(&store, event, Channel::Email).await);
    assert_eq!(
        enqueue(&store, event, Channel::Email).await,
        Claim::Held(Channel::Email)
    );
    job(enqueue(&store, event, Channel::Sms).await);
    assert_eq!(reclaim(&store, event, true).await.len(), 2);
}

/// However many try at once, one sends.
pub async fn of_twenty_racing_claims_one_sends(store: Fixture) {
    let event = EventId::generate();
    let racers = (0..20).map(|_| enqueue(&store, event, Channel::Email));
    let claims = join_all(racers).await;
    let sending = claims
        .iter()
        .filter(|claim| matches!(claim, Claim::Send(_)))
        .count();
    assert_eq!(sending, 1, "{claims:?}");
}

/// Events that are worked on side by side do not mix, whatever each comes to.
pub async fn of_many_at_once_each_comes_to_its_own(store: Fixture) {
    let store = &store;
    let one = |number: usize| async move {
        let channel = [Channel::Email, Channel::Sms][number % 2];
        let draft = draft(EventId::generate(), UserId::generate(), channel);
        let claims = store.enqueue(std::slice::from_ref(&draft)).await;
        let job = job(claims.expect("an answer").remove(0));
        assert_eq!((job.id, &job.content), (draft.id, &draft.content));
        let reason = format!("reason {number}");
        let (status, attempt) = match number % 3 {
            0 => (Status::Sent, send(store, &job).await),
            1 => {
                let released = release(store, &job, AttemptOutcome::NotNow, &reason);
                (Status::Queued, released.await)
            }
            _ => (Status::Failed, fail(store, &job, &reason).await),
        };
        let found = found(store, job.id).await;
        assert_eq!(found.summary.status, status);
        let told = (status != Status::Sent).then_some(reason);
        assert_eq!(found.error_message, told);
        let attempts = store.attempts(job.id).await.expect("an answer");
        assert_eq!(attempts, [attempt]);
    };
    join_all((0..24).map(one)).await;
}

/// Once sent, never again.
pub async fn what_was_sent_is_not_claimed_again(store: Fixture) {
    let event = EventId::generate();
    let first = job(enqueue(&store, event, Channel::Email).await);
    let sent = send(&store, &first).await;
    assert_eq!(
        enqueue(&store, event, Channel::Email).await,
        Claim::Sent(Channel::Email)
    );
    assert_eq!(
        reclaim(&store, event, true).await,
        [Claim::Sent(Channel::Email)]
    );
    let found = found(&store, first.id).await;
    assert_eq!(found.summary.status, Status::Sent);
    assert_eq!(found.summary.sent_at, sent.ended_at);
    assert_eq!(found.provider_ref.as_deref(), Some("ses-1"));
}

/// A retry says what the first attempt said, and its success clears the error.
pub async fn what_was_released_is_claimed_again_with_its_first_words(store: Fixture) {
    let event = EventId::generate();
    let first = job(enqueue(&store, event, Channel::Email).await);
    release(&store, &first, AttemptOutcome::NotNow, "throttled").await;
    assert_eq!(
        found(&store, first.id).await.error_message.as_deref(),
        Some("throttled")
    );
    let second = job(enqueue(&store, event, Channel::Email).await);
    assert_eq!((second.id, &second.content), (first.id, &first.content));
    // A claim that came to no attempt.
    let released = store.release(&second, None, "paused").await;
    released.expect("an answer");
    let third = job(reclaim(&store, event, false).await.remove(0));
    assert_eq!((third.id, &third.content), (first.id, &first.content));
    assert!(!third.maybe_sent);
    send(&store, &third).await;
    assert_eq!(found(&store, first.id).await.error_message, None);
}

/// An attempt that may have been sent is told to the next.
pub async fn a_lost_answer_is_remembered(store: Fixture) {
    let event = EventId::generate();
    let first = job(enqueue(&store, event, Channel::Sms).await);
    release(&store, &first, AttemptOutcome::Unknown, "reset").await;
    assert!(job(reclaim(&store, event, false).await.remove(0)).maybe_sent);
}

/// A refusal is final for this message, until somebody replays it.
pub async fn a_failed_one_is_only_claimed_when_asked_for(store: Fixture) {
    let event = EventId::generate();
    let job_of = job(enqueue(&store, event, Channel::Sms).await);
    let id = job_of.id;
    fail(&store, &job_of, "no such number").await;
    let failed = found(&store, id).await;
    assert_eq!(failed.summary.status, Status::Failed);
    assert_eq!(failed.error_message.as_deref(), Some("no such number"));
    assert_eq!(
        reclaim(&store, event, false).await,
        [Claim::Failed(Channel::Sms, "no such number".into())]
    );
    assert_eq!(job(reclaim(&store, event, true).await.remove(0)).id, id);
    assert_eq!(found(&store, id).await.summary.status, Status::Queued);
}

/// The same event delivered anew sends what had failed.
pub async fn a_new_draft_revives_a_failed_one(store: Fixture) {
    let event = EventId::generate();
    let first = job(enqueue(&store, event, Channel::Sms).await);
    fail(&store, &first, "no such number").await;
    let second = job(enqueue(&store, event, Channel::Sms).await);
    assert_eq!(second.id, first.id);
}

/// It goes out beside the one that was sent, which stays as it was.
pub async fn a_resent_one_is_another_and_knows_which_it_is_again(store: Fixture) {
    let user = UserId::generate();
    let first = draft(EventId::generate(), user, Channel::Email);
    let claims = store.enqueue(std::slice::from_ref(&first)).await;
    send(&store, &job(claims.expect("an answer").remove(0))).await;
    let before = found(&store, first.id).await;
    for reason in [Some("she lost it"), None] {
        let reason = reason.map(|reason| Text::parse(reason).expect("a reason"));
        let resent = Resent {
            of: first.id,
            by: "cli:ada".into(),
            reason,
        };
        let again = Draft {
            id: NotificationId::generate(),
            event_id: EventId::generate(),
            resent: Some(resent.clone()),
            ..first.clone()
        };
        // However often the event is delivered, it is one.
        let claims = store.enqueue(std::slice::from_ref(&again)).await;
        let first_claim = job(claims.expect("an answer").remove(0));
        assert_eq!(first_claim.content, first.content);
        let held = store.enqueue(std::slice::from_ref(&again)).await;
        assert_eq!(held.expect("an answer"), [Claim::Held(Channel::Email)]);
        send(&store, &first_claim).await;
        let told = found(&store, again.id).await;
        assert_eq!(
            (told.resent, told.plain),
            (Some(resent), again.content.plain)
        );
        assert_eq!(found(&store, first.id).await, before);
    }
}

/// Who was slow does not undo what the next has done.
pub async fn an_outcome_of_an_old_claim_changes_nothing(store: Fixture) {
    let event = EventId::generate();
    let old = job(enqueue(&store, event, Channel::Sms).await);
    release(&store, &old, AttemptOutcome::Unknown, "reset").await;
    let new = job(reclaim(&store, event, false).await.remove(0));
    assert!(new.claim > old.claim);

    fail(&store, &old, "late").await;
    release(&store, &old, AttemptOutcome::NotNow, "late").await;
    assert_eq!(found(&store, old.id).await.summary.status, Status::Queued);
    assert_eq!(
        reclaim(&store, event, true).await,
        [Claim::Held(Channel::Sms)]
    );
    send(&store, &new).await;
    fail(&store, &old, "late").await;
    fail(&store, &new, "late").await;
    assert_eq!(found(&store, new.id).await.summary.status, Status::Sent);
}

/// Every call of a provider is on record, and a claim that came to none is not.
pub async fn all_attempts_are_told_oldest_first(store: Fixture) {
    let event = EventId::generate();
    let first = job(enqueue(&store, event, Channel::Email).await);
    let throttled = release(&store, &first, AttemptOutcome::NotNow, "throttled").await;
    let paused = job(reclaim(&store, event, false).await.remove(0));
    let released = store.release(&paused, None, "paused").await;
    released.expect("an answer");
    let third = job(reclaim(&store, event, false).await.remove(0));
    let refused = fail(&store, &third, "no such address").await;
    let fourth = job(reclaim(&store, event, true).await.remove(0));
    let sent = send(&store, &fourth).await;
    let told = store.attempts(first.id).await.expect("an answer");
    assert_eq!(told, [throttled, refused, sent]);
    let unknown = store.attempts(NotificationId::generate()).await;
    assert_eq!(unknown.expect("an answer"), []);
}

/// Who was so slow that another claimed it meanwhile still tells what came of the call.
pub async fn a_late_outcome_is_on_record_all_the_same(store: Fixture) {
    let event = EventId::generate();
    let old = job(enqueue(&store, event, Channel::Sms).await);
    release(&store, &old, AttemptOutcome::Unknown, "reset").await;
    let new = job(reclaim(&store, event, false).await.remove(0));
    let late = send(&store, &old).await;
    let again = send(&store, &new).await;
    let told = store.attempts(old.id).await.expect("an answer");
    assert_eq!(told, [late, again]);
}

/// Nothing written down, nothing to claim.
pub async fn an_event_without_notifications_has_none_to_reclaim(store: Fixture) {
    assert!(reclaim(&store, EventId::generate(), true).await.is_empty());
}
