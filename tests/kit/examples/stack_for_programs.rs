//! Runs all of ShopFlow on private servers for a program that tries it: `stack_for_programs SHOPFLOW FILE`.
//! FILE tells it where the services are and who may call them, as `dev.json` does, and is there once they
//! are ready. SIGTERM or Ctrl-C ends it all.
//!
//! `scripts/schemathesis --servers` runs this.

use serde_json::{Value, json};
use shopflow_testkit::{Backend, Stack};
use std::path::PathBuf;
use tokio::signal::unix::{SignalKind, signal};

/// None that is an example anywhere.
const PASSWORD: &str = "0nly-For-Trials!";

/// So many that lists have pages.
const ORDERS: usize = 20;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let [program, file] = std::env::args()
        .skip(1)
        .map(PathBuf::from)
        .collect::<Vec<_>>()
        .try_into()
        .map_err(|_| anyhow::anyhow!("usage: stack_for_programs SHOPFLOW FILE"))?;
    let mut end = signal(SignalKind::terminate())?;
    let stack = Stack::start(Backend::Servers, program, |setup| {
        setup.extra.push(("EMAIL_VERIFICATION", "true".into()));
    })
    .await;
    let told = serde_json::to_string_pretty(&people(&stack).await)?;
    // Whole or not at all: who waits for it reads it at once.
    let new = file.with_extension("new");
    std::fs::write(&new, told)?;
    std::fs::rename(&new, &file)?;
    tokio::select! {
        _ = end.recv() => {}
        ended = tokio::signal::ctrl_c() => ended?,
    }
    Ok(())
}

/// An admin, and a customer with orders.
async fn people(stack: &Stack) -> Value {
    let [admin, customer] = ["admin", "customer"]
        .map(|name| json!({ "email": format!("{name}@example.com"), "password": PASSWORD }));
    let (code, output) = stack.create_admin("admin@example.com", PASSWORD).await;
    assert_eq!(code, Some(0), "{output}");
    let mut account = customer.clone();
    account["first_name"] = json!("Cleo");
    account["last_name"] = json!("Customer");
    account["phone"] = json!("+15551234567");
    let registered = stack.auth.post_again("/auth/register", &account).await;
    assert_eq!(registered.status, 201, "{}", registered.text());
    let login = stack.auth.post_again("/auth/login", &customer).await.json();
    let token = login["access_token"].as_str().unwrap_or_default();
    let own = stack.orders.with_token(token);
    for number in 1..=ORDERS {
        let placed = own.post("/orders", &order(number)).await;
        assert_eq!(placed.status, 201, "{}", placed.text());
    }
    let [auth, orders, notify] = stack
        .setup
        .ports
        .map(|port| format!("http://127.0.0.1:{port}"));
    json!({
        "admin": admin,
        "customer": customer,
        "auth_url": auth,
        "orders_url": orders,
        "notify_url": notify,
        "service_token": stack.service_token("a-service"),
    })
}

fn order(number: usize) -> Value {
    json!({
        "items": [{
            "product_id": "f47ac10b-58cc-4372-a567-0e02b2c3d479",
            "product_name": format!("Thing {number}"), "quantity": number, "unit_price": "9.99",
        }],
        "shipping_address": {
            "street": "Main Street 1", "city": "Lyon", "zip_code": "69001", "country": "FR",
        },
    })
}
