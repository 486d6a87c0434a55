//! Cold storage for notifications that left the database: a folder (`file:///…`) or a bucket
//! (`s3://bucket/prefix`), gzip, with SHA-256 seals.

mod http;
mod pack;

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use core_kernel::BoxError;
use core_notify::{Archive, ArchiveError, Seal};
use object_store::aws::AmazonS3Builder;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{ObjectStore, ObjectStoreExt, RetryConfig};
use url::Url;

use http::Connector;
use pack::{pack, unpack};

/// How long a bucket that is away is asked again. The next run asks it anew.
const RETRY_FOR: Duration = Duration::from_secs(20);

/// A URL that names no cold storage of ours.
#[derive(Debug, thiserror::Error)]
#[error("must be file:///folder or s3://bucket/prefix")]
pub struct ArchiveUrlError;

/// Where an archive is, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArchiveUrl(Url);

impl FromStr for ArchiveUrl {
    type Err = ArchiveUrlError;

    fn from_str(text: &str) -> Result<Self, ArchiveUrlError> {
        let url = Url::parse(text).map_err(|_| ArchiveUrlError)?;
        let host = url.host_str().unwrap_or_default();
        let good = match url.scheme() {
            "file" => host.is_empty() && url.to_file_path().is_ok(),
            "s3" => !host.is_empty(),
            _ => false,
        };
        match good {
            true => Ok(Self(url)),
            false => Err(ArchiveUrlError),
        }
    }
}

impl ArchiveUrl {
    /// A folder of this machine.
    ///
    /// # Errors
    /// When the path is not absolute.
    pub fn folder(path: &std::path::Path) -> Result<Self, ArchiveUrlError> {
        let url = Url::from_directory_path(path).map_err(|()| ArchiveUrlError)?;
        Ok(Self(url))
    }
}

/// An [`Archive`] in a folder or a bucket.
#[derive(Clone, Debug)]
pub struct ObjectArchive(Arc<dyn ObjectStore>);

impl ObjectArchive {
    /// The storage at this URL. A folder is made if need be. For a bucket, region, credentials and
    /// endpoint come from the standard `AWS_*` variables, or from the machine's role.
    ///
    /// # Errors
    /// When it cannot be opened; a bucket is first asked when it is used.
    pub fn open(url: &ArchiveUrl) -> Result<Self, ArchiveError> {
        let opened = match url.0.scheme() {
            "s3" => bucket(&url.0),
            _ => folder(&url.0),
        };
        opened.map(Self).map_err(ArchiveError)
    }

    async fn put(&self, name: &str, object: Vec<u8>) -> Result<(), BoxError> {
        self.0.put(&Path::parse(name)?, object.into()).await?;
        Ok(())
    }

    /// An object, or `None` when there is none.
    async fn get(&self, name: &str) -> Result<Option<Bytes>, BoxError> {
        match self.0.get(&Path::parse(name)?).await {
            Ok(found) => Ok(Some(found.bytes().await?)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

/// What is put there is on the disk before it is told: the rows are deleted next.
fn folder(url: &Url) -> Result<Arc<dyn ObjectStore>, BoxError> {
    let path = url.to_file_path().map_err(|()| ArchiveUrlError)?;
    std::fs::create_dir_all(&path)?;
    let store = LocalFileSystem::new_with_prefix(path)?.with_fsync(true);
    Ok(Arc::new(store))
}

fn bucket(url: &Url) -> Result<Arc<dyn ObjectStore>, BoxError> {
    let store = AmazonS3Builder::from_env()
        .with_bucket_name(url.host_str().unwrap_or_default())
        // Only an endpoint that says http is called without TLS.
        .with_allow_http(true)
        .with_http_connector(Connector)
        .with_retry(RetryConfig {
            max_retries: 3,
            retry_timeout: RETRY_FOR,
            ..RetryConfig::default()
        })
        .build()?;
    let prefix = Path::parse(url.path().trim_matches('/'))?;
    Ok(Arc::new(PrefixStore::new(store, prefix)))
}

#[async_trait]
impl Archive for ObjectArchive {
    async fn store(&self, stem: &str, lines: Vec<u8>) -> Result<Seal, ArchiveError> {
        let packed = blocking(move || pack(&lines)).await?;
        let object = format!("{stem}-{}.ndjson.gz", &packed.content_sha256[..16]);
        let seal = packed.seal(object);
        let put = self.put(&seal.object, packed.bytes).await;
        put.map_err(ArchiveError)?;
        Ok(seal)
    }

    async fn inspect(&self, object: &str) -> Result<Seal, ArchiveError> {
        let found = self.get(object).await.map_err(ArchiveError)?;
        let bytes = found.ok_or_else(|| ArchiveError("it is not there".into()))?;
        let name = object.to_owned();
        blocking(move || unpack(name, &bytes)).await
    }

    async fn put_manifest(&self, name: &str, manifest: &str) -> Result<(), ArchiveError> {
        let put = self.put(name, manifest.as_bytes().to_vec()).await;
        put.map_err(ArchiveError)
    }

    async fn manifest(&self, name: &str) -> Result<Option<String>, ArchiveError> {
        let found = self.get(name).await.map_err(ArchiveError)?;
        let text = found.map(|bytes| String::from_utf8(bytes.into()));
        text.transpose().map_err(|error| ArchiveError(error.into()))
    }
}

/// Compressing takes a while; requests are not to wait for it.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> Result<T, ArchiveError> {
    let done = tokio::task::spawn_blocking(work).await;
    let done = done.map_err(|error| ArchiveError(error.into()))?;
    done.map_err(|error| ArchiveError(error.into()))
}
