//! Retention of notifications on a scripted storage: what is never deleted, and who is masked.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on says where it stopped"
)]

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use core_kernel::{
    ArchiveId, Clock, NotificationId, Progress, Retained, RetentionError, RunBy, SystemClock,
    Tally, UserId, chain,
};
use core_notify::{
    Archive, ArchiveError, Batch, Manifest, MockPurgedUsers, NotificationRetention,
    NotificationRetirement, PurgedPage, PurgedUsers, ReadError, Record, Retired, Seal, StoreError,
};
use jiff::Timestamp;
use uuid::Uuid;

/// One batch of one row, which may change under our hands.
#[derive(Default)]
struct Store {
    calls: Mutex<Vec<String>>,
    races: Mutex<usize>,
}

impl Store {
    fn called(&self, what: impl Into<String>) {
        self.calls.lock().unwrap().push(what.into());
    }

    fn calls(&self) -> Vec<String> {
        self.calls.lock().unwrap().clone()
    }
}

#[async_trait]
impl NotificationRetirement for Store {
    async fn due(&self, _: Timestamp) -> Result<u64, StoreError> {
        Ok(1)
    }

    async fn plan(
        &self,
        _: Timestamp,
        _: u32,
        planned_at: Timestamp,
    ) -> Result<Option<Batch>, StoreError> {
        let done = self.calls().contains(&"deleted".to_owned());
        let id = ArchiveId::generate();
        Ok((!done).then_some(Batch { id, planned_at }))
    }

    async fn records(&self, _: Batch) -> Result<Vec<Record>, StoreError> {
        let at = SystemClock.now();
        Ok(vec![Record {
            id: NotificationId::generate(),
            event_id: Uuid::nil(),
            user_id: UserId::generate(),
            order_id: None,
            channel: "sms".into(),
            type_key: "order_created".into(),
            recipient: "+15551234567".into(),
            subject: None,
            body: "Your order".into(),
            body_text: None,
            status: "sent".into(),
            provider_ref: None,
            error_message: None,
            attempts: 1,
            unknown_outcomes: 0,
            sent_at: Some(at),
            created_at: at,
            updated_at: at,
            resend_of: None,
            resent_by: None,
            resend_reason: None,
        }])
    }

    async fn retire(
        &self,
        _: Batch,
        _: &[Record],
        _: Option<&Manifest>,
        _: Timestamp,
    ) -> Result<Retired, StoreError> {
        let mut races = self.races.lock().unwrap();
        if *races > 0 {
            *races -= 1;
            self.called("changed");
            return Ok(Retired::Changed);
        }
        self.called("deleted");
        Ok(Retired::Deleted(1))
    }

    async fn mask(&self, users: &[UserId], _: Timestamp) -> Result<u64, StoreError> {
        self.called(format!("masked {}", users.len()));
        Ok(users.len() as u64)
    }

    async fn unmasked(&self, users: &[UserId]) -> Result<u64, StoreError> {
        Ok(users.len() as u64)
    }
}

/// What the storage does wrong.
#[derive(Clone, Copy, Default, PartialEq)]
enum Wrong {
    #[default]
    Nothing,
    /// The object is another one when it is read back.
    Object,
    /// It cannot be read back.
    Unreadable,
    /// Rows are missing from the start, so that both seals agree.
    Rows,
    /// The manifest is gone again.
    Manifest,
}

#[derive(Default)]
struct Storage {
    wrong: Wrong,
    seal: Mutex<Option<Seal>>,
    manifest: Mutex<Option<String>>,
}

#[async_trait]
impl Archive for Storage {
    async fn store(&self, stem: &str, lines: Vec<u8>) -> Result<Seal, ArchiveError> {
        let missing = usize::from(self.wrong == Wrong::Rows);
        let rows = lines.iter().filter(|byte| **byte == b'\n').count() - missing;
        let seal = Seal {
            object: format!("{stem}.ndjson.gz"),
            sha256: "a".repeat(64),
            bytes: lines.len() as u64,
            content_sha256: "b".repeat(64),
            rows: rows as u64,
        };
        *self.seal.lock().unwrap() = Some(seal.clone());
        Ok(seal)
    }

    async fn inspect(&self, _: &str) -> Result<Seal, ArchiveError> {
        let mut seal = self.seal.lock().unwrap().clone().unwrap();
        match self.wrong {
            Wrong::Unreadable => return Err(ArchiveError("corrupt gzip stream".into())),
            Wrong::Object => seal.sha256 = "c".repeat(64),
            Wrong::Nothing | Wrong::Rows | Wrong::Manifest => {}
        }
        Ok(seal)
    }

