//! What every store of notifications promises about letting go of them, one function a promise. Run
//! all of them on an adapter with
//! [`notification_retirement_contract!`](crate::notification_retirement_contract).

use std::sync::Arc;

use core_kernel::{ArchiveId, Clock, EventId, NotificationId, SystemClock, Text, UserId};
use jiff::{SignedDuration, Timestamp};

use super::{draft, mark_sent};
use crate::notification::{Channel, Resent, Status};
use crate::ports::{Claim, Job, NotificationStore};
use crate::retention::{Batch, Manifest, NotificationRetirement, PURGED, Record, Retired};

/// The store under test.
#[derive(Clone)]
pub struct Fixture {
    /// As it lets go.
    pub retirement: Arc<dyn NotificationRetirement>,
    /// As it keeps.
    pub store: Arc<dyn NotificationStore>,
}

/// Makes one `#[tokio::test]` of each promise. `$fixture` is an `async fn() -> Fixture`.
#[macro_export]
macro_rules! notification_retirement_contract {
    ($fixture:path) => {
        $crate::notification_retirement_contract!(@tests $fixture,
            a_batch_has_the_oldest_finished_ones,
            what_still_waits_to_be_sent_is_in_no_batch,
            a_batch_that_was_not_finished_comes_again_and_is_the_same,
            a_record_has_every_column,
            what_was_retired_is_gone_and_nothing_else,
            a_row_that_changed_keeps_the_whole_batch,
            a_batch_is_retired_once,
            a_batch_whose_rows_are_gone_is_closed,
            racing_plans_make_one_batch,
            masking_takes_address_and_words_of_these_users_only,
            masking_leaves_alone_what_is_being_sent,
            what_waited_for_a_purged_user_has_failed,
        );
    };
    (@tests $fixture:path, $($promise:ident),+ $(,)?) => {$(
        #[tokio::test]
        async fn $promise() {
            $crate::testing::retention::$promise($fixture().await).await;
        }
    )+};
}

/// All of them are some other one once more, so that nothing of that is lost or left.
fn resent() -> Resent {
    Resent {
        of: NotificationId::generate(),
        by: "cli:ada".into(),
        reason: Some(Text::trusted("she lost it".into())),
    }
}

impl Fixture {
    /// A notification of `user` that is being sent, as old as said.
    async fn claimed(&self, user: UserId, created_at: Timestamp) -> Job {
        let mut draft = draft(EventId::generate(), user, Channel::Email);
        draft.created_at = created_at;
        draft.resent = Some(resent());
        let claims = self.store.enqueue(&[draft]).await.expect("an answer");
        match claims.into_iter().next() {
            Some(Claim::Send(job)) => job,
            other => panic!("not claimed: {other:?}"),
        }
    }

    async fn sent(&self, user: UserId, created_at: Timestamp) -> NotificationId {
        let job = self.claimed(user, created_at).await;
        mark_sent(&*self.store, job.id, "ref-1", created_at).await;
        job.id
    }

    /// So many that were sent, a second apart, the oldest first; and the time of the last.
    async fn many(&self, count: i64) -> (Vec<NotificationId>, Timestamp) {
        let first = SystemClock.now();
        let mut ids = Vec::new();
        for second in 0..count {
            let at = first + SignedDuration::from_secs(second);
            ids.push(self.sent(UserId::generate(), at).await);
        }
        (ids, first + SignedDuration::from_secs(count - 1))
    }

    async fn plan(&self, before: Timestamp, limit: u32) -> Option<Batch> {
        let at = SystemClock.now();
        let planned = self.retirement.plan(before, limit, at).await;
        planned.expect("an answer")
    }

    async fn records(&self, batch: Batch) -> Vec<Record> {
        self.retirement.records(batch).await.expect("records")
    }

    async fn ids(&self, batch: Batch) -> Vec<NotificationId> {
        let records = self.records(batch).await;
        records.iter().map(|record| record.id).collect()
    }

    async fn retire(&self, batch: Batch, records: &[Record]) -> Retired {
        let manifest = manifest(batch, records.len() as u64);
        let at = SystemClock.now();
        let retired = self
            .retirement
            .retire(batch, records, Some(&manifest), at)
            .await;
        retired.expect("an answer")
    }

    async fn is_there(&self, id: NotificationId) -> bool {
        self.store.find(id).await.expect("an answer").is_some()
    }
}

fn manifest(batch: Batch, rows: u64) -> Manifest {
    Manifest {
        format: "shopflow-notifications/1",
        id: batch.id,
        planned_at: batch.planned_at,
        object: format!("notifications/{}.ndjson.gz", batch.id),
        sha256: "0".repeat(64),
        bytes: 1,
        rows,
        from: batch.planned_at,
        to: batch.planned_at,
    }
}

