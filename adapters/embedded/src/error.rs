//! What sqlx reports, in the terms of the ports.

use core_kernel::BoxError;

/// A stored row that breaks an invariant.
#[derive(Debug, thiserror::Error)]
#[error("{table} row {id} cannot be read: {what}")]
pub(crate) struct Inconsistent {
    pub(crate) table: &'static str,
    pub(crate) id: String,
    pub(crate) what: &'static str,
}

impl Inconsistent {
    pub(crate) fn boxed(
        table: &'static str,
        id: impl std::fmt::Display,
        what: &'static str,
    ) -> BoxError {
        let id = id.to_string();
        Box::new(Self { table, id, what })
    }
}

/// SQLite's result codes (<https://www.sqlite.org/rescode.html>) that may pass: busy, locked, out
/// of memory, a failing or full disk, a file that cannot be opened.
const PASSING: [i32; 6] = [5, 6, 7, 10, 13, 14];

/// Whether the database may do tomorrow what it did not do now.
pub(crate) fn is_unavailable(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => true,
        sqlx::Error::Database(error) => error
            .code()
            .and_then(|code| code.parse::<i32>().ok())
            // The low byte is the primary code, the rest tells more.
            .is_some_and(|code| PASSING.contains(&(code & 0xff))),
        _ => false,
    }
}

/// Whether a row broke this unique constraint, named as SQLite does: `users.email`.
pub(crate) fn broke_unique(error: &sqlx::Error, columns: &str) -> bool {
    error.as_database_error().is_some_and(|error| {
        error.is_unique_violation() && error.message().ends_with(&format!(": {columns}"))
    })
}

macro_rules! store_error {
    ($name:ident, $error:path) => {
        /// The port's error for what sqlx reports.
        pub(crate) fn $name(error: sqlx::Error) -> $error {
            use $error as E;
            if is_unavailable(&error) {
                E::Unavailable(BoxError::from(error))
            } else {
                E::Broken(BoxError::from(error))
            }
        }
    };
}

store_error!(order_error, core_orders::StoreError);
store_error!(auth_error, core_auth::StoreError);
store_error!(notify_error, core_notify::StoreError);
