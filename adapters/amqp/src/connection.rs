//! Connecting. A lost connection is not mended but made anew, by whoever needs it: a fresh channel
//! has no stale delivery tags.

use std::time::Duration;

use core_kernel::BoxError;
use lapin::uri::AMQPUri;
use lapin::{Connection, ConnectionProperties};

/// A peer that is silent for two of these is gone.
const HEARTBEAT_SECONDS: u16 = 10;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The largest frame, as RabbitMQ has it by itself. Said at once, since lapin makes two buffers of 32
/// frames each for a connection: grown to this later they are written over and take 8 MiB, made
/// like this they take what passes through them.
const FRAME_MAX: u32 = 128 * 1024;

/// A broker that takes longer to let us in, or to make a queue, is frozen.
const OPEN_TIMEOUT: Duration = Duration::from_secs(10);

/// A text that is no AMQP URL.
#[derive(Debug, thiserror::Error)]
#[error("must be an AMQP URL, such as amqp://user:password@host:5672/%2f")]
pub struct UrlError;

/// Whether a broker can be reached by this URL, in principle.
///
/// # Errors
/// When it is no AMQP URL.
pub fn check_url(url: &str) -> Result<(), UrlError> {
    url.parse::<AMQPUri>().map(drop).map_err(|_| UrlError)
}

/// A connection named `name` in the broker's lists, or why there is none.
pub(crate) async fn connect(url: &str, name: &str) -> lapin::Result<Connection> {
    let mut uri: AMQPUri = url
        .parse()
        .map_err(|error: String| std::io::Error::new(std::io::ErrorKind::InvalidInput, error))?;
    uri.query.heartbeat.get_or_insert(HEARTBEAT_SECONDS);
    uri.query.frame_max.get_or_insert(FRAME_MAX);
    let properties = ConnectionProperties::default().with_connection_name(name.into());
    tokio::time::timeout(CONNECT_TIMEOUT, Connection::connect_uri(uri, properties))
        .await
        .map_err(|late| std::io::Error::new(std::io::ErrorKind::TimedOut, late))?
}

/// What comes of `opening`, or an error where the broker leaves it waiting: a connection lives on
/// heartbeats alone, and would never tell.
pub(crate) async fn answered<T>(
    opening: impl Future<Output = lapin::Result<T>>,
) -> Result<T, BoxError> {
    let opened = tokio::time::timeout(OPEN_TIMEOUT, opening).await;
    Ok(opened.map_err(|_| "the broker does not answer")??)
}
