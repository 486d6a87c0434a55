//! Orders, and what became of them.

use crate::cli::golden::Golden;
use crate::world::{Backend, World};

use super::{NOBODY, jane, provider_id};

back_ends! {
    both:
        orders,
        explained_orders;
    servers:
        explained_where_databases_are_away;
}

async fn orders(on: Backend) {
    let world = World::start(on).await;
    let (jane, order) = jane(&world).await;
    world.place(&jane).await;
    let mut golden = Golden::new("orders");
    let list = ["orders", "list", "--user", &jane.id];
    golden.both(&world, &list).await;
    golden
        .both(&world, &[&list[..], &["--limit", "1"]].concat())
        .await;
    golden
        .both(&world, &[&list[..], &["--status", "delivered"]].concat())
        .await;
    golden.both(&world, &["orders", "show", &order]).await;
    let to = |status: &'static str| ["orders", "transition", &*order, status];
    golden
        .text(
            &world,
            &[&to("confirmed")[..], &["--reason", "paid by transfer"]].concat(),
        )
        .await;
    golden.both(&world, &to("confirmed")).await;
    golden.both(&world, &to("delivered")).await;
    golden.both(&world, &to("lost")).await;
    golden.json(&world, &to("shipped")).await;
    golden.both(&world, &["orders", "history", &order]).await;
    for verb in ["show", "history", "explain"] {
        golden.both(&world, &["orders", verb, NOBODY]).await;
    }
    golden
        .both(&world, &["orders", "transition", NOBODY, "confirmed"])
        .await;
    golden
        .text(
            &world,
            &["orders", "list", "--user", "jane", "--older-than", "soon"],
        )
        .await;
    golden.compare();
}

async fn explained_orders(on: Backend) {
    let world = World::start(on).await;
    let (_, order) = jane(&world).await;
    // The relay notes it while the mail is on its way already.
    world
        .execute("UPDATE order_outbox SET published_at = created_at")
        .await;
    let mut golden = Golden::new("explain");
    golden
        .normal
        .know(provider_id(&world, &order).await, "<provider id>");
    golden.both(&world, &["orders", "explain", &order]).await;
    golden.compare();
}

async fn explained_where_databases_are_away() {
    let world = World::start(Backend::Servers).await;
    let (_, order) = jane(&world).await;
    let mut golden = Golden::new("explain_partly");
    golden
        .normal
        .know(provider_id(&world, &order).await, "<provider id>");
    let here = world.setup.database_url.as_str();
    let away = "postgres://shopflow:s3cret@127.0.0.1:9/none";
    let explain = ["orders", "explain", &order];
    for [orders, auth, notify] in [[away, here, here], [away, away, here], [away; 3]] {
        let env = [
            ("DATABASE_URL", orders),
            ("AUTH_DATABASE_URL", auth),
            ("NOTIFY_DATABASE_URL", notify),
            ("RABBITMQ_URL", &world.setup.rabbitmq_url),
        ];
        golden.alone(&explain, &env).await;
        golden.alone_json(&explain, &env).await;
    }
    // What went out is told by its own service; what came of it is not.
    let env = [("DATABASE_URL", away)];
    golden.alone(&explain, &env).await;
    golden.alone_json(&explain, &env).await;
    golden.compare();
}
