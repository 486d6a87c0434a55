//! What every cold storage promises, one function a promise. Run all of them on an adapter with
//! [`archive_contract!`](crate::archive_contract).

use std::sync::Arc;

use crate::retention::Archive;

/// The storage under test, empty.
pub type Fixture = Arc<dyn Archive>;

/// Makes one `#[tokio::test]` of each promise. `$fixture` is an `async fn() -> Fixture`.
#[macro_export]
macro_rules! archive_contract {
    ($fixture:path) => {
        $crate::archive_contract!(@tests $fixture,
            what_is_stored_is_read_back_with_the_same_seal,
            the_same_lines_are_the_same_object,
            other_lines_are_another_object,
            an_object_that_is_not_there_cannot_be_read,
            the_last_manifest_counts,
        );
    };
    (@tests $fixture:path, $($promise:ident),+ $(,)?) => {$(
        #[tokio::test]
        async fn $promise() {
            $crate::testing::archive::$promise($fixture().await).await;
        }
    )+};
}

const STEM: &str = "notifications/2026/02/b2c3d4e5";

/// Round trip.
pub async fn what_is_stored_is_read_back_with_the_same_seal(archive: Fixture) {
    let lines = "{\"id\":1}\n".repeat(1000).into_bytes();
    let length = lines.len() as u64;
    let seal = archive.store(STEM, lines).await.expect("a seal");
    assert!(seal.object.starts_with(STEM), "{seal:?}");
    assert!(seal.bytes < length / 2, "{seal:?}");
    assert_eq!((seal.rows, seal.sha256.len()), (1000, 64));
    assert_eq!(archive.inspect(&seal.object).await.expect("a seal"), seal);
}

/// So that a run that died can be done again.
pub async fn the_same_lines_are_the_same_object(archive: Fixture) {
    let first = archive.store(STEM, b"1\n".to_vec()).await.expect("a seal");
    let second = archive.store(STEM, b"1\n".to_vec()).await.expect("a seal");
    assert_eq!(first, second);
}

/// So that a manifest that stands stays true.
pub async fn other_lines_are_another_object(archive: Fixture) {
    let first = archive.store(STEM, b"1\n".to_vec()).await.expect("a seal");
    let second = archive.store(STEM, b"2\n".to_vec()).await.expect("a seal");
    assert_ne!(first.object, second.object);
    assert_eq!(archive.inspect(&first.object).await.expect("a seal"), first);
}

/// Absence is a failure: what was stored has to be there.
pub async fn an_object_that_is_not_there_cannot_be_read(archive: Fixture) {
    assert!(archive.inspect("notifications/none").await.is_err());
}

/// Under the name it was given.
pub async fn the_last_manifest_counts(archive: Fixture) {
    let name = format!("{STEM}.json");
    assert_eq!(archive.manifest(&name).await.expect("an answer"), None);
    for text in ["{\"rows\":1}", "{\"rows\":2}"] {
        archive.put_manifest(&name, text).await.expect("a put");
        let read = archive.manifest(&name).await.expect("an answer");
        assert_eq!(read.as_deref(), Some(text));
    }
}
