//! The folder in which `shopflow dev` keeps everything.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};
use secrecy::SecretString;

use super::people::random_text;
use crate::config::read_secret;

const DATABASE: &str = "shopflow.db";
const SECRET: &str = "jwt-secret";
const LOCK: &str = "lock";

/// Everything that it may hold. Nothing else is ever deleted.
const FILES: [&str; 7] = [
    DATABASE,
    "shopflow.db-wal",
    "shopflow.db-shm",
    "shopflow.db-retention",
    SECRET,
    "dev.json",
    "dev.json.new",
];

/// A folder that this process has for itself. The system lets go of the lock when the process ends,
/// however it ends.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    _lock: File,
}

impl Folder {
    /// Makes the folder if need be, and locks it.
    ///
    /// # Errors
    /// When it cannot be written, or another process has it.
    pub(crate) fn open(path: &Path) -> anyhow::Result<Self> {
        let shown = path.display();
        // For the owner alone: it has passwords, addresses and mails in it.
        let made = std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path);
        made.with_context(|| format!("cannot make the folder {shown}"))?;
        let lock = private()
            .open(path.join(LOCK))
            .with_context(|| format!("cannot write to the folder {shown}"))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => bail!(
                "another shopflow dev runs on {shown}; stop it, or use another folder (--data-dir)"
            ),
            Err(TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("cannot lock the folder {shown}"));
            }
        }
        Ok(Self {
            path: path.to_owned(),
            _lock: lock,
        })
    }

    /// Whether another process has a folder for itself. Nothing is made or written.
    pub(crate) fn is_taken(path: &Path) -> bool {
        let lock = File::open(path.join(LOCK));
        lock.is_ok_and(|lock| matches!(lock.try_lock(), Err(TryLockError::WouldBlock)))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The database's file.
    pub(crate) fn database(&self) -> PathBuf {
        self.path.join(DATABASE)
    }

    /// The database's file in a folder that another process may be running on.
    ///
    /// # Errors
    /// When there is none.
    pub(crate) fn database_in(path: &Path) -> anyhow::Result<PathBuf> {
        let file = path.join(DATABASE);
        match file.is_file() {
            true => Ok(file),
            false => Err(anyhow!(
                "{} is no folder of shopflow dev: it has no {DATABASE}",
                path.display()
            )),
        }
    }

    /// The file with the secret that signs tokens.
    pub(crate) fn secret_in(path: &Path) -> PathBuf {
        path.join(SECRET)
    }

    /// Whether it holds nothing of ours.
    pub(crate) fn is_empty(&self) -> bool {
        FILES.iter().all(|name| !self.path.join(name).exists())
    }

    /// Deletes what it holds of ours.
    ///
    /// # Errors
    /// When a file cannot be deleted.
    pub(crate) fn clear(&self) -> anyhow::Result<()> {
        for name in FILES {
            let file = self.path.join(name);
            if file.exists() {
                std::fs::remove_file(&file)
                    .with_context(|| format!("cannot delete {}", file.display()))?;
            }
        }
        Ok(())
    }

    /// The secret that signs tokens; made at the first start.
    ///
    /// # Errors
    /// When it cannot be read or written.
    pub(crate) fn jwt_secret(&self) -> anyhow::Result<SecretString> {
        let file = Self::secret_in(&self.path);
        if !file.exists() {
            self.write(SECRET, &random_text()?)?;
        }
        read_secret(&file.display().to_string()).map_err(|problem| anyhow!(problem))
    }

    /// What a file of the folder holds, if it is there.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(crate) fn read(&self, name: &str) -> anyhow::Result<Option<String>> {
        let file = self.path.join(name);
        match std::fs::read_to_string(&file) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("cannot read {}", file.display())),
        }
    }

    /// Writes a file, whole or not at all, for the owner alone.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn write(&self, name: &str, text: &str) -> anyhow::Result<()> {
        let (file, new) = (self.path.join(name), self.path.join(format!("{name}.tmp")));
        let write = || {
            let mut handle = private().truncate(true).open(&new)?;
            handle.write_all(text.as_bytes())?;
            handle.sync_all()?;
            std::fs::rename(&new, &file)
        };
        write().with_context(|| format!("cannot write {}", file.display()))
    }

    /// Deletes a file that may be there.
    pub(crate) fn remove(&self, name: &str) {
        // What stays behind is deleted by the next start.
        let _ = std::fs::remove_file(self.path.join(name));
    }
}

fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).create(true).mode(0o600);
    options
}
