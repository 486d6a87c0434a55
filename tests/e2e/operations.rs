//! What operators rely on: starting, stopping, settings, renewed tokens.

use std::time::{Duration, Instant};

use shopflow_testkit::{Reply, wait_until};

use crate::world::{AUTH, Backend, NOTIFY, ORDERS, SOON, World, run};

back_ends! {
    both:
        a_taken_port_is_told_and_ends_with_one,
        a_stop_ends_with_zero_and_what_was_taken_is_sent_afterwards;
    servers:
        a_stop_finishes_what_is_in_flight_and_ends_with_zero,
        a_stop_takes_no_longer_than_its_grace,
        a_service_token_is_renewed_from_its_file_without_a_restart,
        secrets_come_from_files_as_well,
        a_secret_is_rotated_without_a_restart_and_logs_nobody_out,
        what_a_credential_has_left_is_measured;
}

async fn a_stop_finishes_what_is_in_flight_and_ends_with_zero() {
    let world = World::start(Backend::Servers).await;
    let jane = world.customer("jane").await;
    world
        .servers()
        .ses
        .set_default(Reply::Delay(Duration::from_secs(2)));
    world.place(&jane).await;
    wait_until("the mail is being sent", SOON, || async {
        world.servers().ses.requests().len() == 1
    })
    .await;

    world.process(NOTIFY).terminate();
    wait_until("it is not ready", SOON, || async {
        let ready = world
            .notify
            .request(http::Method::GET, "/health/ready", &[], "")
            .await;
        // It is told for a second; who looks later is not let in any more.
        match ready {
            Ok(ready) => ready.status == 503,
            Err(_) => world.log(NOTIFY).contains("\"stopping\""),
        }
    })
    .await;
    let status = world
        .process(NOTIFY)
        .wait_exit(SOON)
        .await
        .expect("it ends");
    assert_eq!(status.code(), Some(0), "{}", world.process(NOTIFY).output());
    assert_eq!(
        world
            .count("SELECT count(*) FROM notifications WHERE status = 'sent'")
            .await,
        2
    );
    assert_eq!(
        world
            .servers()
            .vhost
            .queue_depth("notifications.order.created")
            .await,
        Some(0)
    );
    for service in [AUTH, ORDERS] {
        world.process(service).terminate();
        let status = world
            .process(service)
            .wait_exit(SOON)
            .await
            .expect("it ends");
        assert_eq!(status.code(), Some(0));
    }
}

async fn a_stop_ends_with_zero_and_what_was_taken_is_sent_afterwards(on: Backend) {
    let mut world = World::start(on).await;
    let jane = world.customer("jane").await;
    for _ in 0..5 {
        world.place(&jane).await;
    }
    for service in [AUTH, ORDERS, NOTIFY] {
        let process = world.process(service);
        process.terminate();
        let status = process.wait_exit(SOON).await.expect("it ends");
        assert_eq!(status.code(), Some(0), "{}", process.output());
    }
    world.launch_all().await;
    world.wait_notified(&jane, 10, "sent").await;
    let sent = (world.mails().await.len(), world.texts().await.len());
    assert_eq!(sent, (5, 5));
}

async fn a_stop_takes_no_longer_than_its_grace() {
    let grace = ("SHUTDOWN_GRACE_SECONDS", "2".to_owned());
    let world = World::start_with(Backend::Servers, |setup| setup.extra.push(grace)).await;
    let jane = world.customer("jane").await;
    world.servers().ses.set_default(Reply::Hang);
    world.place(&jane).await;
    wait_until("the mail hangs", SOON, || async {
        world.servers().ses.requests().len() == 1
    })
    .await;
    let begun = Instant::now();
    world.process(NOTIFY).terminate();
    let status = world
        .process(NOTIFY)
        .wait_exit(SOON)
        .await
        .expect("it ends");
    assert_eq!(status.code(), Some(0));
    let log = world.log(NOTIFY);
    let unfinished = "stopped before everything was finished";
    assert!(log.contains(unfinished), "{log}");
    // Where nothing is set the grace is 30 seconds.
    assert!(
        begun.elapsed() < Duration::from_secs(20),
        "{:?}",
        begun.elapsed()
    );
    wait_until("the message went back", SOON, || async {
        world
            .servers()
            .vhost
            .queue_depth("notifications.order.created")
            .await
            == Some(1)
    })
    .await;
}

