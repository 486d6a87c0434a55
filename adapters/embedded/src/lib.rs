//! Every ShopFlow port on one SQLite file, without a server: stores, outbox, a durable event bus,
//! and an inbox that captures mails and texts. For `shopflow dev`, for tests, and for programs that
//! embed the cores on one machine.
//!
//! [`Database::open`] keeps everything in a file, [`Database::in_memory`] in memory; the rest hangs
//! off the [`Database`]. One connection writes and several read (WAL), so readers never wait for a
//! writer. A commit is on disk before it is told (`synchronous = FULL`).

mod bus;
mod database;
mod error;
mod inbox;
mod notifications;
mod one_time;
mod orders;
mod outbox;
mod overview;
mod retention;
mod sessions;
mod users;
mod value;

pub use bus::{BusConsumer, SqliteBus};
pub use database::{Connections, Database, OpenError};
pub use inbox::{InboxEmailSender, InboxSmsSender, SqliteInbox};
pub use notifications::SqliteNotificationStore;
pub use one_time::SqliteOneTimeStore;
pub use orders::SqliteOrderStore;
pub use outbox::SqliteOutbox;
pub use overview::Counts;
pub use retention::SqliteRetentionLog;
pub use sessions::SqliteSessionStore;
pub use users::SqliteUserStore;
