use shopflow_testkit::{Process, wait_until};
use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

/// The example that holds servers; cargo puts it beside the folder of the test programs.
fn holder() -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    let target = tests.parent().and_then(Path::parent).unwrap();
    target.join("examples/hold_servers")
}

/// The working folders, below `folder`, of all processes that have one there.
fn working_below(folder: &Path) -> Vec<PathBuf> {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let working = processes.filter_map(|process| fs::read_link(process.path().join("cwd")).ok());
    working.filter(|path| path.starts_with(folder)).collect()
}

#[tokio::test]
async fn nothing_is_left_of_a_killed_test_process() {
    // What is started by a process with this temporary folder works somewhere below it.
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let process = Process::start(holder(), [""; 0], [("TMPDIR", folder.path())]);
    process
        .wait_for_line("servers are ready", Duration::from_secs(120))
        .await;
    // PostgreSQL with its helpers, Erlang's port mapper, RabbitMQ, Redis.
    assert!(working_below(folder.path()).len() >= 4);

    process.kill();
    wait_until(
        "the watchdogs have cleaned up",
        Duration::from_secs(120),
        async || {
            working_below(folder.path()).is_empty()
                && fs::read_dir(folder.path()).unwrap().next().is_none()
        },
    )
    .await;
}
