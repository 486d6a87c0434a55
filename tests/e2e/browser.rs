//! The development inbox in a real browser, in front of a real `shopflow dev`.

use serde_json::{Value, json};
use shopflow_testkit::{Browser, Sent, testid, wait_until};

use crate::world::{Backend, Person, SOON, World};

back_ends! {
    embedded:
        a_mail_appears_by_itself_in_an_inbox_that_is_open,
        a_mail_is_read_as_html_in_a_sandboxed_frame_as_plain_text_and_as_its_source,
        a_fault_set_in_the_page_makes_a_dead_letter_appear_by_itself_with_its_reason,
        the_page_of_dead_letters_shows_the_reason_and_the_event,
        a_fault_that_is_cleared_in_the_page_is_gone,
        without_javascript_the_list_a_mail_and_the_dead_letters_can_be_read,
        no_page_loads_anything_from_elsewhere,
        no_page_violates_its_policy_or_logs_an_error,
        the_policy_stops_a_script_that_came_with_a_page,
        no_page_scrolls_sideways_on_a_phone_light_or_dark;
}

const MAIL: &str = r#"[data-testid="message"][data-channel="email"]"#;

/// A newcomer's machine: ShopFlow, a browser, and a customer.
struct Desk {
    browser: Browser,
    world: World,
    jane: Person,
}

impl Desk {
    async fn new() -> Self {
        Self::with(Browser::start().await).await
    }

    async fn with(browser: Browser) -> Self {
        let world = World::start(Backend::Embedded).await;
        let jane = world.customer("jane").await;
        Self {
            browser,
            world,
            jane,
        }
    }

    fn origin(&self) -> String {
        format!("http://127.0.0.1:{}", self.world.setup.ports[2])
    }

    async fn open(&self, path: &str) {
        self.browser.open(&format!("{}{path}", self.origin())).await;
    }

    /// Places an order; its number.
    async fn place(&self) -> String {
        let order = self.world.place(&self.jane).await;
        order["id"].as_str().unwrap()[..8].to_owned()
    }

    /// Opens the page of the newest mail.
    async fn open_mail(&self) {
        self.open("/inbox").await;
        self.browser.click(&format!("{MAIL} .title")).await;
        self.browser.text(&testid("mail-text")).await;
    }

    /// Lets no text be sent from now on, by the form in the page.
    async fn refuse_texts(&self) {
        self.browser.choose("#fault-channel", "Text").await;
        self.browser.choose("#fault-kind", "refuse").await;
        self.browser.click(&testid("fault-set")).await;
        self.browser
            .wait_text(&testid("fault-rule"), "refuse")
            .await;
    }

    /// An order with a mail and a text, and one with a mail and a dead letter, so that no page is
    /// empty; the second one's number.
    async fn fill(&self) -> String {
        self.place().await;
        self.world.wait_notified(&self.jane, 2, "sent").await;
        let rule = json!({ "channel": "sms", "kind": "refuse" });
        let set = self.world.notify.post("/inbox/faults", &rule).await;
        assert_eq!(set.status / 100, 2, "{}", set.text());
        let number = self.place().await;
        wait_until("a mail and a dead letter", SOON, || async {
            self.world.mails().await.len() == 2 && self.world.dead_letters().await == 1
        })
        .await;
        number
    }

    /// Marks the page as it is loaded now.
    async fn mark(&self) {
        self.browser.evaluate("window.mark = true").await;
    }

    /// Asserts that it is the marked page still.
    async fn assert_not_reloaded(&self) {
        let mark = self.browser.evaluate("return window.mark === true").await;
        assert_eq!(mark, true, "the page was loaded again");
    }

