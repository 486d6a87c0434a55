//! Mails and texts, and what is in them.

use shopflow_testkit::{Channel, Fault};

use crate::cli::golden::Golden;
use crate::world::{Backend, World};

use super::{NOBODY, jane, provider_id};

back_ends! {
    both:
        notifications,
        templates;
}

async fn notifications(on: Backend) {
    let world = World::start(on).await;
    let (jane, order) = jane(&world).await;
    let mut golden = Golden::new("notifications");
    golden
        .normal
        .know(provider_id(&world, &order).await, "<provider id>");
    let list = ["notifications", "list", "--user", &jane.id];
    golden.both(&world, &list).await;
    golden
        .both(&world, &[&list[..], &["--status", "failed"]].concat())
        .await;
    let sent = world.notifications(&jane).await[0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    golden.both(&world, &["notifications", "show", &sent]).await;
    golden
        .text(&world, &["notifications", "resend", &sent])
        .await;
    let resend = ["notifications", "resend", &sent, "--yes"];
    golden
        .text(
            &world,
            &[&resend[..], &["--reason", "she deleted it"]].concat(),
        )
        .await;
    world.wait_notified(&jane, 2, "sent").await;
    golden
        .normal
        .know(provider_id(&world, &order).await, "<provider id 2>");
    let again = world.notifications(&jane).await[0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    golden
        .both(&world, &["notifications", "show", &again])
        .await;
    world
        .fail(Channel::Email, Fault::Refuse, Some(1), None)
        .await;
    golden.json(&world, &resend).await;
    world.wait_notified(&jane, 1, "failed").await;
    let failed = world.notifications(&jane).await[0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    golden
        .both(&world, &["notifications", "resend", &failed, "--yes"])
        .await;
    for verb in ["show", "resend"] {
        golden.both(&world, &["notifications", verb, NOBODY]).await;
    }
    for wrong in [["--order", "17"], ["--type", "order_creatd"]] {
        golden
            .text(&world, &[&["notifications", "list"], &wrong[..]].concat())
            .await;
    }
    golden.compare();
}

async fn templates(on: Backend) {
    let world = World::start(on).await;
    let (_, order) = jane(&world).await;
    let mut golden = Golden::new("templates");
    golden.alone(&["templates", "list"], &[]).await;
    golden.alone_json(&["templates", "list"], &[]).await;
    golden.alone(&["templates", "check"], &[]).await;
    golden.alone_json(&["templates", "check"], &[]).await;
    for name in [
        "order_created",
        "order_shipped",
        "password_reset",
        "email_verification",
    ] {
        golden.alone(&["templates", "render", name], &[]).await;
        golden.alone_json(&["templates", "render", name], &[]).await;
    }
    for order in [&*order, NOBODY] {
        let render = ["templates", "render", "order_shipped", "--channel", "sms"];
        golden
            .both(&world, &[&render[..], &["--order", order]].concat())
            .await;
    }
    golden
        .alone(
            &["templates", "render", "password_reset", "--channel", "sms"],
            &[],
        )
        .await;
    golden
        .alone(&["templates", "render", "order_creatd"], &[])
        .await;
    golden.compare();
}
