//! Times on the wire: RFC 3339, UTC, exactly three fraction digits, `2026-02-17T10:30:00.000Z`.
//!
//! For `#[serde(with = "core_kernel::wire_time")]`, and [`option`] for times that may be absent.

use jiff::Timestamp;
use jiff::fmt::temporal::DateTimePrinter;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serializer};

const PRINTER: DateTimePrinter = DateTimePrinter::new().precision(Some(3));

/// The time as text; what lies below a millisecond is cut off.
#[must_use]
pub fn format(at: Timestamp) -> String {
    PRINTER.timestamp_to_string(&at)
}

/// Writes the time as text.
///
/// # Errors
/// Those of the serializer.
pub fn serialize<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&format(*at))
}

/// Reads any RFC 3339 time that names its offset.
///
/// # Errors
/// When the text is no such time.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
    std::borrow::Cow::<str>::deserialize(deserializer)?
        .parse()
        .map_err(D::Error::custom)
}

/// What a time looks like, for documents.
#[cfg(feature = "schema")]
#[must_use]
pub fn schema() -> crate::schema::Object {
    crate::schema::time(utoipa::openapi::schema::Type::String)
}

/// The same for a time that may be absent, which is `null` on the wire.
pub mod option {
    use super::{Deserialize, Deserializer, Serializer, Timestamp};

    /// What it looks like, for documents.
    #[cfg(feature = "schema")]
    #[must_use]
    pub fn schema() -> crate::schema::Object {
        use utoipa::openapi::schema::{SchemaType, Type};
        crate::schema::time(SchemaType::from_iter([Type::String, Type::Null]))
    }

    /// Writes the time as text, or `null`.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(
        at: &Option<Timestamp>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match at {
            Some(at) => super::serialize(at, serializer),
            None => serializer.serialize_none(),
        }
    }

    /// Reads a time or `null`.
    ///
    /// # Errors
    /// When the text is no time.
    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Timestamp>, D::Error> {
        #[derive(Deserialize)]
        struct Wire(#[serde(with = "super")] Timestamp);
        Ok(Option::<Wire>::deserialize(deserializer)?.map(|wire| wire.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_exactly_three_fraction_digits_and_is_cut() {
        for (input, output) in [
            ("2026-02-17T10:30:00Z", "2026-02-17T10:30:00.000Z"),
            ("2026-02-17T10:30:00.1Z", "2026-02-17T10:30:00.100Z"),
            ("2026-02-17T10:30:00.999999Z", "2026-02-17T10:30:00.999Z"),
            ("2026-02-17T12:30:00+02:00", "2026-02-17T10:30:00.000Z"),
        ] {
            assert_eq!(format(input.parse().unwrap()), output);
        }
    }
}
