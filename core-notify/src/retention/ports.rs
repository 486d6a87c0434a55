//! What retention of notifications needs from outside, and what it hands on.

use async_trait::async_trait;
use core_kernel::{ArchiveId, BoxError, NotificationId, UserId};
use jiff::Timestamp;
use serde::Serialize;
use uuid::Uuid;

use crate::ports::{ReadError, StoreError};

/// What stands in place of the address of a user who was purged.
pub const PURGED: &str = "purged";

/// A notification as it is archived: one line of JSON, every column of the table.
#[derive(Clone, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the columns of the table, by their names")]
pub struct Record {
    pub id: NotificationId,
    pub event_id: Uuid,
    pub user_id: UserId,
    pub order_id: Option<Uuid>,
    pub channel: String,
    #[serde(rename = "type")]
    pub type_key: String,
    pub recipient: String,
    pub subject: Option<String>,
    pub body: String,
    pub body_text: Option<String>,
    pub status: String,
    pub provider_ref: Option<String>,
    pub error_message: Option<String>,
    pub attempts: i64,
    pub unknown_outcomes: i64,
    pub sent_at: Option<Timestamp>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub resend_of: Option<NotificationId>,
    pub resent_by: Option<String>,
    pub resend_reason: Option<String>,
}

impl std::fmt::Debug for Record {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Record({}, ***)", self.id)
    }
}

/// Notifications that are archived together. Which they are is fixed once and for all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Its id.
    pub id: ArchiveId,
    /// When it was written down.
    pub planned_at: Timestamp,
}

/// What tells whether an object is what was stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seal {
    /// The object's name.
    pub object: String,
    /// SHA-256 of the object as it is stored, 64 hex digits.
    pub sha256: String,
    /// Its size in bytes.
    pub bytes: u64,
    /// SHA-256 of what it holds, 64 hex digits.
    pub content_sha256: String,
    /// How many lines it holds.
    pub rows: u64,
}

/// What a reader of the archive goes by: an object counts only if a manifest names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Manifest {
    /// `shopflow-notifications/1`.
    pub format: &'static str,
    /// The batch.
    pub id: ArchiveId,
    /// When the batch was made.
    pub planned_at: Timestamp,
    /// The object with the rows: NDJSON, gzip.
    pub object: String,
    /// SHA-256 of the object, 64 hex digits.
    pub sha256: String,
    /// Size of the object in bytes.
    pub bytes: u64,
    /// How many rows it has.
    pub rows: u64,
    /// `created_at` of its oldest row.
    pub from: Timestamp,
    /// `created_at` of its youngest row.
    pub to: Timestamp,
}

/// What became of a batch that was to be deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retired {
    /// Its rows are deleted: so many.
    Deleted(u64),
    /// A row has changed since it was read. Nothing is deleted.
    Changed,
}

/// Lets go of notifications.
#[async_trait]
pub trait NotificationRetirement: Send + Sync {
    /// How many finished notifications are older than `before`. Those that still wait to be sent
    /// are not finished, and are left alone.
    async fn due(&self, before: Timestamp) -> Result<u64, StoreError>;

    /// The batch that an earlier run did not finish; else a new one of the oldest finished
    /// notifications older than `before`, `limit` at most, written down; else `None`.
    async fn plan(
        &self,
        before: Timestamp,
        limit: u32,
        at: Timestamp,
    ) -> Result<Option<Batch>, StoreError>;

    /// The notifications of a batch that are still there and finished, oldest first.
    async fn records(&self, batch: Batch) -> Result<Vec<Record>, StoreError>;

    /// Deletes exactly these notifications and closes the batch with its manifest, in one
    /// transaction. A batch without rows is closed without a manifest. One that is closed already
    /// stays as it is, and nothing is deleted.
    async fn retire(
        &self,
        batch: Batch,
        records: &[Record],
        manifest: Option<&Manifest>,
        at: Timestamp,
    ) -> Result<Retired, StoreError>;

    /// Takes address and words out of all notifications of these users, but for those that are being
    /// sent this moment; [`PURGED`] stands in place of the address, and what waited to be sent has
    /// failed. How many were not so already.
    async fn mask(&self, users: &[UserId], at: Timestamp) -> Result<u64, StoreError>;

    /// How many `mask` would change.
    async fn unmasked(&self, users: &[UserId]) -> Result<u64, StoreError>;
}

/// The cold storage did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[error("the cold storage failed")]
pub struct ArchiveError(#[source] pub BoxError);

/// Keeps objects for good.
#[async_trait]
pub trait Archive: Send + Sync {
    /// Stores lines, compressed, durably and whole or not at all. The object's name begins with
    /// `stem` and follows from the lines: other lines never take the place of these.
    async fn store(&self, stem: &str, lines: Vec<u8>) -> Result<Seal, ArchiveError>;

    /// Reads an object back, all of it.
    ///
    /// # Errors
    /// When it is not there, or cannot be read to its end.
    async fn inspect(&self, object: &str) -> Result<Seal, ArchiveError>;

    /// Stores a manifest under exactly this name, in place of an earlier one.
    async fn put_manifest(&self, name: &str, manifest: &str) -> Result<(), ArchiveError>;

    /// The manifest of this name, or `None`.
    async fn manifest(&self, name: &str) -> Result<Option<String>, ArchiveError>;
}

/// Some of the users who were purged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PurgedPage {
    /// Who.
    pub users: Vec<UserId>,
    /// Where the next page begins; `None` after the last.
    pub next: Option<i64>,
}

/// Tells which users were purged, ever. Being told so is the only reason to mask: a neighbour that
/// knows nobody may just be the wrong one.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait PurgedUsers: Send + Sync {
    /// Up to `limit` of them after this position (0: from the first).
    async fn purged(&self, after: i64, limit: u32) -> Result<PurgedPage, ReadError>;
}
