//! Runs of retention, noted in a database.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use core_kernel::{
    Outcome, Progress, Retained, RetentionError, RetentionLog, RetentionRuns, RunBy, SystemClock,
    Tally,
};
use jiff::{SignedDuration, Timestamp};
use shopflow_embedded::Database;

/// Does one piece of work at each run, and fails after it if told to.
#[derive(Default)]
struct Work {
    runs: AtomicU64,
    fails: bool,
}

#[async_trait]
impl Retained for Work {
    async fn due(&self, _: Timestamp) -> Result<Tally, RetentionError> {
        Ok(Tally::default())
    }

    async fn run(
        &self,
        _: Timestamp,
        _: &RunBy,
        progress: &dyn Progress,
    ) -> Result<(), RetentionError> {
        self.runs.fetch_add(1, Ordering::Relaxed);
        for _ in 0..2 {
            let tally = Tally {
                purged: 2,
                ..Tally::default()
            };
            progress.made(tally).await?;
        }
        match self.fails {
            true => Err(RetentionError::of("purging")("the disk is full")),
            false => Ok(()),
        }
    }
}

fn by() -> RunBy {
    RunBy {
        id: "cli:ada".to_owned(),
        role: "operator",
    }
}

fn runs(database: &Database, work: &Arc<Work>) -> RetentionRuns {
    let log = Arc::new(database.retention_log("auth"));
    RetentionRuns::new(log, work.clone(), Arc::new(SystemClock))
}

#[tokio::test]
async fn a_run_that_fails_is_noted_with_what_it_did_and_why() {
    let database = crate::memory().await;
    let work = Arc::new(Work {
        fails: true,
        ..Work::default()
    });
    let run = runs(&database, &work).run(&by()).await.unwrap().unwrap();
    assert_eq!((run.outcome, run.tally.purged), (Outcome::Failed, 4));
    assert_eq!(
        run.error.as_deref(),
        Some("purging failed: the disk is full")
    );
}

#[tokio::test]
async fn while_one_runs_another_does_nothing() {
    let database = crate::file().await;
    let work = Arc::new(Work::default());
    let turn = database.retention_log("auth").turn().await.unwrap();
    let ran = runs(&database, &work).run(&by()).await.unwrap();
    assert_eq!((ran, work.runs.load(Ordering::Relaxed)), (None, 0));
    drop(turn);
    assert!(runs(&database, &work).run(&by()).await.unwrap().is_some());
}

#[tokio::test]
async fn two_processes_on_one_file_take_turns() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("shopflow.db");
    let one = Database::open(&file).await.unwrap().retention_log("auth");
    let other = Database::open(&file).await.unwrap().retention_log("auth");
    let turn = one.turn().await.unwrap().unwrap();
    assert!(other.turn().await.unwrap().is_none());
    turn.end().await;
    assert!(other.turn().await.unwrap().is_some());
}

#[tokio::test]
async fn a_schedule_runs_once_in_its_time_and_again_after_a_failure() {
    let hour = SignedDuration::from_hours(1);
    for (fails, expected) in [(false, 1), (true, 2)] {
        let database = crate::memory().await;
        let work = Arc::new(Work {
            fails,
            ..Work::default()
        });
        for _ in 0..2 {
            let runs = runs(&database, &work);
            runs.run_every(hour, &by()).await.unwrap();
        }
        assert_eq!(work.runs.load(Ordering::Relaxed), expected);
        runs(&database, &work)
            .run_every(SignedDuration::ZERO, &by())
            .await
            .unwrap();
        assert_eq!(work.runs.load(Ordering::Relaxed), expected + 1);
    }
}
