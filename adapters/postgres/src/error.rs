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

/// Whether the database may do tomorrow what it did not do now.
pub(crate) fn is_unavailable(error: &sqlx::Error) -> bool {
    match error {
        // A protocol error is of a connection that broke off in the middle, not of the statement.
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => true,
        // PostgreSQL, Appendix A: connection exceptions, insufficient resources, operator
        // intervention, serialization failures and deadlocks, read-only after a failover; and a
        // schema that is not there yet, because another instance is still migrating.
        sqlx::Error::Database(error) => error.code().is_some_and(|code| {
            ["08", "53", "57"]
                .iter()
                .any(|class| code.starts_with(class))
                || [
                    "40001", "40P01", "25006", "42P01", "3D000", "28000", "28P01",
                ]
                .contains(&&*code)
        }),
        _ => false,
    }
}

/// The name of the unique constraint that a row broke.
pub(crate) fn broken_unique(error: &sqlx::Error) -> Option<&str> {
    let error = error.as_database_error()?;
    error
        .is_unique_violation()
        .then(|| error.constraint())
        .flatten()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_conversation_that_broke_off_is_not_the_statements_fault() {
        let cut = sqlx::Error::Protocol("unexpected end of message".into());
        assert!(is_unavailable(&cut));
    }

    #[test]
    fn a_row_that_is_not_there_stays_away() {
        assert!(!is_unavailable(&sqlx::Error::RowNotFound));
    }
}
