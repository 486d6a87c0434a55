//! What can be wrong with a folder of `shopflow dev`.

use std::path::Path;

use core_kernel::chain;
use core_notify::{DeadLetters, WORK_QUEUES};
use serde_json::Value;
use shopflow_embedded::{Database, OpenError};
use shopflow_http::{HttpClient, health};

use super::inside::waiting;
use super::verdict::{Finding, PATIENCE, bounded, fail, ok, warn};
use crate::config::read_secret;
use crate::dev::Folder;

pub(super) async fn examine(path: &Path) -> Vec<Finding> {
    let file = match Folder::database_in(path) {
        Ok(file) => file,
        Err(error) => {
            let advice = "name the folder that shopflow dev was started with";
            return vec![fail("folder", error.to_string(), advice)];
        }
    };
    let mut all = vec![secret(path)];
    all.extend(bounded("database", "is another process stuck on it?", data(&file)).await);
    all.extend(bounded("services", "restart shopflow dev", services(path)).await);
    all
}

fn secret(path: &Path) -> Finding {
    let file = Folder::secret_in(path).display().to_string();
    match read_secret(&file) {
        Ok(_) => ok("secret", "is there"),
        Err(problem) => fail(
            "secret",
            problem,
            "start shopflow dev, which makes one; all who were logged in log in again",
        ),
    }
}

/// The data, with what waits in it and what was given up. Opening it brings it up to date.
async fn data(file: &Path) -> Vec<Finding> {
    let database = match Database::open(file).await {
        Ok(database) => database,
        Err(OpenError::Newer) => {
            let what = "was made by a newer version of ShopFlow";
            return vec![fail("database", what, "bring this program up to date")];
        }
        Err(error) => {
            let advice = "restore the folder from a copy, or begin afresh: shopflow dev --reset";
            return vec![fail("database", chain(&error), advice)];
        }
    };
    let mut all = vec![ok("database", "opens, and its tables are up to date")];
    all.push(waiting(&database.outbox()).await);
    let (bus, mut letters) = (database.bus(), 0);
    for queue in WORK_QUEUES {
        letters += bus.count(queue).await.unwrap_or_default();
    }
    all.push(match letters {
        0 => ok("dead letters", "none"),
        letters => warn(
            "dead letters",
            format!("{letters} events were given up"),
            "see: shopflow dlq group",
        ),
    });
    database.close().await;
    all
}

/// The services, if they run.
async fn services(path: &Path) -> Vec<Finding> {
    // Whoever gets the lock is alone here, and gives it back at once.
    if Folder::open(path).is_ok() {
        let advice = format!("start it: shopflow dev --data-dir {}", path.display());
        return vec![warn("services", "shopflow dev is not running", advice)];
    }
    let told = std::fs::read_to_string(path.join("dev.json")).unwrap_or_default();
    let told: Value = serde_json::from_str(&told).unwrap_or_default();
    let client = HttpClient::local();
    let mut all = Vec::new();
    for name in ["auth", "orders", "notify"] {
        let url = told[format!("{name}_url")].as_str().unwrap_or_default();
        let answer = health(&client, url, PATIENCE).await;
        all.push(match answer {
            Ok(told) if told.ready => ok(name, "is ready"),
            Ok(_) => fail(name, "is not ready", "see what shopflow dev logs"),
            Err(error) => fail(name, chain(&error), "see what shopflow dev logs"),
        });
    }
    all
}
