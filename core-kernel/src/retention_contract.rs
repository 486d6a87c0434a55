//! What every log of retention runs promises, one function a promise. Run all of them on an adapter
//! with [`retention_log_contract!`](crate::retention_log_contract).

use std::sync::Arc;

use jiff::SignedDuration;

use crate::{Clock, Outcome, RetentionLog, SystemClock, Tally};

/// Two logs of the same service's runs, as two processes have them.
pub type Fixture = [Arc<dyn RetentionLog>; 2];

/// Makes one `#[tokio::test]` of each promise. `$fixture` is an `async fn() -> Fixture`.
#[macro_export]
macro_rules! retention_log_contract {
    ($fixture:path) => {
        $crate::retention_log_contract!(@tests $fixture,
            a_turn_is_had_by_one_and_then_by_the_next,
            a_run_is_listed_with_what_it_did,
            a_run_that_failed_tells_why,
            a_run_that_never_ended_was_interrupted,
            the_latest_run_comes_first,
        );
    };
    (@tests $fixture:path, $($promise:ident),+ $(,)?) => {$(
        #[tokio::test]
        async fn $promise() {
            $crate::retention_contract::$promise($fixture().await).await;
        }
    )+};
}

const TALLY: Tally = Tally {
    purged: 1,
    masked: 2,
    archived: 3,
    past_term: 4,
};

/// However many ask, one has it.
pub async fn a_turn_is_had_by_one_and_then_by_the_next([one, other]: Fixture) {
    let turn = one.turn().await.expect("an answer").expect("the turn");
    assert!(other.turn().await.expect("an answer").is_none());
    assert!(one.turn().await.expect("an answer").is_none());
    turn.end().await;
    let next = other.turn().await.expect("an answer");
    next.expect("the turn").end().await;
}

/// Round trip.
pub async fn a_run_is_listed_with_what_it_did([log, _]: Fixture) {
    let at = SystemClock.now();
    let id = log.begin("cli:ada", at).await.expect("a number");
    let running = log.list(10).await.expect("a list").remove(0);
    assert_eq!((running.id, running.outcome), (id, Outcome::Running));
    assert_eq!((running.started_at, running.ended_at), (at, None));
    assert_eq!(running.actor, "cli:ada");
    log.note(id, TALLY).await.expect("a note");
    let noted = log.list(10).await.expect("a list").remove(0);
    assert_eq!((noted.outcome, noted.tally), (Outcome::Running, TALLY));
    let end = at + SignedDuration::from_secs(5);
    log.finish(id, end, TALLY, None).await.expect("an end");
    let done = log.list(10).await.expect("a list").remove(0);
    assert_eq!((done.outcome, done.ended_at), (Outcome::Done, Some(end)));
    assert_eq!((done.tally, done.error), (TALLY, None));
}

/// With its reason, cut to what a table holds.
pub async fn a_run_that_failed_tells_why([log, _]: Fixture) {
    let at = SystemClock.now();
    let id = log.begin("retention", at).await.expect("a number");
    let why = "the disk is full ".repeat(100);
    let failed = log.finish(id, at, Tally::default(), Some(&why)).await;
    failed.expect("an end");
    let run = log.list(1).await.expect("a list").remove(0);
    assert_eq!(run.outcome, Outcome::Failed);
    let told = run.error.expect("a reason");
    assert!(why.starts_with(&told) && told.len() == 1000, "{told}");
}

/// Its process died; the next one finds that out.
pub async fn a_run_that_never_ended_was_interrupted([log, other]: Fixture) {
    let at = SystemClock.now();
    let dead = log.begin("cli:ada", at).await.expect("a number");
    log.note(dead, TALLY).await.expect("a note");
    other.begin("cli:bob", at).await.expect("a number");
    let runs = log.list(10).await.expect("a list");
    let outcomes: Vec<_> = runs.iter().map(|run| run.outcome).collect();
    assert_eq!(outcomes, [Outcome::Running, Outcome::Interrupted]);
    assert_eq!((runs[1].id, runs[1].tally), (dead, TALLY));
}

/// And no more than asked for.
pub async fn the_latest_run_comes_first([log, _]: Fixture) {
    let at = SystemClock.now();
    let mut ids = Vec::new();
    for _ in 0..3 {
        let id = log.begin("retention", at).await.expect("a number");
        log.finish(id, at, Tally::default(), None)
            .await
            .expect("an end");
        ids.insert(0, id);
    }
    let listed = log.list(2).await.expect("a list");
    let listed: Vec<_> = listed.iter().map(|run| run.id).collect();
    assert_eq!(listed, ids[..2]);
}
