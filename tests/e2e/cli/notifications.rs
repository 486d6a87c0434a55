//! `shopflow notifications`.

use serde_json::json;

use super::told;
use crate::world::{Backend, World};

back_ends! {
    both:
        notifications_are_listed_as_over_http,
        a_notification_is_shown_with_its_attempts,
        an_unknown_notification_is_exit_code_three;
}

async fn notifications_are_listed_as_over_http(on: Backend) {
    let world = World::start(on).await;
    let jane = world.customer("jane").await;
    let order = world.place(&jane).await;
    let id = order["id"].as_str().unwrap();
    world.wait_notified(&jane, 2, "sent").await;
    let list = [
        "notifications",
        "list",
        "--user",
        &jane.id,
        "--type",
        "order_created",
    ];
    let json_list = [&list[..], &["--output", "json"]].concat();
    let listed = told(&world, &json_list).await.json();
    let client = world.notify.with_token(&jane.access);
    let own = client.get("/notifications?type=order_created").await.json();
    assert_eq!(listed, json!({ "data": own["data"] }));

    let filters = ["--order", id, "--channel", "email", "--status", "sent"];
    let table = told(&world, &[&list[..], &filters].concat()).await;
    let lines = table.lines();
    assert_eq!(
        lines[0],
        [
            "ID", "STATUS", "CHANNEL", "TYPE", "TO", "ORDER", "CREATED", "SENT"
        ]
    );
    assert_eq!(
        lines[1][1..6],
        ["sent", "email", "order_created", "jane@example.com", id]
    );
    assert_eq!(lines.len(), 2);
}

async fn a_notification_is_shown_with_its_attempts(on: Backend) {
    let world = World::start(on).await;
    let jane = world.customer("jane").await;
    world.place(&jane).await;
    world.wait_notified(&jane, 2, "sent").await;
    let sent = world.notifications(&jane).await;
    let mail = sent.iter().find(|one| one["channel"] == "email").unwrap();
    let id = mail["id"].as_str().unwrap();
    let shown = told(&world, &["notifications", "show", id, "--output", "json"])
        .await
        .json();
    let path = format!("/notifications/{id}");
    let mut own = world
        .notify
        .with_token(&jane.access)
        .get(&path)
        .await
        .json();
    let admin = world.admin().await;
    let attempts = world
        .notify
        .with_token(&admin.access)
        .get(&format!("{path}/attempts"))
        .await;
    own["attempts"] = attempts.json()["data"].clone();
    own["resent"] = json!(null);
    assert_eq!(shown, own);

    let table = told(&world, &["notifications", "show", id]).await;
    let lines = table.lines();
    assert!(
        lines.contains(&vec!["To", "jane@example.com"]),
        "{}",
        table.output
    );
    let attempt = lines.last().unwrap();
    assert_eq!((attempt[0], attempt[3]), ("1", "sent"), "{}", table.output);
    assert!(!table.output.contains("<html"), "{}", table.output);
}

async fn an_unknown_notification_is_exit_code_three(on: Backend) {
    let world = World::start(on).await;
    for id in ["019c6a2e-5b1f-7c3d-8e4f-5a6b7c8d9e0f", "17"] {
        let told = told(&world, &["notifications", "show", id]).await;
        let said = format!("error: no notification has the id {id}\n");
        assert_eq!((told.code, told.output), (Some(3), said));
    }
}
