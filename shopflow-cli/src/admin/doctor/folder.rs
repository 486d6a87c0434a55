//! What can be wrong with a folder of `shopflow dev`.

use std::path::Path;

use core_kernel::chain;
use core_notify::{DeadLetters, WORK_QUEUES};
use futures_util::future::{join, join_all};
use serde_json::Value;
use shopflow_embedded::{Database, OpenError};
use shopflow_http::{HttpClient, health};

use super::inside::{list, waiting};
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
    let data = bounded("database", "is another process stuck on it?", data(&file));
    let services = bounded("services", "restart shopflow dev", services(path));
    let (data, services) = join(data, services).await;
    [vec![secret(path)], data, services].concat()
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

/// The data, with what waits in it and what was given up.
async fn data(file: &Path) -> Vec<Finding> {
    let (database, missing) = match Database::look(file).await {
        Ok(found) => found,
        Err(OpenError::Newer) => {
            let what = "was made by a newer version of ShopFlow";
            return vec![fail("database", what, "bring this program up to date")];
        }
        Err(error) => {
            let advice = "restore the folder from a copy, or begin afresh: shopflow dev --reset";
            return vec![fail("database", chain(&error), advice)];
        }
    };
    let all = match &*missing {
        [] => vec![
            ok("database", "opens, and its tables are up to date"),
            waiting(&database.outbox()).await,
            dead_letters(&database).await,
        ],
        // What is in tables of another shape cannot be told.
        missing => {
            let what = format!("scripts {} are not applied yet", list(missing));
            vec![warn(
                "database",
                what,
                "start shopflow dev, which applies them",
            )]
        }
    };
    database.close().await;
    all
}

async fn dead_letters(database: &Database) -> Finding {
    let (name, bus, mut letters) = ("dead letters", database.bus(), 0);
    for queue in WORK_QUEUES {
        letters += match bus.count(queue).await {
            Ok(count) => count,
            Err(error) => return fail(name, chain(&error), "mend the database first"),
        };
    }
    match letters {
        0 => ok(name, "none"),
        letters => {
            let what = format!("{letters} events were given up");
            warn(name, what, "see: shopflow dlq group")
        }
    }
}

/// The services, if they run.
async fn services(path: &Path) -> Vec<Finding> {
    if !Folder::is_taken(path) {
        let advice = format!("start it: shopflow dev --data-dir {}", path.display());
        return vec![warn("services", "shopflow dev is not running", advice)];
    }
    let told = std::fs::read_to_string(path.join("dev.json")).unwrap_or_default();
    let told: Value = serde_json::from_str(&told).unwrap_or_default();
    let client = HttpClient::local();
    let each = ["auth", "orders", "notify"].map(async |name| {
        const ADVICE: &str = "see what shopflow dev logs";
        let url = told[format!("{name}_url")].as_str().unwrap_or_default();
        match health(&client, url, PATIENCE).await {
            Ok(told) if told.ready => ok(name, "is ready"),
            Ok(_) => fail(name, "is not ready", ADVICE),
            Err(error) => fail(name, chain(&error), ADVICE),
        }
    });
    join_all(each).await
}
