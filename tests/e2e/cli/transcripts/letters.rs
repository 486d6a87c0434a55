//! Events that wait, and those that were given up.

use crate::cli::golden::Golden;
use crate::dead_letters::{GOLDEN, empty, golden};
use crate::world::{Backend, NOTIFY, ORDERS, World};

use super::{NOBODY, jane};

back_ends! {
    both:
        dead_letters,
        outbox;
}

async fn dead_letters(on: Backend) {
    let world = empty(on).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("letters.ndjson");
    std::fs::write(&file, GOLDEN).unwrap();
    let broken = folder.path().join("broken.ndjson");
    std::fs::write(&broken, "{}\n").unwrap();
    let mut transcript = Golden::new("dlq");
    transcript
        .normal
        .know(folder.path().to_str().unwrap(), "<folder>");
    transcript.text(&world, &["dlq", "list"]).await;
    transcript
        .text(&world, &["dlq", "import", broken.to_str().unwrap()])
        .await;
    transcript
        .text(
            &world,
            &["dlq", "import", file.to_str().unwrap(), "--dry-run"],
        )
        .await;
    transcript
        .json(&world, &["dlq", "import", file.to_str().unwrap()])
        .await;
    for verb in ["list", "group"] {
        transcript.both(&world, &["dlq", verb]).await;
    }
    transcript.text(&world, &["dlq", "export"]).await;
    transcript.both(&world, &["dlq", "show", &golden(2)]).await;
    transcript.both(&world, &["dlq", "show", NOBODY]).await;
    transcript
        .both(
            &world,
            &["dlq", "replay", "--reason", "exhausted", "--dry-run"],
        )
        .await;
    transcript
        .text(&world, &["dlq", "replay", &golden(1)])
        .await;
    transcript
        .json(&world, &["dlq", "replay", &golden(2)])
        .await;
    transcript.both(&world, &["dlq", "replay", NOBODY]).await;
    let three = golden(3);
    let discard = ["dlq", "discard", &three, "--reason", "a test order"];
    transcript.text(&world, &discard).await;
    transcript
        .json(&world, &[&discard[..], &["--yes"]].concat())
        .await;
    transcript
        .text(&world, &["dlq", "purge", "--reason", "poison"])
        .await;
    transcript
        .text(&world, &["dlq", "purge", "--reason", "poison", "--yes"])
        .await;
    transcript
        .both(
            &world,
            &[
                "dlq",
                "list",
                "--queue",
                "x",
                "--order",
                "17",
                "--older-than",
                "z",
            ],
        )
        .await;
    transcript.compare();
}

async fn outbox(on: Backend) {
    let mut world = World::start(on).await;
    jane(&world).await;
    world.published().await;
    for service in [NOTIFY, ORDERS] {
        world.kill(service).await;
    }
    let mut golden = Golden::new("outbox");
    golden.both(&world, &["outbox", "list"]).await;
    // A thousand days, half an hour and a few seconds ago, so that its age has the same parts however
    // long this takes.
    let old = match on {
        Backend::Servers => "now() - interval '86401810 seconds'",
        Backend::Embedded => "(unixepoch() - 86401810) * 1000000",
    };
    let waits = "UPDATE order_outbox SET published_at = NULL, refusals = 3, created_at = ";
    world.execute(&format!("{waits}{old}")).await;
    golden.both(&world, &["outbox", "list"]).await;
    golden.both(&world, &["outbox", "flush"]).await;
    golden.compare();
}
