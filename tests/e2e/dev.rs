//! Contract §7: `shopflow dev`, as a newcomer runs it.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::{Value, json};
use shopflow_testkit::{Client, Process, free_port, wait_for, wait_until};
use sqlx::{Connection, SqliteConnection};

use crate::world::{SOON, new_order, run, shopflow};

/// A folder and three ports.
struct Dev {
    folder: tempfile::TempDir,
    ports: [u16; 3],
}

impl Dev {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            ports: [free_port(), free_port(), free_port()],
        }
    }

    fn data(&self) -> std::path::PathBuf {
        self.folder.path().join("data")
    }

    fn args(&self, more: &[&str]) -> Vec<String> {
        let mut args = vec!["dev".to_owned(), "--data-dir".to_owned()];
        args.push(self.data().to_str().unwrap().to_owned());
        let names = ["--auth-port", "--orders-port", "--notify-port"];
        for (name, port) in names.iter().zip(self.ports) {
            args.extend([(*name).to_owned(), port.to_string()]);
        }
        args.extend(more.iter().map(|arg| (*arg).to_owned()));
        args
    }

    fn launch(&self, more: &[&str]) -> Process {
        Process::start(shopflow(), self.args(more), [("LOG_LEVEL", "info")])
    }

    /// Starts it and waits until it is ready.
    async fn start(&self, more: &[&str]) -> Process {
        let process = self.launch(more);
        for index in 0..3 {
            let client = self.client(index);
            wait_until("it is ready", SOON, || async {
                let ready = client.request(http::Method::GET, "/health/ready", &[], "");
                ready.await.is_ok_and(|answer| answer.status == 200)
            })
            .await;
        }
        wait_until("it says so", SOON, || async {
            process.stdout().contains("ShopFlow is running")
        })
        .await;
        process
    }

    /// Runs it to its end: exit code and all output.
    async fn run(&self, more: &[&str]) -> (Option<i32>, String) {
        let args = self.args(more);
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        run(&args, &[]).await
    }

    fn client(&self, index: usize) -> Client {
        Client::new(format!("http://127.0.0.1:{}", self.ports[index]))
    }

    /// What `dev.json` tells.
    fn told(&self) -> Value {
        let text = std::fs::read_to_string(self.data().join("dev.json")).unwrap();
        serde_json::from_str(&text).unwrap()
    }

    /// An access token of the admin or the customer.
    async fn login(&self, who: &str) -> String {
        let login = &self.told()[who];
        let answer = self.client(0).post_again("/auth/login", login).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()["access_token"].as_str().unwrap().to_owned()
    }

    async fn place(&self, token: &str) -> Value {
        let orders = self.client(1).with_token(token);
        let placed = orders.post("/orders", &new_order()).await;
        assert_eq!(placed.status, 201, "{}", placed.text());
        placed.json()
    }

    async fn inbox(&self) -> Vec<Value> {
        let list = self.client(2).get("/inbox/messages").await.json();
        list["data"].as_array().unwrap().clone()
    }
}

async fn stop(process: &Process) {
    process.terminate();
    let status = process.wait_exit(SOON).await.expect("it ends");
    assert_eq!(status.code(), Some(0), "{}", process.output());
}

