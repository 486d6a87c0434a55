//! What every command prints, on both back ends the same (see [`super::golden`]).

mod alone;
mod letters;
mod notifications;
mod orders;
mod upkeep;
mod users;

use serde_json::Value;

use crate::world::{Person, World};

const NOBODY: &str = "019c6a2e-5b1f-7c3d-8e4f-5a6b7c8d9e0f";

/// A customer without a phone, one of whose mails was sent.
async fn jane(world: &World) -> (Person, String) {
    let jane = world.customer_with("jane", None).await;
    let order = world.place(&jane).await["id"].as_str().unwrap().to_owned();
    world.wait_notified(&jane, 1, "sent").await;
    (jane, order)
}

/// What the provider calls the mail about an order.
async fn provider_id(world: &World, order: &str) -> String {
    let list = [
        "notifications",
        "list",
        "--order",
        order,
        "--output",
        "json",
    ];
    let listed = super::told(world, &list).await.json();
    let id = listed["data"][0]["id"].as_str().unwrap();
    let show = ["notifications", "show", id, "--output", "json"];
    let shown = super::told(world, &show).await.json();
    shown["provider_ref"].as_str().unwrap().to_owned()
}

/// Where a program looks for what went wrong: never among the result.
#[tokio::test]
async fn a_refusal_leaves_standard_output_empty() {
    for file in ["users", "orders", "notifications", "dlq"] {
        let path = format!(
            "{}/../tests/e2e/cli/golden/{file}.json",
            env!("CARGO_MANIFEST_DIR")
        );
        let kept: Vec<Value> =
            serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        for one in kept.iter().filter(|one| one["exit"] != 0) {
            assert_eq!(one["output"], Value::Null, "{one}");
            assert_ne!(one["stderr"], "", "{one}");
        }
    }
}
