//! The first thing that must be true of ShopFlow.

use serde_json::json;

use crate::world::{AUTH, Backend, NOTIFY, ORDERS, PASSWORD, World};

back_ends! {
    both:
        a_customer_orders_and_is_told_and_an_admin_ships_and_the_customer_is_told,
        no_log_line_has_personal_data_or_secrets;
}

async fn a_customer_orders_and_is_told_and_an_admin_ships_and_the_customer_is_told(on: Backend) {
    let world = World::start(on).await;
    let jane = world.customer("jane").await;
    let admin = world.admin().await;

    let order = world.place(&jane).await;
    assert_eq!(order["status"], "pending");
    assert_eq!(order["user_id"], jane.id);
    assert_eq!(order["total_amount"].to_string(), "112.97");
    let id = order["id"].as_str().unwrap();
    let number = &id[..8];

    world.wait_notified(&jane, 2, "sent").await;
    let mails = world.mails().await;
    assert_eq!(mails.len(), 1);
    assert_eq!(mails[0].subject, format!("Order Confirmation - #{number}"));
    assert_eq!(mails[0].to, jane.email);
    let html = &mails[0].html;
    assert!(
        html.contains(&format!("Your order #{number} has been placed.")),
        "{html}"
    );
    assert!(mails[0].text.contains("112.97 USD"));
    let texts = world.texts().await;
    assert_eq!(texts.len(), 1);
    assert_eq!(texts[0].to, "+15551234567");
    if on == Backend::Servers {
        assert_eq!(mails[0].from.as_deref(), Some("noreply@shopflow.example"));
        assert_eq!(texts[0].from.as_deref(), Some("+15550001234"));
    }

    for (to, time) in [
        ("confirmed", "confirmed_at"),
        ("shipped", "shipped_at"),
        ("delivered", "delivered_at"),
    ] {
        let moved = world.transition(&admin, id, to).await;
        assert_eq!(moved.status, 200, "{}", moved.text());
        let moved = moved.json();
        let fields: Vec<_> = moved.as_object().unwrap().keys().cloned().collect();
        let mut expected = [time, "id", "status", "updated_at"];
        expected.sort_unstable();
        assert_eq!(fields, expected);
        assert_eq!(moved["status"], to);
        assert_eq!(moved[time], moved["updated_at"]);
    }
    world.wait_notified(&jane, 4, "sent").await;
    world.published().await;
    let shipped = &world.mails().await[1];
    assert_eq!(
        shipped.subject,
        format!("Your Order Has Shipped - #{number}")
    );
    assert_eq!(world.texts().await.len(), 2);

    // Everything is in the database, and adds up.
    assert_eq!(
        world
            .count("SELECT count(*) FROM orders WHERE status = 'delivered'")
            .await,
        1
    );
    assert_eq!(world.count("SELECT count(*) FROM order_history").await, 4);
    assert_eq!(
        world
            .count("SELECT count(*) FROM order_outbox WHERE published_at IS NOT NULL")
            .await,
        2
    );
    let sent = "SELECT count(*) FROM notifications WHERE status = 'sent' AND provider_ref <> '' AND sent_at IS NOT NULL";
    assert_eq!(world.count(sent).await, 4);

    // And what the customer sees is the PRD's answer, field by field.
    let list = world
        .notify
        .with_token(&jane.access)
        .get("/notifications?channel=email")
        .await
        .json();
    let newest = &list["data"][0];
    assert_eq!(newest["type"], "order_shipped");
    assert_eq!(newest["order_id"], id);
    assert_eq!(newest["recipient"], jane.email);
    assert!(newest.get("body").is_none());
    assert_eq!(
        list["pagination"],
        json!({ "page": 1, "limit": 20, "total_items": 2, "total_pages": 1, "next_cursor": null })
    );
    let path = format!("/notifications/{}", newest["id"].as_str().unwrap());
    let whole = world
        .notify
        .with_token(&jane.access)
        .get(&path)
        .await
        .json();
    assert!(
        whole["body"]
            .as_str()
            .unwrap()
            .starts_with("<!doctype html>")
    );
    assert_eq!(whole["provider_ref"], shipped.id);
    assert_eq!(whole["error_message"], serde_json::Value::Null);
}

async fn no_log_line_has_personal_data_or_secrets(on: Backend) {
    let world = World::start(on).await;
    let jane = world.customer("jane.confidential").await;
    world.place(&jane).await;
    world.wait_notified(&jane, 2, "sent").await;
    let wrong = json!({ "email": jane.email, "password": "Wr0ng!Passw0rd" });
    world.auth.post("/auth/login", &wrong).await;
    for service in [AUTH, ORDERS, NOTIFY] {
        let log = match on {
            Backend::Servers => world.process(service).output(),
            // Its standard output is for the developer, who is shown how to log in.
            Backend::Embedded => world.log(service),
        };
        assert!(!log.is_empty());
        for secret in [
            "jane.confidential",
            "+15551234567",
            "Jane",
            "Evergreen",
            PASSWORD,
            "Wr0ng!",
            &jane.access,
            &jane.refresh,
            "twilio-token",
            world.jwt_secret().as_str(),
        ] {
            assert!(
                !log.contains(secret),
                "{secret} is in the log of {}",
                service.name()
            );
        }
        for line in world.log(service).lines() {
            assert!(
                serde_json::from_str::<serde_json::Value>(line).is_ok(),
                "no JSON: {line}"
            );
        }
    }
}