#[tokio::test]
async fn every_fault_of_the_settings_is_a_line_of_its_own_and_exit_code_two() {
    let (code, output) = run(
        &["serve", "notify"],
        &[("PORT", "x"), ("LOG_FORMAT", "xml")],
    )
    .await;
    assert_eq!(code, Some(2));
    let named: Vec<_> = output
        .lines()
        .map(|line| line.split(": ").nth(1).unwrap())
        .collect();
    assert_eq!(
        named,
        [
            "AUTH_SERVICE_URL",
            "AUTH_SERVICE_TOKEN",
            "RABBITMQ_URL",
            "ORDER_SERVICE_URL",
            "ORDER_SERVICE_TOKEN",
            "AWS_SES_REGION",
            "AWS_SES_FROM_EMAIL",
            "TWILIO_ACCOUNT_SID",
            "TWILIO_AUTH_TOKEN",
            "TWILIO_FROM_NUMBER",
            "PORT",
            "LOG_FORMAT",
            "DATABASE_URL",
        ]
    );
    for (name, value) in [
        ("JWT_SECRET", "too short"),
        ("JWT_SECRET_PREVIOUS", "too short"),
        ("DATABASE_URL", "mysql://localhost/x"),
        ("DATABASE_MAX_CONNECTIONS", "none"),
        ("PASSWORD_SCRYPT_P", "1"),
        ("LOG_LEVEL", "verbose"),
        ("BIND_ADDRESS", "localhost"),
        ("MIGRATE_ON_START", "perhaps"),
        ("SHUTDOWN_GRACE_SECONDS", "-1"),
        ("JWT_SECRET_FILE", "/nowhere/secret"),
    ] {
        let mut env = vec![
            ("DATABASE_URL", "postgres://localhost/x"),
            ("JWT_SECRET", crate::world::JWT_SECRET),
        ];
        env.retain(|(known, _)| *known != name.trim_end_matches("_FILE"));
        env.push((name, value));
        let (code, output) = run(&["serve", "auth"], &env).await;
        assert_eq!(code, Some(2), "{name}: {output}");
        assert_eq!(output.lines().count(), 1, "{output}");
        let known = name.trim_end_matches("_FILE").trim_end_matches("_P");
        assert!(output.contains(known), "{output}");
        assert!(
            !output.contains("too short"),
            "a secret is never shown: {output}"
        );
    }
}

async fn a_taken_port_is_told_and_ends_with_one(on: Backend) {
    let world = World::start(on).await;
    let mut second = World::prepare(on, |setup| setup.ports = world.setup.ports).await;
    second.launch(AUTH);
    let second = second.process(AUTH);
    let status = second.wait_exit(SOON).await.expect("it ends");
    assert_eq!(status.code(), Some(1));
    assert!(
        second.stderr().contains("cannot listen on"),
        "{}",
        second.stderr()
    );
}

async fn a_service_token_is_renewed_from_its_file_without_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "an.expired.token\n").unwrap();
    let path = file.to_str().unwrap().to_owned();
    let world = World::start_with(Backend::Servers, |setup| {
        setup.extra.push(("ORDER_SERVICE_TOKEN", String::new()));
        setup.extra.push(("ORDER_SERVICE_TOKEN_FILE", path));
    })
    .await;
    let jane = world.customer("jane").await;
    world.place(&jane).await;
    wait_until("the order cannot be read", SOON, || async {
        world
            .process(NOTIFY)
            .output()
            .contains("waiting for a neighbour")
    })
    .await;
    std::fs::write(&file, world.service_token("notification-service")).unwrap();
    world.wait_notified(&jane, 2, "sent").await;
}

async fn secrets_come_from_files_as_well() {
    let folder = tempfile::tempdir().unwrap();
    let mut world = World::prepare(Backend::Servers, |_| ()).await;
    for (name, file) in [
        ("JWT_SECRET", "JWT_SECRET_FILE"),
        ("DATABASE_URL", "DATABASE_URL_FILE"),
        ("RABBITMQ_URL", "RABBITMQ_URL_FILE"),
        ("TWILIO_AUTH_TOKEN", "TWILIO_AUTH_TOKEN_FILE"),
    ] {
        let all: Vec<_> = [AUTH, ORDERS, NOTIFY]
            .iter()
            .flat_map(|s| world.environment(*s))
            .collect();
        let value = &all.iter().find(|(known, _)| *known == name).unwrap().1;
        let path = folder.path().join(name);
        std::fs::write(&path, format!("{value}\n")).unwrap();
        world.setup.extra.push((name, String::new()));
        world
            .setup
            .extra
            .push((file, path.to_str().unwrap().to_owned()));
    }
    world.launch_all().await;
    let jane = world.customer("jane").await;
    world.place(&jane).await;
    world.wait_notified(&jane, 2, "sent").await;
}