fn mode(file: &Path) -> u32 {
    std::fs::metadata(file).unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn the_first_start_makes_people_who_can_log_in_and_tells_of_them() {
    let dev = Dev::new();
    let process = dev.start(&[]).await;
    let told = dev.told();
    let [auth, orders, notify] = dev.ports.map(|port| format!("http://127.0.0.1:{port}"));
    assert_eq!(
        told,
        json!({
            "admin": { "email": "admin@shopflow.local", "password": told["admin"]["password"] },
            "customer": { "email": "customer@shopflow.local", "password": told["customer"]["password"] },
            "auth_url": auth, "orders_url": orders, "notify_url": notify,
            "inbox_url": format!("{notify}/inbox"),
        })
    );
    assert_eq!(mode(&dev.data().join("dev.json")), 0o600);
    assert_eq!(mode(&dev.data().join("jwt-secret")), 0o600);
    assert_eq!(mode(&dev.data()), 0o700);
    let printed = process.stdout();
    for (who, role) in [("admin", "admin"), ("customer", "customer")] {
        let token = dev.login(who).await;
        let validate = dev.client(0).with_token(&token);
        let valid = validate.post("/auth/validate", &Value::Null).await.json();
        assert_eq!(valid["user"]["role"], role, "{valid}");
        assert!(printed.contains(told[who]["password"].as_str().unwrap()));
    }
    assert!(printed.contains(told["inbox_url"].as_str().unwrap()));
}

#[tokio::test]
async fn the_lines_it_prints_can_be_pasted() {
    let dev = Dev::new();
    let process = dev.start(&[]).await;
    let printed = process.stdout();
    let lines: Vec<_> = printed
        .lines()
        .filter(|line| line.starts_with("TOKEN=") || line.starts_with("curl "))
        .collect();
    assert_eq!(lines.len(), 2, "{printed}");
    let script = lines.join("\n");
    let pasted = tokio::process::Command::new("sh")
        .args(["-c", &script])
        .output()
        .await
        .unwrap();
    let order: Value = serde_json::from_slice(&pasted.stdout).unwrap();
    assert_eq!(order["status"], "pending", "{order}");
    wait_until("its mail and its text are there", SOON, || async {
        dev.inbox().await.len() == 2
    })
    .await;
}

#[tokio::test]
async fn the_inbox_shows_what_would_have_been_sent() {
    let dev = Dev::new();
    let _process = dev.start(&[]).await;
    let order = dev.place(&dev.login("customer").await).await;
    wait_until("mail and text are there", SOON, || async {
        dev.inbox().await.len() == 2
    })
    .await;
    let inbox = dev.inbox().await;
    let of = |channel: &str| inbox.iter().find(|one| one["channel"] == channel).unwrap();
    let (mail, text) = (of("email"), of("sms"));
    let number = &order["id"].as_str().unwrap()[..8];
    assert_eq!(mail["to"], "customer@shopflow.local");
    assert_eq!(mail["subject"], format!("Order Confirmation - #{number}"));
    assert!(mail["html"].as_str().unwrap().contains(number));
    assert!(mail["text"].as_str().unwrap().contains("112.97 USD"));
    assert_eq!(
        (&text["subject"], &text["html"]),
        (&Value::Null, &Value::Null)
    );
    for one in [mail, text] {
        assert_eq!(one["order_id"], order["id"]);
        assert!(one["created_at"].as_str().unwrap().ends_with('Z'));
    }
    let raw = format!("/inbox/{}/mail.eml", mail["id"].as_str().unwrap());
    let raw = dev.client(2).get(&raw).await;
    assert_eq!(raw.header("content-type"), Some("message/rfc822"));
    assert!(raw.text().contains("MIME-Version: 1.0"));
}

#[tokio::test]
async fn a_later_start_finds_everything_as_it_was() {
    let mut dev = Dev::new();
    let process = dev.start(&[]).await;
    let (before, token) = (dev.told(), dev.login("customer").await);
    let order = dev.place(&token).await;
    wait_until("mail and text are there", SOON, || async {
        dev.inbox().await.len() == 2
    })
    .await;
    stop(&process).await;
    assert!(process.stdout().contains("Stopped."));

    dev.ports[1] = free_port();
    let _process = dev.start(&[]).await;
    let after = dev.told();
    assert_eq!(after["customer"], before["customer"]);
    assert_eq!(after["admin"], before["admin"]);
    let here = format!("http://127.0.0.1:{}", dev.ports[1]);
    assert_eq!(after["orders_url"], here, "it tells where it listens now");
    // The token still counts: secret and session are the same.
    let path = format!("/orders/{}", order["id"].as_str().unwrap());
    let found = dev.client(1).with_token(&token).get(&path).await;
    assert_eq!(found.json(), order);
    assert_eq!(dev.inbox().await.len(), 2, "and no mail was sent again");
}

#[tokio::test]
async fn a_kill_in_the_first_start_loses_no_password() {
    let dev = Dev::new();
    let process = dev.launch(&[]);
    wait_until("passwords are planned", SOON, || async {
        dev.data().join("dev.json.new").exists() || dev.data().join("dev.json").exists()
    })
    .await;
    process.kill();
    let _process = dev.start(&[]).await;
    dev.login("admin").await;
    dev.login("customer").await;
    assert!(!dev.data().join("dev.json.new").exists());
}

#[tokio::test]
async fn taken_ports_are_told_a_line_each() {
    let dev = Dev::new();
    let taken: Vec<_> = dev.ports[1..]
        .iter()
        .map(|port| std::net::TcpListener::bind(("127.0.0.1", *port)).unwrap())
        .collect();
    let (code, output) = dev.run(&[]).await;
    assert_eq!(code, Some(1), "{output}");
    let lines: Vec<_> = output.lines().collect();
    assert_eq!(lines.len(), 2, "{output}");
    for ((line, listener), name) in lines.iter().zip(&taken).zip(["orders", "notify"]) {
        let address = listener.local_addr().unwrap().to_string();
        assert!(
            line.starts_with("error: ") && line.contains(&address),
            "{line}"
        );
        assert!(line.contains(&format!("--{name}-port")), "{line}");
    }
}

#[tokio::test]
async fn a_folder_that_cannot_be_had_is_told_in_a_line() {
    let dev = Dev::new();
    std::fs::write(dev.data(), "a file").unwrap();
    let (code, output) = dev.run(&[]).await;
    assert_eq!(code, Some(1));
    assert_eq!(output.lines().count(), 1, "{output}");
    assert!(output.contains("cannot make the folder"), "{output}");
}

#[tokio::test]
async fn two_cannot_run_on_one_folder() {
    let dev = Dev::new();
    let _process = dev.start(&[]).await;
    let other = Dev::new();
    let data = dev.data();
    let (code, output) = other.run(&["--data-dir", data.to_str().unwrap()]).await;
    assert_eq!(code, Some(2), "the option is given twice: {output}");
    let ports = other.ports.map(|port| port.to_string());
    let (code, output) = run(
        &[
            "dev",
            "--data-dir",
            data.to_str().unwrap(),
            "--auth-port",
            &ports[0],
            "--orders-port",
            &ports[1],
            "--notify-port",
            &ports[2],
        ],
        &[],
    )
    .await;
    assert_eq!(code, Some(1));
    assert_eq!(output.lines().count(), 1, "{output}");
    assert!(output.contains("another shopflow dev runs on"), "{output}");
}

#[tokio::test]
async fn a_folder_of_a_newer_version_is_refused_and_can_be_begun_afresh() {
    let dev = Dev::new();
    stop(&dev.start(&[]).await).await;
    let url = format!("sqlite://{}", dev.data().join("shopflow.db").display());
    let mut sql = SqliteConnection::connect(&url).await.unwrap();
    sqlx::query(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         VALUES (9999, 'from the future', true, x'', 0)",
    )
    .execute(&mut sql)
    .await
    .unwrap();
    sql.close().await.unwrap();

    let (code, output) = dev.run(&[]).await;
    assert_eq!(code, Some(1));
    assert_eq!(output.lines().count(), 1, "{output}");
    assert!(output.contains("newer version"), "{output}");
    dev.start(&["--reset", "--yes"]).await;
}

#[tokio::test]
async fn a_reset_asks_first_and_then_forgets_everything() {
    let dev = Dev::new();
    let process = dev.start(&[]).await;
    dev.place(&dev.login("customer").await).await;
    stop(&process).await;
    let before = dev.told();

    // There is no terminal to ask at, so nothing is deleted without --yes.
    let (code, output) = dev.run(&["--reset"]).await;
    assert_eq!(code, Some(2), "{output}");
    assert!(output.contains("--yes"), "{output}");
    assert_eq!(dev.told(), before);

    let bystander = dev.data().join("notes.txt");
    std::fs::write(&bystander, "mine").unwrap();
    let _process = dev.start(&["--reset", "--yes"]).await;
    assert_ne!(dev.told()["admin"], before["admin"]);
    let token = dev.login("admin").await;
    let admin = dev.client(1).with_token(&token);
    let all = admin.get("/orders?user_id=all");
    assert_eq!(all.await.json()["pagination"]["total_items"], 0);
    assert!(bystander.exists(), "what is not ours stays");
}

#[tokio::test]
async fn seeds_are_users_and_orders_in_all_states_with_their_mails() {
    let dev = Dev::new();
    let _process = dev.start(&["--seed", "60"]).await;
    let overview = wait_for("all are made and told of", SOON * 2, async || {
        let overview = dev.client(2).get("/inbox/overview").await.json();
        let orders = overview["orders"].as_object().unwrap().values();
        let made: u64 = orders.map(|count| count.as_u64().unwrap()).sum();
        let waiting = ["outbox_waiting", "bus_waiting", "bus_retrying"];
        let settled = waiting.iter().all(|name| overview[*name] == 0);
        (made == 60 && settled).then_some(overview)
    })
    .await;
    for (state, count) in overview["orders"].as_object().unwrap() {
        assert!(count.as_u64().unwrap() > 0, "none is {state}");
    }
    assert_eq!(overview["dead_letters"], 0);
    let inbox = dev.inbox().await;
    let mails = inbox.iter().filter(|one| one["channel"] == "email").count();
    let shipped = overview["orders"]["shipped"].as_u64().unwrap()
        + overview["orders"]["delivered"].as_u64().unwrap();
    assert_eq!(mails as u64, 60 + shipped);
    // Everybody in it can log in with the customer's password.
    let someone = inbox.iter().find(|one| one["channel"] == "email").unwrap();
    let login = json!({ "email": someone["to"], "password": dev.told()["customer"]["password"] });
    assert_eq!(dev.client(0).post("/auth/login", &login).await.status, 200);
}

#[tokio::test]
async fn faults_can_be_set_from_the_start_and_their_dead_letters_seen() {
    let dev = Dev::new();
    let _process = dev
        .start(&["--fail", "sms:refuse:1", "--fail", "email:lost:1"])
        .await;
    let token = dev.login("customer").await;
    dev.place(&token).await;
    let letters = wait_for("a dead letter", SOON, async || {
        let letters = dev.client(2).get("/inbox/dead-letters.json").await.json();
        let letters = letters["data"].as_array().unwrap().clone();
        (!letters.is_empty()).then_some(letters)
    })
    .await;
    assert_eq!(letters[0]["error_class"], "refused");
    assert_eq!(letters[0]["failed_channels"], json!(["sms"]));
    // The answer to the mail was lost, so it was sent twice: as with a real provider.
    assert_eq!(dev.inbox().await.len(), 2);
    dev.place(&token).await;
    wait_until("the next one meets no fault", SOON, || async {
        dev.inbox().await.len() == 4
    })
    .await;
}

#[tokio::test]
async fn wrong_settings_are_told_and_end_with_two() {
    let dev = Dev::new();
    for (args, named) in [
        (vec!["--fail", "fax:lost"], "--fail"),
        (vec!["--seed", "0"], "--seed"),
        (vec!["--yes"], "--reset"),
        (vec!["--bind-address", "localhost"], "--bind-address"),
    ] {
        let (code, output) = dev.run(&args).await;
        assert_eq!(code, Some(2), "{output}");
        assert!(output.contains(named), "{output}");
    }
    let twice = dev.ports[0].to_string();
    let data = dev.data();
    let args = ["dev", "--data-dir", data.to_str().unwrap()];
    let args = [&args[..], &["--auth-port", &twice, "--orders-port", &twice]].concat();
    let (code, output) = run(&args, &[]).await;
    assert_eq!(code, Some(2));
    assert!(output.contains("--orders-port"), "{output}");
    assert!(!dev.data().exists(), "and nothing was made");
}

#[tokio::test]
async fn admin_commands_work_on_its_folder() {
    let dev = Dev::new();
    let _process = dev.start(&[]).await;
    let data = dev.data();
    let data = data.to_str().unwrap();
    let args = [
        "token",
        "service",
        "--subject",
        "support",
        "--data-dir",
        data,
    ];
    let (code, token) = run(&args, &[]).await;
    assert_eq!(code, Some(0), "{token}");
    let orders = dev.client(1).with_token(token.trim());
    assert_eq!(orders.get("/orders?user_id=all").await.status, 200);

    let names = ["--first-name", "Ada", "--last-name", "Lovelace"];
    let args = ["users", "create-admin", "--email", "ada@example.com"];
    let args = [&args[..], &names, &["--data-dir", data]].concat();
    let password = ("SHOPFLOW_ADMIN_PASSWORD", "S3cur3P@ssw0rd!");
    let (code, output) = run(&args, &[password]).await;
    assert_eq!(code, Some(0), "{output}");
    let login = json!({ "email": "ada@example.com", "password": password.1 });
    assert_eq!(dev.client(0).post("/auth/login", &login).await.status, 200);

    let elsewhere = tempfile::tempdir().unwrap();
    let nowhere = elsewhere.path().to_str().unwrap();
    let args = [
        "token",
        "service",
        "--subject",
        "support",
        "--data-dir",
        nowhere,
    ];
    let (code, output) = run(&args, &[]).await;
    assert_eq!(code, Some(1));
    assert!(output.contains("no folder of shopflow dev"), "{output}");
}

#[tokio::test]
async fn a_stop_finishes_what_is_in_flight() {
    let dev = Dev::new();
    let process = dev.start(&["--fail", "email:timeout:1"]).await;
    dev.place(&dev.login("customer").await).await;
    wait_until("the mail is under way", SOON, || async {
        let attempts = dev.client(2).get("/inbox/attempts").await.json();
        attempts["data"].as_array().unwrap().len() >= 2
    })
    .await;
    stop(&process).await;
    let _process = dev.start(&[]).await;
    wait_until("the mail is there once", SOON, || async {
        dev.inbox().await.len() == 2
    })
    .await;
    let overview = dev.client(2).get("/inbox/overview").await.json();
    assert_eq!(overview["dead_letters"], 0);
}
