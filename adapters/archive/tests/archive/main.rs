//! The contract of cold storages in a folder and in a bucket, and a whole run of retention on them
//! that dies at every step.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on says where it stopped"
)]

mod crashes;

use std::sync::Arc;

use core_notify::Archive;
use shopflow_archive::{ArchiveUrl, ObjectArchive};

mod in_a_folder {
    use super::*;

    /// A fresh folder, which goes when the process does.
    async fn fixture() -> core_notify::testing::archive::Fixture {
        let folder = tempfile::tempdir().unwrap().keep();
        Arc::new(in_folder(&folder.join("not/there/yet")))
    }

    core_notify::archive_contract!(fixture);
}

fn in_folder(path: &std::path::Path) -> ObjectArchive {
    ObjectArchive::open(&ArchiveUrl::folder(path).unwrap()).unwrap()
}

#[test]
fn only_a_folder_or_a_bucket_is_an_archive() {
    for good in [
        "file:///var/archive",
        "s3://bucket",
        "s3://bucket/prefix/more",
    ] {
        assert!(good.parse::<ArchiveUrl>().is_ok(), "{good}");
    }
    for bad in [
        "",
        "/var/archive",
        "file://host/var",
        "s3://",
        "http://bucket",
        "gs://bucket",
    ] {
        assert!(bad.parse::<ArchiveUrl>().is_err(), "{bad}");
    }
}

#[tokio::test]
async fn an_object_that_was_damaged_has_another_seal_or_none() {
    let folder = tempfile::tempdir().unwrap();
    let archive = in_folder(folder.path());
    let lines = "{\"id\":1}\n".repeat(100).into_bytes();
    let seal = archive.store("notifications/x", lines).await.unwrap();
    let file = folder.path().join(&seal.object);
    let whole = std::fs::read(&file).unwrap();
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        std::fs::write(&file, bytes).unwrap();
        let read = archive.inspect(&seal.object).await;
        assert!(read.is_err() || read.unwrap() != seal, "byte {at}");
    }
    std::fs::write(&file, &whole[..whole.len() - 1]).unwrap();
    assert!(archive.inspect(&seal.object).await.is_err());
}
