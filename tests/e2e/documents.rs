//! The documents of the API and the events: what the code says, what is committed, what is served,
//! and what the services do.

mod calls;
mod conform;
mod page;
mod stage;

use std::path::{Path, PathBuf};

use serde_json::Value;
use shopflow_testkit::{Service, changes};

use crate::world::{Backend, NOTIFY, ORDERS, SOON, World, run};
use conform::{Schema, parse};

back_ends! {
    both:
        the_document_is_served_as_it_is_printed,
        every_example_is_answered_as_the_document_says,
        every_choice_of_a_list_is_answered_as_the_document_says,
        every_refusal_is_one_that_the_document_tells,
        events_are_what_their_document_says;
    embedded:
        the_page_shows_every_call_of_each_service,
        the_page_finds_calls_by_words,
        the_page_shows_the_fields_of_a_body_and_of_each_answer,
        the_page_loads_nothing_from_elsewhere_and_logs_no_error,
        the_page_does_not_scroll_sideways_on_a_phone_light_or_dark;
}

use calls::{
    every_choice_of_a_list_is_answered_as_the_document_says,
    every_example_is_answered_as_the_document_says, every_refusal_is_one_that_the_document_tells,
};
use page::{
    the_page_does_not_scroll_sideways_on_a_phone_light_or_dark, the_page_finds_calls_by_words,
    the_page_loads_nothing_from_elsewhere_and_logs_no_error,
    the_page_shows_every_call_of_each_service,
    the_page_shows_the_fields_of_a_body_and_of_each_answer,
};

/// What a command prints, and where its copy is.
const COPIES: [(&[&str], &str); 4] = [
    (&["openapi", "auth"], "auth.openapi.json"),
    (&["openapi", "orders"], "orders.openapi.json"),
    (&["openapi", "notify"], "notify.openapi.json"),
    (&["asyncapi"], "events.asyncapi.json"),
];

fn copy(name: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    root.join("docs/api").join(name)
}

#[tokio::test]
async fn the_committed_documents_are_those_of_the_code() {
    let mut outdated = String::new();
    for (args, name) in COPIES {
        let (code, printed) = run(args, &[]).await;
        assert_eq!(code, Some(0), "{printed}");
        let committed = std::fs::read_to_string(copy(name)).unwrap_or_else(|_| "null".to_owned());
        if printed == committed {
            continue;
        }
        outdated.push_str(&format!(
            "docs/api/{name} is outdated; if that is wanted: shopflow {} > docs/api/{name}\n",
            args.join(" ")
        ));
        for change in changes(&parse(&committed), &parse(&printed)) {
            outdated.push_str(&format!("  {change}\n"));
        }
    }
    assert!(outdated.is_empty(), "\n{outdated}");
}

async fn the_document_is_served_as_it_is_printed(on: Backend) {
    let world = World::start(on).await;
    for service in Service::ALL {
        let (code, printed) = run(&["openapi", service.name()], &[]).await;
        assert_eq!(code, Some(0), "{printed}");
        let client = match service {
            ORDERS => &world.orders,
            NOTIFY => &world.notify,
            Service::Auth => &world.auth,
        };
        let served = client.get("/openapi.json").await;
        assert_eq!(served.status, 200);
        assert_eq!(served.header("content-type"), Some("application/json"));
        assert!(served.text() == printed, "{}", service.name());
    }
}

async fn events_are_what_their_document_says(on: Backend) {
    let (_, printed) = run(&["asyncapi"], &[]).await;
    let document: Value = parse(&printed);
    let world = World::start(on).await;
    let jane = world.customer("jane").await;
    let admin = world.admin().await;
    let mut tap = world.events().await;
    let order = world.place(&jane).await;
    let id = order["id"].as_str().unwrap();
    world.advance(&admin, id, &["confirmed", "shipped"]).await;
    for event in tap.collect(2, SOON).await {
        let channel = &document["channels"][&event.event_type];
        assert_eq!(channel["address"], event.routing_key);
        let message = &document["components"]["messages"][&event.event_type];
        Schema::new(&document, &message["payload"]).assert(&event.event_type, &event.json());
    }
}
