//! Commands that die in the middle.

use std::collections::BTreeSet;

use shopflow_testkit::wait_until;

use crate::world::{Backend, SOON, World};

use super::kit::{begin, dlq, empty, golden, import_many};

back_ends! {
    both:
        a_replay_that_is_killed_loses_no_letter,
        an_import_that_is_killed_can_be_run_again;
}

const MANY: usize = 3000;

/// The ids of all that waits in the work queue and in the dead letters.
async fn everywhere(world: &World) -> (BTreeSet<String>, BTreeSet<String>) {
    let queue = "notifications.order.created";
    let Some(data) = world.data_dir() else {
        let vhost = &world.servers().vhost;
        let mut found = [BTreeSet::new(), BTreeSet::new()];
        for (name, found) in [queue.to_owned(), format!("{queue}.dlq")]
            .iter()
            .zip(&mut found)
        {
            let messages = vhost.drain(name).await;
            found.extend(messages.into_iter().filter_map(|one| one.message_id));
        }
        let [waiting, dead] = found;
        return (waiting, dead);
    };
    let file = format!("sqlite://{}", data.join("shopflow.db").display());
    let pool = sqlx::SqlitePool::connect(&file).await.unwrap();
    let mut found = [BTreeSet::new(), BTreeSet::new()];
    for (table, found) in ["bus_messages", "dead_letters"].iter().zip(&mut found) {
        let sql = format!("SELECT message_id FROM {table}");
        let ids: Vec<String> = sqlx::query_scalar(sqlx::AssertSqlSafe(sql))
            .fetch_all(&pool)
            .await
            .unwrap();
        found.extend(ids);
    }
    let [waiting, dead] = found;
    (waiting, dead)
}

/// How many there are, on servers; a file needs no time to notice a death.
async fn count(world: &World) -> u64 {
    if world.data_dir().is_some() {
        return MANY as u64;
    }
    world.dead_letters().await + world.bus_waiting().await
}

async fn a_replay_that_is_killed_loses_no_letter(on: Backend) {
    let world = empty(on).await;
    import_many(&world, MANY).await;
    // So slow that it is in the middle for seconds. Each batch is logged before it leaves.
    let process = begin(&world, &["replay", "--rate", "500"]);
    process.wait_for_line(&golden(1500), SOON).await;
    process.kill();
    process.wait_exit(SOON).await.expect("it is dead");

    // What the dead one had in hand is back once the broker has noticed.
    wait_until("the letters are back", SOON, || async {
        count(&world).await >= MANY as u64
    })
    .await;
    let (waiting, dead) = everywhere(&world).await;
    let wanted: BTreeSet<String> = (1..=MANY).map(golden).collect();
    assert_eq!(&waiting | &dead, wanted);
    assert!(
        waiting.len() > 1000 && dead.len() > 100,
        "{} {}",
        waiting.len(),
        dead.len()
    );
    // One batch at most is in both.
    assert!((&waiting & &dead).len() <= 200);
}

async fn an_import_that_is_killed_can_be_run_again(on: Backend) {
    let world = empty(on).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("letters.ndjson");
    let one = super::kit::GOLDEN.lines().next().unwrap();
    let lines = (1..=MANY).map(|number| one.replace(&golden(1), &golden(number)));
    std::fs::write(&file, lines.collect::<Vec<_>>().join("\n")).unwrap();
    let file = file.to_str().unwrap();
    let process = begin(&world, &["import", file]);
    process.wait_for_line(&golden(1500), SOON).await;
    process.kill();
    process.wait_exit(SOON).await.expect("it is dead");
    dlq(&world, &["import", file]).await.ok();
    let (_, dead) = everywhere(&world).await;
    let wanted: BTreeSet<String> = (1..=MANY).map(golden).collect();
    assert_eq!(dead, wanted);
}
