use shopflow_testkit::{Process, free_port, wait_for, wait_until};
use std::{collections::HashSet, time::Duration};

const SOON: Duration = Duration::from_secs(10);

fn shell(script: &str) -> Process {
    Process::start("/bin/sh", ["-c", script], [("GREETING", "hello")])
}

#[tokio::test]
async fn output_and_exit_code_are_seen() {
    let process = shell("echo $GREETING; echo oops >&2; exit 3");
    assert_eq!(
        process
            .wait_exit(SOON)
            .await
            .and_then(|status| status.code()),
        Some(3)
    );
    assert_eq!(
        (process.stdout(), process.stderr()),
        ("hello\n".into(), "oops\n".into())
    );
}

#[tokio::test]
async fn the_environment_is_clean() {
    let process = Process::start("/usr/bin/env", [""; 0], [("A", "1")]);
    process.wait_exit(SOON).await;
    let output = process.output();
    let names: HashSet<_> = output
        .lines()
        .filter_map(|line| line.split('=').next())
        .collect();
    assert_eq!(names, HashSet::from(["PATH", "A"]));
}

#[tokio::test]
async fn a_process_can_be_asked_to_end() {
    let process = shell("trap 'echo bye; exit 0' TERM; echo ready; while :; do sleep 0.05; done");
    assert_eq!(process.wait_for_line("ready", SOON).await, "ready");
    assert_eq!(process.wait_exit(Duration::ZERO).await, None);
    process.terminate();
    assert!(
        process
            .wait_exit(SOON)
            .await
            .is_some_and(|status| status.success())
    );
    process.wait_for_line("bye", SOON).await;
}

#[tokio::test]
#[should_panic(expected = "it ended")]
async fn a_line_that_never_comes_is_not_waited_for() {
    shell("echo something")
        .wait_for_line("else", Duration::from_secs(60))
        .await;
}

#[test]
fn no_port_is_given_out_twice() {
    let ports: HashSet<_> = (0..100).map(|_| free_port()).collect();
    assert_eq!(ports.len(), 100);
}

#[tokio::test]
async fn waiting_ends_as_soon_as_the_state_is_there() {
    let process = std::sync::Arc::new(shell("sleep 0.1; echo done"));
    let watched = process.clone();
    // In a task of its own, because tests wait there too.
    let waiting = tokio::spawn(async move {
        wait_until("the output", SOON, async || watched.output() == "done\n").await;
        wait_for("a line", SOON, || async {
            watched.output().lines().next().map(str::to_owned)
        })
        .await
    });
    assert_eq!(waiting.await.unwrap(), "done");
}

#[tokio::test]
#[should_panic(expected = "pigs fly")]
async fn waiting_in_vain_says_for_what() {
    wait_until("pigs fly", Duration::from_millis(50), async || false).await;
}