async fn a_secret_is_rotated_without_a_restart_and_logs_nobody_out() {
    const NEW: &str = "another secret for tests of 32 bytes or more";
    let folder = tempfile::tempdir().unwrap();
    let (current, previous) = (
        folder.path().join("current"),
        folder.path().join("previous"),
    );
    std::fs::write(&current, crate::world::JWT_SECRET).unwrap();
    std::fs::write(&previous, ",").unwrap();
    let paths = [&current, &previous].map(|path| path.to_str().unwrap().to_owned());
    let world = World::start_with(Backend::Servers, |setup| {
        let [current, previous] = paths;
        setup.extra.push(("JWT_SECRET", String::new()));
        setup.extra.push(("JWT_SECRET_FILE", current));
        setup.extra.push(("JWT_SECRET_PREVIOUS_FILE", previous));
    })
    .await;
    let jane = world.customer("jane").await;
    // Both verify before the new one signs, so there is no moment in which one of them does not.
    let both = format!("{},{NEW}", crate::world::JWT_SECRET);
    std::fs::write(&previous, both).unwrap();
    let auth = world.process(AUTH);
    auth.wait_for_line("secrets renewed", SOON).await;
    std::fs::write(&current, NEW).unwrap();
    let body = serde_json::json!({ "refresh_token": jane.refresh });
    let counts = async |token: &str| {
        let client = world.auth.with_token(token);
        client
            .post("/auth/validate", &serde_json::Value::Null)
            .await
            .status
            == 200
    };
    // The key's id is in the head of a token.
    let head = |token: &str| token.split('.').next().unwrap().to_owned();
    let before = head(&jane.access);
    wait_until("the new secret signs", SOON, async || {
        let login = world.login(&jane.email).await;
        head(&login.access) != before
    })
    .await;
    assert!(counts(&jane.access).await, "an older token still counts");
    let pair = world.auth.post("/auth/refresh", &body).await;
    assert_eq!(pair.status, 200, "and so does its refresh token");

    // What is of no use changes nothing; without the old one, its tokens end.
    std::fs::write(&current, "too short").unwrap();
    std::fs::write(&previous, ",").unwrap();
    wait_until("it is told", SOON, async || {
        world.process(AUTH).output().contains("secret is of no use")
    })
    .await;
    let login = world.login(&jane.email).await;
    assert!(counts(&login.access).await);
    std::fs::write(&current, NEW).unwrap();
    wait_until("the old secret is gone", SOON, async || {
        !counts(&jane.access).await
    })
    .await;
    assert!(counts(&login.access).await);
}

async fn what_a_credential_has_left_is_measured() {
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret");
    std::fs::write(&secret, crate::world::JWT_SECRET).unwrap();
    let path = secret.to_str().unwrap().to_owned();
    let world = World::start_with(Backend::Servers, |setup| {
        setup.extra.push(("JWT_SECRET", String::new()));
        setup.extra.push(("JWT_SECRET_FILE", path));
    })
    .await;
    for (service, credential, hours) in [
        (ORDERS, "AUTH_SERVICE_TOKEN", 24.0),
        (NOTIFY, "AUTH_SERVICE_TOKEN", 24.0),
        (NOTIFY, "ORDER_SERVICE_TOKEN", 24.0),
        (AUTH, "JWT_SECRET", 90.0 * 24.0),
    ] {
        let metrics = world.client(service).get("/metrics").await.text();
        let gauge = format!("shopflow_credential_expires_seconds{{credential=\"{credential}\"}} ");
        let left = metrics.lines().find_map(|line| line.strip_prefix(&gauge));
        let left: f64 = left.expect("a gauge").parse().unwrap();
        let all = hours * 3600.0;
        assert!((all - 600.0..=all).contains(&left), "{left} of {all} s");
    }
}
