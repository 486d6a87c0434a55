//! What is sent, described for documents of the API and the events (JSON Schema 2020-12).

use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, SchemaFormat, SchemaType, Type};

pub use utoipa::openapi::schema::Object;

/// A text that is one of these words.
#[must_use]
pub fn words(words: impl IntoIterator<Item = &'static str>) -> Object {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some(words))
        .build()
}

/// A time of this type: a text, or a text or `null`.
pub(crate) fn time(kind: impl Into<SchemaType>) -> Object {
    ObjectBuilder::new()
        .schema_type(kind)
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
        .build()
}
