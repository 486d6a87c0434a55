//! PRD §10.6 by the real binary: `shopflow retention`, and the schedule in the services.

mod archive;
mod schedule;
mod users;

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read};
use std::path::Path;

use ring::digest::{SHA256, digest};
use serde_json::Value;

use crate::world::{Backend, World};

/// So many days ago, in the database's own words.
fn days_ago(on: Backend, days: u32) -> String {
    match on {
        Backend::Servers => format!("now() - interval '{days} days'"),
        Backend::Embedded => format!("(unixepoch() - {days} * 86400) * 1000000"),
    }
}

/// What a run told as JSON.
struct Told {
    code: Option<i32>,
    output: String,
}

impl Told {
    /// The part of one service.
    fn of(&self, service: &str) -> Value {
        let line = self.output.lines().find(|line| line.starts_with('{'));
        let told: Value = serde_json::from_str(line.expect(&self.output)).unwrap();
        let parts = told["data"].as_array().unwrap();
        let part = parts.iter().find(|part| part["service"] == service);
        part.unwrap_or_else(|| panic!("no {service}: {told}"))
            .clone()
    }
}

/// Runs retention on the database of a world, with an archive in a folder.
async fn retention(world: &World, folder: &Path, more: &[&str]) -> Told {
    let url = format!("file://{}", folder.display());
    retention_with(world, &[("RETENTION_ARCHIVE_URL", &url)], more).await
}

async fn retention_with(world: &World, env: &[(&str, &str)], more: &[&str]) -> Told {
    let args = [&["retention", "run", "--output", "json"], more].concat();
    let (code, output) = world.administer(&args, env).await;
    Told { code, output }
}

/// `count` notifications that were sent, a second apart, the youngest of them `days` old; their
/// bodies are `row-1`, `row-2` and so on.
async fn fill(world: &World, count: usize, days: u32) {
    let ago = days_ago(world.backend(), days);
    let sql = match world.backend() {
        Backend::Servers => format!(
            "INSERT INTO notifications
                 (user_id, channel, type, recipient, body, status, created_at, event_id)
             SELECT gen_random_uuid(), 'sms', 'order_created', '+15551234567', 'row-' || n, 'sent',
                    {ago} - n * interval '1 second', gen_random_uuid()
             FROM generate_series(1, {count}) AS n"
        ),
        Backend::Embedded => format!(
            "WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers
                                            WHERE n < {count})
             INSERT INTO notifications
                 (id, user_id, channel, type, recipient, body, status, created_at, updated_at,
                  event_id)
             SELECT randomblob(16), randomblob(16), 'sms', 'order_created', '+15551234567',
                    'row-' || n, 'sent', {ago} - n * 1000000, {ago}, randomblob(16)
             FROM numbers"
        ),
    };
    world.execute(&sql).await;
}

/// All objects of an archive in a folder, by their names.
fn objects_in(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let (mut objects, mut folders) = (BTreeMap::new(), vec![folder.to_owned()]);
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(folder).unwrap().display().to_string();
                match std::fs::read(path) {
                    Ok(object) => drop(objects.insert(name, object)),
                    // One that was still being written has its own name by now.
                    Err(error) => assert_eq!(error.kind(), ErrorKind::NotFound, "{error}"),
                }
            }
        }
    }
    objects
}

/// The rows of an archive as its readers count them: those that a manifest names, with every seal
/// looked at.
fn rows_of(objects: &BTreeMap<String, Vec<u8>>) -> Vec<Value> {
    let mut rows = Vec::new();
    for (name, text) in objects {
        if !name.ends_with(".json") {
            continue;
        }
        let manifest: Value = serde_json::from_slice(text).unwrap();
        assert_eq!(manifest["format"], "shopflow-notifications/1");
        let object = &objects[manifest["object"].as_str().unwrap()];
        assert_eq!(manifest["bytes"], object.len());
        let seal = digest(&SHA256, object);
        let seal: String = seal.as_ref().iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(manifest["sha256"], seal);
        let mut lines = String::new();
        let mut gzip = flate2::read::GzDecoder::new(object.as_slice());
        gzip.read_to_string(&mut lines).unwrap();
        assert_eq!(manifest["rows"], lines.lines().count());
        rows.extend(
            lines
                .lines()
                .map(|line| serde_json::from_str::<Value>(line).unwrap()),
        );
    }
    rows
}
