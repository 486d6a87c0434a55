//! A run that dies at any step loses nothing and archives nothing twice.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use core_kernel::{
    Clock, EventId, Outcome, RetentionRuns, RunBy, SystemClock, UserId, years_before,
};
use core_notify::testing::{draft, mark_sent};
use core_notify::{Archive, ArchiveError, Channel, NotificationRetention, NotificationStore, Seal};
use jiff::SignedDuration;
use serde_json::Value;
use shopflow_archive::ObjectArchive;
use shopflow_embedded::Database;

/// Two batches.
const OLD: usize = 7;
const BATCH: u32 = 4;

/// A storage that fails at one call, before or after it did what it was asked. For a run that is the
/// same as to die there: it does nothing after it.
struct Dying {
    archive: ObjectArchive,
    calls: AtomicUsize,
    at: usize,
    after: bool,
}

impl Dying {
    async fn call<T>(
        &self,
        work: impl Future<Output = Result<T, ArchiveError>>,
    ) -> Result<T, ArchiveError> {
        let dies = self.calls.fetch_add(1, Ordering::Relaxed) == self.at;
        let died = || ArchiveError("died".into());
        if dies && !self.after {
            return Err(died());
        }
        let done = work.await?;
        if dies { Err(died()) } else { Ok(done) }
    }
}

#[async_trait]
impl Archive for Dying {
    async fn store(&self, stem: &str, lines: Vec<u8>) -> Result<Seal, ArchiveError> {
        self.call(self.archive.store(stem, lines)).await
    }

    async fn inspect(&self, object: &str) -> Result<Seal, ArchiveError> {
        self.call(self.archive.inspect(object)).await
    }

    async fn put_manifest(&self, name: &str, manifest: &str) -> Result<(), ArchiveError> {
        self.call(self.archive.put_manifest(name, manifest)).await
    }

    async fn manifest(&self, name: &str) -> Result<Option<String>, ArchiveError> {
        self.call(self.archive.manifest(name)).await
    }
}

/// How often each notification is named by the manifests of a folder, as a reader counts them.
fn archived(folder: &Path) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for manifest in manifests(folder) {
        let object = folder.join(manifest["object"].as_str().unwrap());
        let mut text = String::new();
        let file = std::fs::File::open(object).unwrap();
        std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(file), &mut text).unwrap();
        assert_eq!(text.lines().count() as u64, manifest["rows"]);
        for line in text.lines() {
            let row: Value = serde_json::from_str(line).unwrap();
            *counts
                .entry(row["id"].as_str().unwrap().to_owned())
                .or_default() += 1;
        }
    }
    counts
}

fn manifests(folder: &Path) -> Vec<Value> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "json") {
                let text = std::fs::read_to_string(path).unwrap();
                found.push(serde_json::from_str(&text).unwrap());
            }
        }
    }
    found
}

/// So many that are older than a year, and one that is not.
async fn filled(database: &Database) -> Vec<String> {
    let store = database.notifications();
    let old = years_before(SystemClock.now(), 1);
    let mut ids = Vec::new();
    let mut drafts = Vec::new();
    for number in 0..=OLD {
        let mut draft = draft(EventId::generate(), UserId::generate(), Channel::Sms);
        let before = i64::try_from(number).unwrap();
        draft.created_at = old - SignedDuration::from_secs(before);
        if number == 0 {
            draft.created_at = SystemClock.now();
        } else {
            ids.push(draft.id.to_string());
        }
        drafts.push(draft);
    }
    store.enqueue(&drafts).await.unwrap();
    for draft in &drafts {
        mark_sent(&store, draft.id, "ref", draft.created_at).await;
    }
    ids.sort();
    ids
}

async fn run(database: &Database, archive: impl Archive + 'static) -> Outcome {
    let data = NotificationRetention {
        store: Arc::new(database.notifications()),
        archive: Some(Arc::new(archive)),
        purged: None,
        batch: BATCH,
    };
    let log = Arc::new(database.retention_log("notify"));
    let runs = RetentionRuns::new(log, Arc::new(data), Arc::new(SystemClock));
    let by = RunBy {
        id: "cli:test".to_owned(),
        role: "operator",
    };
    runs.run(&by).await.unwrap().unwrap().outcome
}

/// Four calls a batch.
const CALLS: usize = 8;

#[tokio::test]
async fn a_run_that_dies_at_any_step_loses_nothing_and_archives_nothing_twice() {
    let database = Database::in_memory().await.unwrap();
    for after in [false, true] {
        for at in 0..CALLS {
            let folder = tempfile::tempdir().unwrap();
            let ids = filled(&database).await;
            let dying = Dying {
                archive: super::in_folder(folder.path()),
                calls: AtomicUsize::new(0),
                at,
                after,
            };
            let step = format!("call {at}, after it: {after}");
            assert_eq!(run(&database, dying).await, Outcome::Failed, "{step}");
            let archive = super::in_folder(folder.path());
            assert_eq!(run(&database, archive).await, Outcome::Done, "{step}");
            let counts = archived(folder.path());
            assert!(counts.values().all(|count| *count == 1), "{step}");
            assert_eq!(counts.into_keys().collect::<Vec<_>>(), ids, "{step}");
            for id in ids {
                let left = database.notifications().find(id.parse().unwrap()).await;
                assert_eq!(left.unwrap(), None, "{step}");
            }
        }
    }
}
