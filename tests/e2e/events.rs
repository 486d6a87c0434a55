//! Contract §5: events on the broker.

use serde_json::json;

use crate::world::{Backend, SOON, World};

back_ends! {
    both:
        events_are_the_prds_to_the_letter;
}

async fn events_are_the_prds_to_the_letter(on: Backend) {
    let world = World::start(on).await;
    let jane = world.customer("jane").await;
    let admin = world.admin().await;
    let mut tap = world.events().await;
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
        assert_eq!(event.event_type, kind);
        assert_eq!(body["event_id"], event.message_id);
        assert!(event.traceparent.starts_with("00-"), "{event:?}");
        assert_eq!(event.amqp.is_some(), on == Backend::Servers);
        if let Some(message) = &event.amqp {
            assert_eq!(message.delivery_mode, Some(2));
            assert_eq!(message.content_type.as_deref(), Some("application/json"));
            assert_eq!(message.app_id.as_deref(), Some("order-service"));
            assert_eq!(message.correlation_id.as_deref(), Some(id));
            assert!(message.timestamp.is_some());
        }
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
