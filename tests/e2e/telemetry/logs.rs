//! Logs: one line an event, and their level while they are written.

use serde_json::Value;

use crate::world::{AUTH, Backend, NOTIFY, ORDERS, SOON, World};

back_ends! {
    both:
        a_request_is_one_line_with_its_ids_and_what_the_database_took,
        an_event_is_one_line_in_the_trace_of_its_order;
    servers:
        the_level_is_changed_while_the_service_runs,
        a_level_that_is_none_changes_nothing;
}

fn lines(log: &str) -> Vec<Value> {
    let lines = log.lines().filter(|line| line.starts_with('{'));
    let read = |line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
    lines.map(read).collect()
}

async fn a_request_is_one_line_with_its_ids_and_what_the_database_took(on: Backend) {
    let world = World::start(on).await;
    let jane = world.customer("jane").await;
    let placed = world.place(&jane).await;
    world
        .process(ORDERS)
        .wait_for_line("\"POST\",\"route\":\"/orders\"", SOON)
        .await;
    let all = lines(&world.log(ORDERS));
    let about = |line: &&Value| line["message"] == "request" && line["route"] == "/orders";
    let found: Vec<&Value> = all.iter().filter(about).collect();
    assert_eq!(found.len(), 1, "{found:?}");
    let line = found[0];
    assert_eq!(
        (&line["method"], &line["status"]),
        (&"POST".into(), &201.into())
    );
    assert_eq!(line["order_id"], placed["id"]);
    assert_eq!(line["trace_id"].as_str().unwrap().len(), 32);
    assert_eq!(line["span_id"].as_str().unwrap().len(), 16);
    assert!(line["request_id"].is_string());
    assert!(line["queries"].as_u64().unwrap() >= 1, "{line}");
    let [all_of_it, database] = ["ms", "db_ms"].map(|name| line[name].as_f64().unwrap());
    assert!(database > 0.0 && all_of_it > 0.0, "{line}");
    // The line of the use case is told apart by nothing but its message.
    let placed = all.iter().find(|line| line["message"] == "order placed");
    assert_eq!(placed.unwrap()["trace_id"], line["trace_id"]);
}

async fn an_event_is_one_line_in_the_trace_of_its_order(on: Backend) {
    let world = World::start(on).await;
    let jane = world.customer("jane").await;
    let placed = world.place(&jane).await;
    let orders = world.process(ORDERS);
    let cause = orders.wait_for_line("\"order placed\"", SOON).await;
    let cause: Value = serde_json::from_str(&cause).unwrap();
    let notify = world.process(NOTIFY);
    let line = notify.wait_for_line("\"event worked on\"", SOON).await;
    let line: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(line["trace_id"], cause["trace_id"]);
    assert_ne!(line["span_id"], cause["span_id"], "a span of its own");
    assert_eq!(line["order_id"], placed["id"]);
    assert_eq!(line["queue"], "notifications.order.created");
    assert_eq!(line["attempt"], 1);
    assert!(line["queries"].as_u64().unwrap() >= 1, "{line}");
}

/// A world whose log level stands in a file.
async fn levelled(file: &std::path::Path, level: &str) -> World {
    std::fs::write(file, level).unwrap();
    let path = file.to_str().unwrap().to_owned();
    World::start_with(Backend::Servers, |setup| {
        setup.extra.push(("LOG_LEVEL_FILE", path));
    })
    .await
}

async fn the_level_is_changed_while_the_service_runs() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("level");
    let world = levelled(&file, "warn\n").await;
    let auth = world.process(AUTH);
    world.auth.get("/auth/quiet").await;
    assert!(!auth.output().contains("\"request\""), "{}", auth.output());
    std::fs::write(&file, "warn,shopflow=info,shopflow_http=info\n").unwrap();
    auth.hang_up();
    auth.wait_for_line("log level read again", SOON).await;
    world.customer("jane").await;
    auth.wait_for_line("\"route\":\"/auth/validate\"", SOON)
        .await;
    let of_the_core = |line: &Value| line["target"] == "core_auth::app" && line["level"] == "INFO";
    let core = lines(&auth.output()).into_iter().find(of_the_core);
    assert_eq!(core, None, "other modules keep theirs");
    std::fs::write(&file, "info\n").unwrap();
    auth.hang_up();
    auth.wait_for_line("\"log_level\":\"info\"", SOON).await;
    world.customer("john").await;
    let core = auth.wait_for_line("\"account made\"", SOON).await;
    assert!(of_the_core(&serde_json::from_str(&core).unwrap()), "{core}");
}

async fn a_level_that_is_none_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("level");
    let world = levelled(&file, "info").await;
    let auth = world.process(AUTH);
    std::fs::write(&file, "loud").unwrap();
    auth.hang_up();
    auth.wait_for_line("LOG_LEVEL_FILE is of no use", SOON)
        .await;
    world.auth.get("/auth/still").await;
    auth.wait_for_line("\"message\":\"request\"", SOON).await;
}