/// Older than the time, oldest first, and no more than asked for.
pub async fn a_batch_has_the_oldest_finished_ones(fixture: Fixture) {
    let (ids, last) = fixture.many(4).await;
    assert_eq!(fixture.retirement.due(last).await.expect("a count"), 3);
    let batch = fixture.plan(last, 2).await.expect("a batch");
    assert_eq!(fixture.ids(batch).await, ids[..2]);
    let records = fixture.records(batch).await;
    assert_eq!(fixture.retire(batch, &records).await, Retired::Deleted(2));
    let batch = fixture.plan(last, 2).await.expect("a batch");
    assert_eq!(fixture.ids(batch).await, ids[2..3]);
    let records = fixture.records(batch).await;
    assert_eq!(fixture.retire(batch, &records).await, Retired::Deleted(1));
    assert_eq!(fixture.plan(last, 2).await, None);
}

/// It is not finished, however old.
pub async fn what_still_waits_to_be_sent_is_in_no_batch(fixture: Fixture) {
    let at = SystemClock.now();
    let later = at + SignedDuration::from_secs(1);
    let job = fixture.claimed(UserId::generate(), at).await;
    assert_eq!(fixture.retirement.due(later).await.expect("a count"), 0);
    assert_eq!(fixture.plan(later, 10).await, None);
    let failed = fixture.store.mark_failed(&job, None, "refused").await;
    failed.expect("an answer");
    assert_eq!(fixture.retirement.due(later).await.expect("a count"), 1);
    let batch = fixture.plan(later, 10).await.expect("a batch");
    assert_eq!(fixture.ids(batch).await, [job.id]);
}

/// However much has become due meanwhile, and whatever the limit now is.
pub async fn a_batch_that_was_not_finished_comes_again_and_is_the_same(fixture: Fixture) {
    let (ids, last) = fixture.many(3).await;
    let batch = fixture.plan(last, 1).await.expect("a batch");
    let long_ago = last - SignedDuration::from_hours(24 * 400);
    fixture.sent(UserId::generate(), long_ago).await;
    let again = fixture.plan(last, 100).await;
    assert_eq!(again, Some(batch));
    assert_eq!(fixture.ids(batch).await, ids[..1]);
}

/// Nothing is lost in the archive.
pub async fn a_record_has_every_column(fixture: Fixture) {
    let at = SystemClock.now();
    let user = UserId::generate();
    let draft = {
        let mut draft = draft(EventId::generate(), user, Channel::Email);
        draft.created_at = at;
        draft.resent = Some(resent());
        draft
    };
    let claims = fixture.store.enqueue(std::slice::from_ref(&draft)).await;
    claims.expect("an answer");
    mark_sent(&*fixture.store, draft.id, "ref-1", at).await;
    let later = at + SignedDuration::from_secs(1);
    let batch = fixture.plan(later, 1).await.expect("a batch");
    let resent = draft.resent.expect("it is one");
    let record = fixture.records(batch).await.remove(0);
    let expected = Record {
        id: draft.id,
        event_id: draft.event_id.0,
        user_id: user,
        order_id: draft.order_id.map(|id| id.0),
        channel: "email".into(),
        type_key: draft.type_key.into(),
        recipient: draft.recipient.as_str().to_owned(),
        subject: draft.content.subject,
        body: draft.content.body,
        body_text: draft.content.plain,
        status: "sent".into(),
        provider_ref: Some("ref-1".into()),
        error_message: None,
        attempts: 1,
        unknown_outcomes: 0,
        sent_at: Some(at),
        created_at: at,
        updated_at: record.updated_at,
        resend_of: Some(resent.of),
        resent_by: Some(resent.by),
        resend_reason: Some("she lost it".into()),
    };
    assert_eq!(record, expected);
}

/// Exactly the batch.
pub async fn what_was_retired_is_gone_and_nothing_else(fixture: Fixture) {
    let (ids, last) = fixture.many(3).await;
    let batch = fixture.plan(last, 1).await.expect("a batch");
    let records = fixture.records(batch).await;
    assert_eq!(fixture.retire(batch, &records).await, Retired::Deleted(1));
    assert!(!fixture.is_there(ids[0]).await);
    assert!(fixture.is_there(ids[1]).await && fixture.is_there(ids[2]).await);
}

/// What is in the archive is then not what is in the database.
pub async fn a_row_that_changed_keeps_the_whole_batch(fixture: Fixture) {
    let (ids, last) = fixture.many(3).await;
    let batch = fixture.plan(last, 2).await.expect("a batch");
    let stale = fixture.records(batch).await;
    mark_sent(&*fixture.store, ids[0], "ref-2", last).await;
    assert_eq!(fixture.retire(batch, &stale).await, Retired::Changed);
    assert!(fixture.is_there(ids[0]).await && fixture.is_there(ids[1]).await);
    let fresh = fixture.records(batch).await;
    assert_eq!(fresh[0].provider_ref.as_deref(), Some("ref-2"));
    assert_eq!(fixture.retire(batch, &fresh).await, Retired::Deleted(2));
}

