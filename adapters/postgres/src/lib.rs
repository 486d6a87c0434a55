//! The ShopFlow stores and the outbox on PostgreSQL (15 or later; 16 is what the PRD names).
//!
//! SQL stands in constants with listed columns, and runs as cached prepared statements. What must
//! hold together is one statement wherever SQL allows it, so that it costs one round trip.

mod auth;
mod by_id;
mod dead_letters;
mod error;
mod migrate;
mod notify;
mod one_time;
mod orders;
mod outbox;
mod pool;
mod retention;
mod revocations;
mod sessions;
mod together;
mod warm;

pub use auth::PgUserStore;
pub use dead_letters::PgDeadLetterLog;
pub use migrate::{Drift, MigrateError, Schema, drift, migrate, schemas};
pub use notify::PgNotificationStore;
pub use one_time::PgOneTimeStore;
pub use orders::PgOrderStore;
pub use outbox::PgOutbox;
pub use pool::{UrlError, check_url, clock, ping, pool};
pub use retention::PgRetentionLog;
pub use revocations::listen;
pub use sessions::PgSessionStore;
