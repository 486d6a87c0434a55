//! The commands in the guides, run as a reader runs them.

use std::path::Path;
use std::time::Duration;

use shopflow_testkit::{Process, free_port};

use crate::world::{Backend, NOTIFY, World, shopflow};

back_ends! {
    servers:
        the_operations_guide_works_as_it_is_written;
    embedded:
        the_api_guide_works_as_it_is_written,
        the_event_guide_works_as_it_is_written;
}

/// As long as a patient reader waits.
const PATIENCE: Duration = Duration::from_secs(180);

/// Ends what a guide has started, however it ends.
const BEFORE: &str = "set -euo pipefail\ntrap 'jobs -p | xargs -r kill 2>/dev/null' EXIT\n";

/// All blocks of a guide that are marked as `sh`, as one script that ends at the first failure.
fn script(guide: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../docs")
        .join(guide);
    let text = std::fs::read_to_string(&path).unwrap();
    let mut script = BEFORE.to_owned();
    for block in text.split("\n```sh\n").skip(1) {
        let (commands, _) = block.split_once("\n```").unwrap();
        script.push_str(commands);
        script.push('\n');
    }
    script
}

/// A script with other ports, all at once: what one is replaced by may look like another.
fn with_ports(script: &str, ports: &[(u16, u16)]) -> String {
    let is_word = |c: char| c.is_ascii_alphanumeric();
    let mut told = String::with_capacity(script.len());
    let mut rest = script;
    while let Some(start) = rest.find(is_word) {
        let (before, word) = rest.split_at(start);
        let end = word.find(|c| !is_word(c)).unwrap_or(word.len());
        let (word, after) = word.split_at(end);
        let own = ports.iter().find(|(port, _)| port.to_string() == word);
        told.push_str(before);
        match own {
            Some((_, own)) => told.push_str(&own.to_string()),
            None => told.push_str(word),
        }
        rest = after;
    }
    told + rest
}

#[test]
fn a_port_is_replaced_once_and_nothing_that_only_looks_like_one() {
    let script = "serve auth 3001; curl localhost:3002/x > auth-3001.log # 13001, 3001a";
    let told = with_ports(script, &[(3001, 3002), (3002, 43001)]);
    let wanted = "serve auth 3002; curl localhost:43001/x > auth-3002.log # 13001, 3001a";
    assert_eq!(told, wanted);
}

/// Follows a guide in this folder, with the ports of a test in place of its own.
async fn follow(guide: &str, ports: &[(u16, u16)], folder: &Path, mut env: Vec<(&str, String)>) {
    let mut script = format!("cd '{}'\n{}", folder.display(), script(guide));
    script = with_ports(&script, ports);
    let programs = Path::new(shopflow()).parent().unwrap().display();
    env.push(("PATH", format!("{programs}:/usr/local/bin:/usr/bin:/bin")));
    let process = Process::start("bash", ["-c", &script], env);
    let status = process.wait_exit(PATIENCE).await;
    let done = status.is_some_and(|status| status.success());
    assert!(done, "{guide}: {status:?}\n{}", process.output());
}

/// Follows a guide in front of `shopflow dev`, in a folder that has its data.
async fn follow_on_dev(guide: &str) {
    let world = World::start(Backend::Embedded).await;
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("shopflow-data");
    std::os::unix::fs::symlink(world.data_dir().unwrap(), data).unwrap();
    let [auth, orders, notify] = world.setup.ports;
    let ports = [(3001, auth), (3002, orders), (3003, notify)];
    follow(guide, &ports, folder.path(), Vec::new()).await;
}

async fn the_api_guide_works_as_it_is_written() {
    follow_on_dev("api-guide.md").await;
}

async fn the_event_guide_works_as_it_is_written() {
    follow_on_dev("events-guide.md").await;
}

async fn the_operations_guide_works_as_it_is_written() {
    let world = World::prepare(Backend::Servers, |_| ()).await;
    let folder = tempfile::tempdir().unwrap();
    let ports = [3001, 3002, 3003, 3012].map(|port| (port, free_port()));
    // What the guide sets itself is the reader's; the providers are stand-ins.
    let mut env = world.environment(NOTIFY);
    env.retain(|(name, _)| {
        ["AWS_", "TWILIO_", "RATE_"]
            .iter()
            .any(|prefix| name.starts_with(prefix))
    });
    env.push(("DATABASE", world.setup.database_url.clone()));
    env.push(("BROKER", world.setup.rabbitmq_url.clone()));
    follow("operations.md", &ports, folder.path(), env).await;
}
