//! The envelope that every event travels in (PRD §5.1, §5.2).

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{EventId, wire_time};

/// An event with its payload.
///
/// Shape: `{"event_id","event_type":"OrderCreated","timestamp","version":"1.0","payload":{…}}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Envelope<P> {
    /// The same for one event, however often it is published.
    pub event_id: EventId,
    /// What happened, `OrderCreated`.
    pub event_type: String,
    /// When it happened.
    #[serde(with = "wire_time")]
    #[cfg_attr(feature = "schema", schema(schema_with = wire_time::schema))]
    pub timestamp: Timestamp,
    /// The version of the schema: `major.minor`.
    pub version: String,
    /// What is known of it.
    pub payload: P,
}

impl<P> Envelope<P> {
    /// The version that this code writes. A reader takes every `1.x`.
    pub const VERSION: &str = "1.0";

    /// Whether this code can read the schema: its major version is ours.
    #[must_use]
    pub fn is_readable(&self) -> bool {
        self.version.split('.').next() == Some("1")
    }
}
