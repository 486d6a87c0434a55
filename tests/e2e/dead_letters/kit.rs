//! What the tests of dead letters have in common.

use serde_json::Value;
use shopflow_embedded::Database;
use shopflow_testkit::Process;

use crate::world::{Backend, SOON, World, shopflow};

/// Four letters as export writes them, oldest first.
pub(crate) const GOLDEN: &str = include_str!("../../contracts/dead-letters.ndjson");

/// The id of the letter with this number.
pub(crate) fn golden(number: usize) -> String {
    format!("019c6b2e-0000-7000-8000-{number:012}")
}

/// The numbers of letters in a listing.
pub(super) fn ids(letters: &[Value]) -> Vec<usize> {
    let number = |letter: &Value| {
        let id = letter["message_id"].as_str().unwrap();
        id.rsplit('-').next().unwrap().parse().unwrap()
    };
    letters.iter().map(number).collect()
}

/// A world without services, so that nobody consumes what is replayed.
pub(crate) async fn empty(on: Backend) -> World {
    let world = World::prepare(on, |_| ()).await;
    match world.data_dir() {
        Some(data) => {
            std::fs::create_dir_all(data).unwrap();
            let database = Database::open(&data.join("shopflow.db")).await.unwrap();
            database.close().await;
        }
        None => {
            let database = [("DATABASE_URL", world.setup.database_url.as_str())];
            let (code, output) = world.run(&["migrate", "notify"], &database).await;
            assert_eq!(code, Some(0), "{output}");
        }
    }
    world
}

/// How a command ended.
pub(super) struct Ran {
    pub(super) code: Option<i32>,
    pub(super) stdout: String,
    pub(super) stderr: String,
}

impl Ran {
    /// What it told, if it did what it was asked.
    #[track_caller]
    pub(super) fn ok(&self) -> &str {
        assert_eq!(self.code, Some(0), "{}", self.stderr);
        &self.stdout
    }

    #[track_caller]
    pub(super) fn json(&self) -> Value {
        self.ok().parse().unwrap()
    }
}

/// Starts `shopflow dlq …` on the dead letters of this world.
pub(super) fn begin(world: &World, args: &[&str]) -> Process {
    let mut args = [&["dlq"], args].concat();
    let mut env = vec![("TZ", "UTC")];
    match world.data_dir() {
        Some(data) => args.extend(["--data-dir", data.to_str().unwrap()]),
        None => env.extend([
            ("RABBITMQ_URL", world.setup.rabbitmq_url.as_str()),
            ("DATABASE_URL", world.setup.database_url.as_str()),
        ]),
    }
    Process::start(shopflow(), args, env)
}

/// Runs it to its end.
pub(super) async fn dlq(world: &World, args: &[&str]) -> Ran {
    let process = begin(world, args);
    let status = process.wait_exit(SOON).await.expect("the command ends");
    Ran {
        code: status.code(),
        stdout: process.stdout(),
        stderr: process.stderr(),
    }
}

/// The letters that pass a filter.
pub(super) async fn listed(world: &World, filter: &[&str]) -> Vec<Value> {
    let args = [&["list", "--output", "json"], filter].concat();
    let told = dlq(world, &args).await.json();
    told["data"].as_array().unwrap().clone()
}

/// Brings in the four letters.
pub(super) async fn import_golden(world: &World) {
    import(world, GOLDEN, 4).await;
}

/// Brings in so many letters of one queue.
pub(super) async fn import_many(world: &World, count: usize) {
    let one = GOLDEN.lines().next().unwrap();
    let lines = (1..=count).map(|number| one.replace(&golden(1), &golden(number)));
    import(world, &lines.collect::<Vec<_>>().join("\n"), count).await;
}

async fn import(world: &World, lines: &str, count: usize) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("letters.ndjson");
    std::fs::write(&file, lines).unwrap();
    let told = dlq(world, &["import", file.to_str().unwrap()]).await;
    assert_eq!(told.ok(), format!("{count} imported\n"));
}

/// A number out of the database.
pub(super) async fn logged(world: &World, sql: &str) -> i64 {
    world.count(sql).await
}
