//! One look into a database of either back end.

use sqlx::{AssertSqlSafe, Connection, PgConnection, SqliteConnection, types::Uuid};

/// A connection to PostgreSQL or to an SQLite file; panics where a statement fails.
#[derive(Debug)]
pub enum Database {
    /// `postgres://…`.
    Postgres(PgConnection),
    /// `sqlite:…`.
    Sqlite(SqliteConnection),
}

impl Database {
    /// Connects.
    pub async fn open(url: &str) -> Self {
        let opened = if url.starts_with("sqlite:") {
            SqliteConnection::connect(url).await.map(Self::Sqlite)
        } else {
            PgConnection::connect(url).await.map(Self::Postgres)
        };
        opened.unwrap_or_else(|error| panic!("the database cannot be opened: {error}"))
    }

    /// The one number that a query gives.
    pub async fn number(&mut self, sql: &str) -> i64 {
        let query = AssertSqlSafe(sql.to_owned());
        let number = match self {
            Self::Postgres(connection) => sqlx::query_scalar(query).fetch_one(connection).await,
            Self::Sqlite(connection) => sqlx::query_scalar(query).fetch_one(connection).await,
        };
        number.unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    /// The one id that a query gives.
    pub async fn id(&mut self, sql: &str) -> Uuid {
        let query = AssertSqlSafe(sql.to_owned());
        let id = match self {
            Self::Postgres(connection) => sqlx::query_scalar(query).fetch_one(connection).await,
            Self::Sqlite(connection) => sqlx::query_scalar(query).fetch_one(connection).await,
        };
        id.unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    /// Changes something.
    pub async fn execute(&mut self, sql: &str) {
        let query = AssertSqlSafe(sql.to_owned());
        let done = match self {
            Self::Postgres(connection) => sqlx::query(query).execute(connection).await.map(drop),
            Self::Sqlite(connection) => sqlx::query(query).execute(connection).await.map(drop),
        };
        done.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }
}
