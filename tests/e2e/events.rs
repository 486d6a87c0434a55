//! Contract §5: events on the broker.

use serde_json::json;

use crate::world::{SOON, World};

#[tokio::test]
async fn events_are_the_prds_to_the_letter() {
    let world = World::start().await;
    let jane = world.customer("jane").await;
    let admin = world.admin().await;
    let mut tap = world.vhost.bind_tap("order.events", "#").await;
    let order = world.place(&jane).await;
    let id = order["id"].as_str().unwrap();
    for to in ["confirmed", "shipped", "delivered"] {
        assert_eq!(world.transition(&admin, id, to).await.status, 200);
    }
    let events = tap.collect(2, SOON).await;
    assert_eq!(events.len(), 2);
    let place = json!({ "city": "Springfield", "state": "IL", "country": "US" });
    for (event, kind, key) in [
        (&events[0], "OrderCreated", "order.created"),
        (&events[1], "OrderShipped", "order.shipped"),
    ] {
        let body = event.json();
        assert_eq!(event.routing_key, key);
        assert_eq!(event.delivery_mode, Some(2));
        assert_eq!(event.content_type.as_deref(), Some("application/json"));
        assert_eq!(event.message_id.as_deref(), body["event_id"].as_str());
        assert_eq!(event.type_.as_deref(), Some(kind));
        assert_eq!(event.app_id.as_deref(), Some("order-service"));
        assert_eq!(event.correlation_id.as_deref(), Some(id));
        assert!(event.timestamp.is_some());
        assert!(event.headers["traceparent"].is_string());
        assert_eq!(body["event_type"], kind);
        assert_eq!(body["version"], "1.0");
        assert_eq!(body["payload"]["order_id"], id);
        assert_eq!(body["payload"]["user_id"], jane.id);
        assert_eq!(body["payload"]["shipping_address"], place);
        assert_eq!(body.as_object().unwrap().len(), 5, "{body}");
    }
    let created = events[0].json();
    assert_eq!(created["timestamp"], order["created_at"]);
    assert_eq!(
        created["payload"].as_object().unwrap().len(),
        7,
        "{created}"
    );
    assert_eq!(created["payload"]["total_amount"].to_string(), "112.97");
    assert_eq!(created["payload"]["items_count"], 2);
    assert_eq!(created["payload"]["currency"], "USD");
    let shipped = events[1].json();
    assert_eq!(
        shipped["payload"].as_object().unwrap().len(),
        5,
        "{shipped}"
    );
    assert_eq!(shipped["timestamp"], shipped["payload"]["shipped_at"]);
}
