//! Retention of notifications (PRD §10.6): a year in the database, then cold storage; and what was
//! said to a user whose account is gone is taken out.
//!
//! A batch is written down before anything is archived, and deleted only after all of it was read
//! back and its manifest stands. Whatever dies on the way, the next run goes on with the same batch:
//! its objects are written again under names that follow from the batch and from what is in them, so
//! its manifest, which is what counts for readers, never names a row that another manifest names.

mod ports;

use std::sync::Arc;

use async_trait::async_trait;
use core_kernel::{Progress, Retained, RetentionError, RunBy, Tally, UserId, years_before};
use jiff::{Timestamp, tz::TimeZone};

#[cfg(feature = "testing")]
pub use ports::MockPurgedUsers;
pub use ports::{
    Archive, ArchiveError, Batch, Manifest, NotificationRetirement, PURGED, PurgedPage,
    PurgedUsers, Record, Retired, Seal,
};

/// How long a notification stays in the database.
const KEPT_YEARS: i64 = 1;

/// Purged users asked for together.
const USERS: u32 = 500;

/// How often a batch is archived anew because somebody changed a row of it meanwhile.
const MAX_RACES: usize = 4;

/// The notifications under PRD §10.6.
#[derive(Clone)]
pub struct NotificationRetention {
    /// The notifications.
    pub store: Arc<dyn NotificationRetirement>,
    /// Where they go; without it a run fails once something is due.
    pub archive: Option<Arc<dyn Archive>>,
    /// Who was purged; without it nobody is masked.
    pub purged: Option<Arc<dyn PurgedUsers>>,
    /// How many are archived together, usually [`Self::BATCH`].
    pub batch: u32,
}

impl NotificationRetention {
    /// What was written down since then is in the database for certain; what came before may be in
    /// cold storage.
    #[must_use]
    pub fn kept_since(now: Timestamp) -> Timestamp {
        years_before(now, KEPT_YEARS)
    }
}

#[async_trait]
impl Retained for NotificationRetention {
    async fn due(&self, now: Timestamp) -> Result<Tally, RetentionError> {
        let archived = self.store.due(Self::kept_since(now)).await;
        let mut tally = Tally {
            archived: archived.map_err(RetentionError::of("counting notifications"))?,
            ..Tally::default()
        };
        let mut next = Some(0);
        while let Some(page) = self.page(&mut next).await? {
            let unmasked = self.store.unmasked(&page).await;
            tally.masked += unmasked.map_err(RetentionError::of("counting notifications"))?;
        }
        Ok(tally)
    }

    /// Masks before it archives, so that no address goes to cold storage that need not.
    async fn run(
        &self,
        now: Timestamp,
        _: &RunBy,
        progress: &dyn Progress,
    ) -> Result<(), RetentionError> {
        let mut next = Some(0);
        while let Some(page) = self.page(&mut next).await? {
            let masked = self.store.mask(&page, now).await;
            let tally = Tally {
                masked: masked.map_err(RetentionError::of("masking notifications"))?,
                ..Tally::default()
            };
            progress.made(tally).await?;
        }
        while let Some(archived) = self.archive_batch(now).await? {
            let tally = Tally {
                archived,
                ..Tally::default()
            };
            progress.made(tally).await?;
        }
        Ok(())
    }
}

impl NotificationRetention {
    /// Notifications archived together; with their bodies they fit into some tens of MiB.
    pub const BATCH: u32 = 2_000;

    /// The next page of purged users; `None` after the last.
    async fn page(&self, next: &mut Option<i64>) -> Result<Option<Vec<UserId>>, RetentionError> {
        let (Some(purged), Some(after)) = (&self.purged, *next) else {
            return Ok(None);
        };
        let page = purged.purged(after, USERS).await;
        let page = page.map_err(RetentionError::of("asking who was purged"))?;
        // A neighbour that never comes to an end is not asked for ever.
        *next = page.next.filter(|next| *next > after);
        Ok(Some(page.users))
    }

