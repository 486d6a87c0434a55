//! `/docs` in a real browser, in front of a real `shopflow dev`.

use serde_json::json;
use shopflow_testkit::{Browser, Service, testid};

use super::conform::Document;
use crate::world::{Backend, World};

/// The page of a service, open.
struct Page {
    browser: Browser,
    world: World,
}

impl Page {
    async fn open(service: Service) -> Self {
        let page = Self {
            browser: Browser::start().await,
            world: World::start(Backend::Embedded).await,
        };
        page.show(service).await;
        page
    }

    fn origin(&self, service: Service) -> String {
        format!(
            "http://127.0.0.1:{}",
            self.world.setup.ports[service as usize]
        )
    }

    async fn show(&self, service: Service) {
        let url = format!("{}/docs", self.origin(service));
        self.browser.open(&url).await;
        self.browser.text(&testid("operation")).await;
    }
}

pub(super) async fn the_page_shows_every_call_of_each_service() {
    let page = Page::open(Service::Auth).await;
    for service in Service::ALL {
        page.show(service).await;
        for call in Document::of(service.name()).await.calls() {
            let heading = format!("#{} h3", call.name());
            let shown = page.browser.text(&heading).await;
            assert_eq!(shown, format!("{} {}", call.method, call.path));
        }
    }
}

pub(super) async fn the_page_finds_calls_by_words() {
    let page = Page::open(Service::Orders).await;
    let all = page.browser.count_shown(&testid("operation")).await;
    page.browser.write("#filter", "patch status").await;
    assert_eq!(page.browser.count_shown(&testid("operation")).await, 1);
    page.browser.wait_text("#moveOrder", "Moves an order").await;
    assert!(all > 5, "{all}");
}

pub(super) async fn the_page_shows_the_fields_of_a_body_and_of_each_answer() {
    let page = Page::open(Service::Orders).await;
    let body = page.browser.text("#placeOrder").await;
    for part in [
        "shipping_address",
        "zip_code",
        "unit_price",
        "at least 1 items",
        "Idempotency-Key",
    ] {
        assert!(body.contains(part), "no {part}: {body}");
    }
    let created = r#"#placeOrder [data-status="201"]"#;
    page.browser.click(&format!("{created} summary")).await;
    page.browser.wait_text(created, "total_amount").await;
    // It stands beside the reference to what an amount is.
    let words = "What they cost together.";
    page.browser.wait_text(created, words).await;
    let refused = r#"#placeOrder [data-status="422"]"#;
    page.browser.click(&format!("{refused} summary")).await;
    page.browser
        .wait_text(refused, "idempotency_key_reused")
        .await;
}

pub(super) async fn the_page_loads_nothing_from_elsewhere_and_logs_no_error() {
    let page = Page::open(Service::Auth).await;
    for service in Service::ALL {
        page.show(service).await;
        let loaded = "return performance.getEntriesByType('resource').map(entry => entry.name)";
        let loaded = page.browser.evaluate(loaded).await;
        let loaded = loaded.as_array().unwrap();
        assert!(loaded.len() >= 3, "{loaded:?}");
        let own = page.origin(service);
        for url in loaded {
            let url = url.as_str().unwrap();
            assert!(
                url.starts_with(&own) || url.starts_with("data:"),
                "it loads {url}"
            );
        }
        let errors = page.browser.errors().await;
        assert!(errors.is_empty(), "{errors:#?}");
    }
}

pub(super) async fn the_page_does_not_scroll_sideways_on_a_phone_light_or_dark() {
    const WIDTH: u32 = 360;
    let page = Page::open(Service::Orders).await;
    page.browser.resize(WIDTH, 740).await;
    for scheme in ["light", "dark"] {
        page.browser.color_scheme(scheme).await;
        for service in Service::ALL {
            page.show(service).await;
            let widths = "const page = document.documentElement; \
                return [innerWidth, page.scrollWidth - page.clientWidth]";
            let widths = page.browser.evaluate(widths).await;
            assert_eq!(widths, json!([WIDTH, 0]), "{}, {scheme}", service.name());
        }
    }
}
