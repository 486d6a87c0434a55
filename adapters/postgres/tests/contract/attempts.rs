//! Claims that ended by themselves.

use core_kernel::{EventId, UserId};
use core_notify::testing::draft;
use core_notify::{AttemptOutcome, Channel, Claim, Draft, Job, NotificationStore};
use shopflow_postgres::{PgNotificationStore, Schema};
use sqlx::PgPool;

use super::database;

/// Makes the claim of everything end now, as it does 15 s after a crash.
async fn lapse(pool: &PgPool) {
    let lapsed = "UPDATE notifications SET lease_until = now() - interval '1 second'";
    sqlx::query(lapsed).execute(pool).await.unwrap();
}

fn claimed(claims: Vec<Claim>) -> Job {
    match claims.into_iter().next() {
        Some(Claim::Send(job)) => job,
        other => panic!("not claimed: {other:?}"),
    }
}

/// A notification whose sender died.
async fn abandoned(pool: &PgPool) -> (PgNotificationStore, Draft, Job) {
    let store = PgNotificationStore::new(pool.clone());
    let draft = draft(EventId::generate(), UserId::generate(), Channel::Email);
    let drafts = std::slice::from_ref(&draft);
    let job = claimed(store.enqueue(drafts).await.unwrap());
    lapse(pool).await;
    (store, draft, job)
}

#[tokio::test]
async fn a_claim_that_ended_by_itself_is_a_lost_attempt() {
    let pool = database(Schema::Notify).await;
    for enqueue in [true, false] {
        let (store, draft, first) = abandoned(&pool).await;
        let claims = match enqueue {
            true => store.enqueue(std::slice::from_ref(&draft)).await,
            false => store.reclaim(draft.event_id, false).await,
        };
        let second = claimed(claims.unwrap());
        assert!(second.maybe_sent && second.claim == first.claim + 1);
        let told = store.attempts(first.id).await.unwrap();
        assert_eq!(told.len(), 1, "{told:?}");
        assert_eq!((told[0].number, told[0].ended_at), (first.claim, None));
        assert_eq!(told[0].outcome, AttemptOutcome::Lost);
    }
}