/// Whoever comes second deletes nothing.
pub async fn a_batch_is_retired_once(fixture: Fixture) {
    let (_, last) = fixture.many(2).await;
    let batch = fixture.plan(last, 1).await.expect("a batch");
    let records = fixture.records(batch).await;
    assert_eq!(fixture.retire(batch, &records).await, Retired::Deleted(1));
    assert_eq!(fixture.retire(batch, &records).await, Retired::Deleted(0));
    assert_eq!(fixture.records(batch).await, []);
    let unknown = Batch {
        id: ArchiveId::generate(),
        ..batch
    };
    assert_eq!(fixture.retire(unknown, &records).await, Retired::Deleted(0));
}

/// Somebody deleted them by hand, or they wait to be sent again.
pub async fn a_batch_whose_rows_are_gone_is_closed(fixture: Fixture) {
    let (_, last) = fixture.many(2).await;
    let batch = fixture.plan(last, 1).await.expect("a batch");
    let at = SystemClock.now();
    let closed = fixture.retirement.retire(batch, &[], None, at).await;
    assert_eq!(closed.expect("an answer"), Retired::Deleted(0));
    let next = fixture.plan(last, 1).await.expect("a batch");
    assert_ne!(next.id, batch.id);
}

/// And no row is in two.
pub async fn racing_plans_make_one_batch(fixture: Fixture) {
    let (_, last) = fixture.many(5).await;
    let plans = (0..10).map(|_| fixture.plan(last, 2));
    let plans = futures_util::future::join_all(plans).await;
    let first = plans[0].expect("a batch");
    assert!(plans.iter().all(|plan| *plan == Some(first)), "{plans:?}");
}

/// Nobody else's.
pub async fn masking_takes_address_and_words_of_these_users_only(fixture: Fixture) {
    let (at, gone, other) = (SystemClock.now(), UserId::generate(), UserId::generate());
    let theirs = fixture.sent(gone, at).await;
    let others = fixture.sent(other, at).await;
    let users = [gone, UserId::generate()];
    let count = fixture.retirement.unmasked(&users).await;
    assert_eq!(count.expect("a count"), 1);
    let masked = fixture.retirement.mask(&users, at).await;
    assert_eq!(masked.expect("a count"), 1);
    let again = fixture.retirement.mask(&users, at).await;
    assert_eq!(again.expect("a count"), 0);
    let count = fixture.retirement.unmasked(&users).await;
    assert_eq!(count.expect("a count"), 0);
    let later = at + SignedDuration::from_secs(1);
    let batch = fixture.plan(later, 10).await.expect("a batch");
    let records = fixture.records(batch).await;
    let of = |id| records.iter().find(|one| one.id == id).expect("a record");
    let masked = of(theirs);
    assert_eq!((&*masked.recipient, &*masked.body), (PURGED, ""));
    assert_eq!((&masked.body_text, &masked.error_message), (&None, &None));
    assert_eq!((&*masked.status, masked.user_id), ("sent", gone));
    assert_eq!(masked.resend_reason, None);
    assert_eq!(of(others).recipient, "jane.doe@example.com");
    assert!(of(others).resend_reason.is_some());
}

/// Its claim has its address already; the next run finds it.
pub async fn masking_leaves_alone_what_is_being_sent(fixture: Fixture) {
    let (at, gone) = (SystemClock.now(), UserId::generate());
    let job = fixture.claimed(gone, at).await;
    let masked = fixture.retirement.mask(&[gone], at).await;
    assert_eq!(masked.expect("a count"), 0);
    mark_sent(&*fixture.store, job.id, "ref-1", at).await;
    let masked = fixture.retirement.mask(&[gone], at).await;
    assert_eq!(masked.expect("a count"), 1);
}

/// It has nowhere to go.
pub async fn what_waited_for_a_purged_user_has_failed(fixture: Fixture) {
    let (at, gone) = (SystemClock.now(), UserId::generate());
    let job = fixture.claimed(gone, at).await;
    let released = fixture.store.release(&job, None, "not now").await;
    released.expect("an answer");
    let masked = fixture.retirement.mask(&[gone], at).await;
    assert_eq!(masked.expect("a count"), 1);
    let found = fixture.store.find(job.id).await.expect("an answer");
    let found = found.expect("a notification");
    assert_eq!(found.summary.status, Status::Failed);
    assert_eq!(found.summary.recipient.as_str(), PURGED);
}
