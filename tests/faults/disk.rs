//! A disk that is full, under the embedded database.

use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use shopflow_testkit::{Client, Process, free_port, wait_until};

use crate::ALONE;
use crate::load::new_order;
use crate::rig::SOON;

/// By so much the files of the service may still grow, as if the disk ended there.
const FREE: u64 = 256 * 1024;

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_loses_nothing_and_is_survived() {
    let _alone = ALONE.lock().await;
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let ports = [free_port(), free_port(), free_port()];
    let [auth, orders, notify] = ports.map(|port| Client::new(format!("http://127.0.0.1:{port}")));
    // A limit on the size of files, as the disk's: the signal that goes with it is ignored.
    let script = format!(
        "trap '' XFSZ; exec {} dev --data-dir {} --auth-port {} --orders-port {} --notify-port {}",
        env!("CARGO_BIN_EXE_shopflow"),
        data.display(),
        ports[0],
        ports[1],
        ports[2],
    );
    let limits = [
        ("RATE_LIMIT_AUTH_PER_MINUTE", "0"),
        ("RATE_LIMIT_ORDERS_PER_MINUTE", "0"),
    ];
    let process = Process::start("/bin/sh", ["-c", &script], limits);
    wait_until("dev.json is written", SOON, || async {
        data.join("dev.json").exists()
    })
    .await;
    let file = std::fs::read_to_string(data.join("dev.json")).unwrap();
    let customer = serde_json::from_str::<Value>(&file).unwrap()["customer"].clone();
    let tokens = auth.post_again("/auth/login", &customer).await.json();
    let orders = orders.with_token(tokens["access_token"].as_str().unwrap());

    let files = std::fs::read_dir(&data).unwrap();
    let sizes = files.map(|file| file.unwrap().metadata().unwrap().len());
    limit_file_size(process.pid(), Some(sizes.max().unwrap() + FREE));
    let mut placed = Vec::new();
    let mut refused = 0;
    // Several, since what one leaves behind meets the next. (Each may wait 5 s for its turn.)
    while refused < 10 {
        let answer = orders.post("/orders", &new_order()).await;
        if answer.status == 201 {
            placed.push(answer.json()["id"].as_str().unwrap().to_owned());
            assert!(placed.len() < 100_000, "the disk is never full");
            continue;
        }
        assert_eq!(answer.status, 503, "{}", process.output());
        assert!(answer.header("retry-after").is_some());
        refused += 1;
    }
    // What was there can still be read.
    let first = format!("/orders/{}", placed[0]);
    assert_eq!(orders.get(&first).await.status, 200);

    limit_file_size(process.pid(), None);
    let patience = Duration::from_secs(30);
    wait_until("orders are taken again", patience, || async {
        orders.post("/orders", &new_order()).await.status == 201
    })
    .await;
    for id in &placed {
        let found = orders.get(&format!("/orders/{id}")).await;
        assert_eq!(found.status, 200, "{}", found.text());
    }
    wait_until("every order has its mail", SOON, || async {
        let overview = notify.get("/inbox/overview").await.json();
        let open = ["outbox_waiting", "bus_waiting", "bus_retrying"];
        open.iter().all(|part| overview[part] == 0) && overview["dead_letters"] == 0
    })
    .await;
}

/// What `prlimit` (util-linux) sets for a process that runs.
fn limit_file_size(pid: u32, bytes: Option<u64>) {
    let limit = bytes.map_or("unlimited".to_owned(), |bytes| bytes.to_string());
    let done = Command::new("prlimit")
        .args([
            "--pid",
            &pid.to_string(),
            &format!("--fsize={limit}:unlimited"),
        ])
        .status()
        .unwrap();
    assert!(done.success());
}