    /// Opens one page after the other, a filled one of each kind, and has a look at it.
    async fn on_each_page(&self, look: impl AsyncFn(&str)) {
        let path = |sent: Sent| sent.id.replace("inbox-", "/inbox/");
        let mail = path(self.world.mails().await.remove(0));
        let text = path(self.world.texts().await.remove(0));
        let pages = [
            ("/inbox", MAIL),
            ("/inbox?to=nobody", r#"[data-testid="empty"]"#),
            ("/inbox/dead-letters", r#"[data-testid="dead-letter"]"#),
            (mail.as_str(), r#"[data-testid="mail-frame"]"#),
            (text.as_str(), ".bubble"),
        ];
        for (path, filled) in pages {
            self.open(path).await;
            assert!(self.browser.count(filled).await > 0, "{path}: no {filled}");
            look(path).await;
        }
    }
}

async fn a_mail_appears_by_itself_in_an_inbox_that_is_open() {
    let desk = Desk::new().await;
    desk.open("/inbox").await;
    desk.browser
        .wait_text(&testid("empty"), "No messages yet")
        .await;
    desk.mark().await;
    let number = desk.place().await;
    let mail = desk.browser.wait_text(MAIL, &number).await;
    assert!(mail.contains(&desk.jane.email), "{mail}");
    assert!(
        mail.contains(&format!("Order Confirmation - #{number}")),
        "{mail}"
    );
    desk.assert_not_reloaded().await;
}

async fn a_mail_is_read_as_html_in_a_sandboxed_frame_as_plain_text_and_as_its_source() {
    let desk = Desk::new().await;
    let number = desk.place().await;
    desk.open_mail().await;

    let frame = testid("mail-frame");
    let browser = &desk.browser;
    assert_eq!(browser.attribute(&frame, "sandbox").await, "");
    browser.enter(&frame).await;
    let html = browser.wait_text("body", "112.97").await;
    assert!(html.contains(&number), "{html}");
    assert!(browser.count("table, h1, h2, p").await > 0, "it is no HTML");
    browser.leave().await;

    let text = browser.text(&testid("mail-text")).await;
    assert!(text.contains(&number) && text.contains("112.97"), "{text}");

    browser.click(r#"a[href$="/raw"]"#).await;
    let source = browser.wait_text("body", "Content-Type:").await;
    assert!(source.contains(&desk.jane.email), "{source}");
    assert!(source.contains(&number), "{source}");
}

async fn a_fault_set_in_the_page_makes_a_dead_letter_appear_by_itself_with_its_reason() {
    let desk = Desk::new().await;
    let (browser, count) = (&desk.browser, testid("overview-dead-letters"));
    desk.open("/inbox").await;
    assert_eq!(browser.text(&count).await, "0");
    desk.mark().await;
    desk.refuse_texts().await;
    let number = desk.place().await;
    let letter = browser.wait_text(&testid("dead-letter"), &number).await;
    for part in ["refused", "OrderCreated", "sms"] {
        assert!(letter.contains(part), "no {part}: {letter}");
    }
    let reason = browser.text(".reason").await;
    assert_eq!(
        reason,
        desk.world.dead_letter().await.error_message,
        "{letter}"
    );
    browser.wait_text(&count, "1").await;
    assert_eq!(browser.count(&testid("dead-letter")).await, 1);
    desk.assert_not_reloaded().await;
}

async fn the_page_of_dead_letters_shows_the_reason_and_the_event() {
    let desk = Desk::new().await;
    let browser = &desk.browser;
    desk.open("/inbox/dead-letters").await;
    browser.wait_text(&testid("empty"), "No dead letters").await;
    desk.mark().await;
    let number = desk.fill().await;
    let letter = browser.wait_text(&testid("dead-letter"), &number).await;
    let known = desk.world.dead_letter().await;
    assert!(letter.contains(&known.error_message), "{letter}");
    let event = browser.text("[data-testid=dead-letter] pre").await;
    let event: Value = serde_json::from_str(&event).unwrap();
    assert_eq!(event, known.json());
    desk.assert_not_reloaded().await;
}

async fn a_fault_that_is_cleared_in_the_page_is_gone() {
    let desk = Desk::new().await;
    desk.open("/inbox").await;
    desk.refuse_texts().await;
    desk.browser.click(&testid("fault-clear")).await;
    desk.browser.wait_text("#rules", "None set").await;
    desk.place().await;
    desk.world.wait_notified(&desk.jane, 2, "sent").await;
    assert_eq!(desk.world.dead_letters().await, 0);
}

async fn without_javascript_the_list_a_mail_and_the_dead_letters_can_be_read() {
    let desk = Desk::with(Browser::without_javascript().await).await;
    let browser = &desk.browser;
    let number = desk.fill().await;

    desk.open("/inbox").await;
    browser.wait_text("#faults", "needs JavaScript").await;
    assert_eq!(browser.count_shown(&testid("fault-form")).await, 0);
    browser.wait_text(MAIL, &number).await;
    browser.wait_text(&testid("dead-letter"), "refused").await;
    assert_eq!(browser.text(&testid("overview-dead-letters")).await, "1");

    desk.open_mail().await;
    browser.wait_text(&testid("mail-text"), "112.97").await;
    browser.enter(&testid("mail-frame")).await;
    browser.wait_text("body", "112.97").await;
    browser.leave().await;

    browser.click(r#"a[href="/inbox/dead-letters"]"#).await;
    let letter = browser.wait_text(&testid("dead-letter"), &number).await;
    let known = desk.world.dead_letter().await;
    assert!(letter.contains(&known.error_message), "{letter}");
}

async fn no_page_loads_anything_from_elsewhere() {
    let desk = Desk::new().await;
    desk.fill().await;
    let own = format!("{}/inbox", desk.origin());
    let loaded = "return performance.getEntriesByType('resource').map(entry => entry.name)";
    let named = "return Array.from(document.querySelectorAll('[src], link[href], [action]'), \
        element => element.src || element.href || element.action)";
    let assert_own = async |path: &str| {
        for script in [loaded, named] {
            for url in desk.browser.evaluate(script).await.as_array().unwrap() {
                let url = url.as_str().unwrap();
                let is_own = url.starts_with(&own) || url.starts_with("data:");
                assert!(is_own, "{path} loads {url}");
            }
        }
    };
    desk.on_each_page(async |path| {
        let files = desk.browser.evaluate(loaded).await;
        assert!(files.as_array().unwrap().len() >= 2, "{path}: {files}");
        assert_own(path).await;
        if desk.browser.count(&testid("mail-frame")).await == 1 {
            desk.browser.enter(&testid("mail-frame")).await;
            desk.browser.text("body").await;
            assert_own("the mail").await;
            desk.browser.leave().await;
        }
    })
    .await;
}

async fn no_page_violates_its_policy_or_logs_an_error() {
    let desk = Desk::new().await;
    desk.fill().await;
    let refreshed = "return performance.getEntriesByType('resource')\
        .some(entry => entry.initiatorType === 'fetch')";
    desk.on_each_page(async |path| {
        wait_until("the page refreshes itself", SOON, async || {
            desk.browser.evaluate(refreshed).await == true
        })
        .await;
        let errors = desk.browser.errors().await;
        assert!(errors.is_empty(), "{path}: {errors:#?}");
    })
    .await;
}

async fn the_policy_stops_a_script_that_came_with_a_page() {
    let desk = Desk::new().await;
    desk.fill().await;
    desk.on_each_page(async |path| {
        let inject = "const script = document.createElement('script'); \
            script.textContent = 'window.bad = true'; document.head.append(script); \
            return window.bad === undefined";
        assert_eq!(desk.browser.evaluate(inject).await, true, "{path}: it ran");
        let errors = desk.browser.errors().await.concat();
        assert!(
            errors.contains("Content Security Policy"),
            "{path}: {errors}"
        );
    })
    .await;
}

async fn no_page_scrolls_sideways_on_a_phone_light_or_dark() {
    const WIDTH: u32 = 360;
    let desk = Desk::new().await;
    desk.fill().await;
    let browser = &desk.browser;
    browser.resize(WIDTH, 740).await;
    for scheme in ["light", "dark"] {
        browser.color_scheme(scheme).await;
        desk.on_each_page(async |path| {
            let prefers = format!("return matchMedia('(prefers-color-scheme: {scheme})').matches");
            assert_eq!(browser.evaluate(&prefers).await, true);
            let widths = "const page = document.documentElement; \
                return [innerWidth, page.scrollWidth - page.clientWidth]";
            let widths = browser.evaluate(widths).await;
            assert_eq!(widths, json!([WIDTH, 0]), "{path}, {scheme}");
        })
        .await;
    }
}
