//! `shopflow migrate auth|orders|notify`.

use anyhow::Context;
use shopflow_postgres::{Schema, migrate, pool};

use super::output::say;
use crate::Failure;
use crate::cli::{MigrateArgs, Target};
use crate::config::Problems;
use crate::serve::block_on;

pub(crate) fn run(args: &MigrateArgs) -> Result<(), Failure> {
    let mut problems = Problems::default();
    let database = args.database.check(&mut problems);
    let database = problems.finish(database)?;
    let (schema, name) = match args.service {
        Target::Auth => (Schema::Auth, "auth"),
        Target::Orders => (Schema::Orders, "orders"),
        Target::Notify => (Schema::Notify, "notify"),
    };
    block_on(async {
        let pool = pool(database.url.expose(), 2, "shopflow migrate").context("DATABASE_URL")?;
        migrate(&pool, schema).await.map_err(anyhow::Error::from)?;
        say(&format!("{name}: the database is up to date"))
    })
}