    /// Archives and deletes one batch; how many it had, or `None` when nothing is due.
    async fn archive_batch(&self, now: Timestamp) -> Result<Option<u64>, RetentionError> {
        let before = Self::kept_since(now);
        let Some(archive) = &self.archive else {
            let due = self.store.due(before).await;
            return match due.map_err(RetentionError::of("counting notifications"))? {
                0 => Ok(None),
                _ => Err(RetentionError {
                    doing: "archiving notifications",
                    source: "there is no cold storage (RETENTION_ARCHIVE_URL)".into(),
                }),
            };
        };
        let planned = self.store.plan(before, self.batch, now).await;
        let Some(batch) = planned.map_err(RetentionError::of("planning a batch"))? else {
            return Ok(None);
        };
        for _ in 0..MAX_RACES {
            let records = self.store.records(batch).await;
            let records = records.map_err(RetentionError::of("reading a batch"))?;
            let manifest = match records.is_empty() {
                true => None,
                false => Some(archived(&**archive, batch, &records).await?),
            };
            let retired = self
                .store
                .retire(batch, &records, manifest.as_ref(), now)
                .await;
            match retired.map_err(RetentionError::of("deleting what was archived"))? {
                Retired::Deleted(rows) => return Ok(Some(rows)),
                Retired::Changed => {}
            }
        }
        Err(RetentionError {
            doing: "archiving notifications",
            source: "its rows change all the time".into(),
        })
    }
}

/// Stores a batch and its manifest, and makes sure of both.
async fn archived(
    archive: &dyn Archive,
    batch: Batch,
    records: &[Record],
) -> Result<Manifest, RetentionError> {
    let broken = |what: &'static str| RetentionError {
        doing: "verifying the archive",
        source: what.into(),
    };
    let (lines, from, to) = lines(records)?;
    let stem = stem(batch);
    let stored = archive.store(&stem, lines).await;
    let seal = stored.map_err(RetentionError::of("storing the archive"))?;
    let read = archive.inspect(&seal.object).await;
    let read = read.map_err(RetentionError::of("reading the archive back"))?;
    if read != seal || seal.rows != records.len() as u64 {
        return Err(broken("what is stored is not what was given"));
    }
    let manifest = Manifest {
        format: "shopflow-notifications/1",
        id: batch.id,
        planned_at: batch.planned_at,
        object: seal.object,
        sha256: seal.sha256,
        bytes: seal.bytes,
        rows: seal.rows,
        from,
        to,
    };
    let text = serde_json::to_string(&manifest);
    let text = text.map_err(RetentionError::of("writing the manifest"))?;
    let name = format!("{stem}.json");
    let put = archive.put_manifest(&name, &text).await;
    put.map_err(RetentionError::of("storing the manifest"))?;
    let read = archive.manifest(&name).await;
    let read = read.map_err(RetentionError::of("reading the manifest back"))?;
    match read == Some(text) {
        true => Ok(manifest),
        false => Err(broken("the manifest is not what was given")),
    }
}

/// One line of JSON a record, and the times of the oldest and the youngest.
fn lines(records: &[Record]) -> Result<(Vec<u8>, Timestamp, Timestamp), RetentionError> {
    let (mut lines, mut from, mut to) = (Vec::new(), Timestamp::MAX, Timestamp::MIN);
    for record in records {
        let written = serde_json::to_writer(&mut lines, record);
        written.map_err(RetentionError::of("writing a notification as JSON"))?;
        lines.push(b'\n');
        from = from.min(record.created_at);
        to = to.max(record.created_at);
    }
    Ok((lines, from, to))
}

/// What the names of a batch's objects begin with, `notifications/2026/02/<id>`: the month in which
/// it was made, so that a storage's own rules can let go of whole months.
fn stem(batch: Batch) -> String {
    let day = batch.planned_at.to_zoned(TimeZone::UTC);
    let (year, month) = (day.year(), day.month());
    format!("notifications/{year:04}/{month:02}/{}", batch.id)
}