    async fn put_manifest(&self, _: &str, manifest: &str) -> Result<(), ArchiveError> {
        *self.manifest.lock().unwrap() = Some(manifest.to_owned());
        Ok(())
    }

    async fn manifest(&self, _: &str) -> Result<Option<String>, ArchiveError> {
        let manifest = self.manifest.lock().unwrap().clone();
        Ok(manifest.filter(|_| self.wrong != Wrong::Manifest))
    }
}

#[derive(Default)]
struct Sum(Mutex<Tally>);

#[async_trait]
impl Progress for Sum {
    async fn made(&self, tally: Tally) -> Result<(), RetentionError> {
        let mut sum = self.0.lock().unwrap();
        *sum = sum.and(tally);
        Ok(())
    }
}

async fn run(
    store: &Arc<Store>,
    archive: Option<Storage>,
    purged: Option<MockPurgedUsers>,
) -> (Result<(), RetentionError>, Tally) {
    let data = NotificationRetention {
        store: store.clone(),
        archive: archive.map(|archive| Arc::new(archive) as _),
        purged: purged.map(|purged| Arc::new(purged) as Arc<dyn PurgedUsers>),
        batch: 10,
    };
    let by = RunBy {
        id: "cli:test".to_owned(),
        role: "operator",
    };
    let sum = Sum::default();
    let ran = data.run(SystemClock.now(), &by, &sum).await;
    (ran, sum.0.into_inner().unwrap())
}

#[tokio::test]
async fn what_is_archived_is_deleted_afterwards() {
    let store = Arc::new(Store::default());
    let (ran, tally) = run(&store, Some(Storage::default()), None).await;
    ran.unwrap();
    assert_eq!((tally.archived, store.calls()), (1, vec!["deleted".into()]));
}

#[tokio::test]
async fn a_damaged_archive_is_never_followed_by_a_delete() {
    for wrong in [
        Wrong::Object,
        Wrong::Unreadable,
        Wrong::Rows,
        Wrong::Manifest,
    ] {
        let store = Arc::new(Store::default());
        let storage = Storage {
            wrong,
            ..Storage::default()
        };
        let (ran, tally) = run(&store, Some(storage), None).await;
        assert!(ran.is_err());
        assert_eq!((tally.archived, store.calls()), (0, vec![]));
    }
}

#[tokio::test]
async fn without_a_storage_nothing_is_deleted_and_the_variable_is_named() {
    let store = Arc::new(Store::default());
    let (ran, _) = run(&store, None, None).await;
    let why = chain(&ran.unwrap_err());
    assert!(why.contains("RETENTION_ARCHIVE_URL"), "{why}");
    assert_eq!(store.calls(), Vec::<String>::new());
}

#[tokio::test]
async fn a_batch_that_changed_is_archived_anew() {
    let store = Arc::new(Store::default());
    *store.races.lock().unwrap() = 2;
    let (ran, tally) = run(&store, Some(Storage::default()), None).await;
    ran.unwrap();
    assert_eq!(tally.archived, 1);
    assert_eq!(store.calls(), ["changed", "changed", "deleted"]);
}

#[tokio::test]
async fn purged_users_are_masked_page_by_page_before_anything_is_archived() {
    let store = Arc::new(Store::default());
    let mut purged = MockPurgedUsers::new();
    purged.expect_purged().returning(|after, _| {
        let users = vec![UserId::generate(); 2];
        let next = (after < 20).then_some(after + 10);
        Ok(PurgedPage { users, next })
    });
    let (ran, tally) = run(&store, Some(Storage::default()), Some(purged)).await;
    ran.unwrap();
    assert_eq!(tally.masked, 6);
    let calls = ["masked 2", "masked 2", "masked 2", "deleted"];
    assert_eq!(store.calls(), calls);
}

#[tokio::test]
async fn a_neighbour_that_knows_nobody_masks_nobody() {
    let store = Arc::new(Store::default());
    let mut purged = MockPurgedUsers::new();
    purged
        .expect_purged()
        .returning(|_, _| Err(ReadError::NotFound("the auth service")));
    let (ran, tally) = run(&store, Some(Storage::default()), Some(purged)).await;
    assert!(ran.is_err());
    assert_eq!((tally, store.calls()), (Tally::default(), vec![]));
}
