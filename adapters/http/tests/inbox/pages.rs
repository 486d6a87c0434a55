//! What people read: pages, and the mails in them.

use http::Method;
use serde_json::json;

use crate::fake::{Held, Served, dead_letter};
use crate::{JANE, three};

#[tokio::test]
async fn people_read_messages_newest_first() {
    let inbox = Served::new(three()).await;
    let page = inbox.get("/inbox").await.text;
    let place = |what: &str| page.find(what).unwrap();
    assert!(place("Third") < place("Second") && place("Second") < place("First"));
    assert_eq!(page.matches("data-testid=\"message\"").count(), 3);
    assert!(page.contains("<title>(3) "), "{page}");
}

#[tokio::test]
async fn a_hundred_messages_make_a_page_and_the_rest_is_older() {
    let held = (0..101).fold(Held::default(), |held, _| held.mail(1, JANE, "Hi"));
    let inbox = Served::new(held).await;
    let page = inbox.get("/inbox?channel=email").await.text;
    assert_eq!(page.matches("data-testid=\"message\"").count(), 100);
    assert!(page.contains("channel=email&amp;before=2"), "{page}");
    let older = inbox.get("/inbox?channel=email&before=2").await.text;
    assert_eq!(older.matches("data-testid=\"message\"").count(), 1);
    assert!(!older.contains("Older messages"));
}

#[tokio::test]
async fn an_empty_inbox_says_how_to_fill_it() {
    let inbox = Served::new(Held::default()).await;
    let page = inbox.get("/inbox").await.text;
    assert!(page.contains("data-testid=\"empty\"") && page.contains("Place an order"));
}

#[tokio::test]
async fn nothing_that_others_wrote_becomes_markup() {
    const HOSTILE: &str = "\"'><script>alert(1)</script>";
    let mut held = Held::default()
        .mail(1, HOSTILE, HOSTILE)
        .text(1, "+1555", HOSTILE);
    let mut letter = dead_letter(HOSTILE.as_bytes());
    letter.reason = HOSTILE.into();
    letter.queue = HOSTILE.into();
    held.dead_letters.push(letter);
    let inbox = Served::new(held).await;
    inbox
        .set_fault(json!({ "channel": "sms", "kind": "lost", "to": HOSTILE }))
        .await;
    for path in [
        "/inbox",
        "/inbox?to=%22%3E%3Cscript%3Ealert(1)",
        "/inbox/1",
        "/inbox/2",
        "/inbox/dead-letters",
    ] {
        let answer = inbox.get(path).await;
        assert_eq!(answer.status, 200, "{path}");
        assert!(!answer.text.contains("<script>"), "{path}");
        assert!(answer.text.contains("&lt;script&gt;"), "{path}");
    }
}

#[tokio::test]
async fn pages_may_load_nothing_but_our_own_files() {
    let inbox = Served::new(three()).await;
    for path in ["/inbox", "/inbox/1", "/inbox/2", "/inbox/dead-letters"] {
        let answer = inbox.get(path).await;
        assert_eq!(answer.header("content-type"), "text/html; charset=utf-8");
        assert_eq!(
            answer.header("content-security-policy"),
            "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; \
             frame-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'self'; \
             frame-ancestors 'none'",
            "{path}"
        );
        assert!(!answer.text.contains("style=") && !answer.text.contains("onclick"));
    }
}

#[tokio::test]
async fn a_mail_is_shown_in_a_frame_that_may_do_nothing() {
    let inbox = Served::new(three()).await;
    let page = inbox.get("/inbox/1").await.text;
    assert!(page.contains("<iframe sandbox=\"\" src=\"/inbox/1/html\""));
    let mail = inbox.get("/inbox/1/html").await;
    assert_eq!(mail.text, "<p>html of 1</p>");
    assert_eq!(
        mail.header("content-security-policy"),
        "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    );
}

#[tokio::test]
async fn a_mail_is_there_as_it_goes_over_the_wire() {
    let inbox = Served::new(three()).await;
    let raw = inbox.get("/inbox/1/raw").await;
    assert_eq!(raw.header("content-type"), "text/plain; charset=utf-8");
    let mail = inbox.get("/inbox/1/mail.eml").await;
    assert_eq!(mail.header("content-type"), "message/rfc822");
    assert_eq!(
        mail.header("content-disposition"),
        "attachment; filename=\"shopflow-1.eml\""
    );
    let expected = "To: jane@example.com\r\n\r\nplain text of 1";
    assert_eq!((&*raw.text, &*mail.text), (expected, expected));
}

#[tokio::test]
async fn a_text_is_only_text() {
    let inbox = Served::new(three()).await;
    let page = inbox.get("/inbox/2").await.text;
    assert!(page.contains("data-testid=\"mail-text\">Second<"));
    assert!(!page.contains("<iframe"));
    for path in ["/inbox/2/html", "/inbox/2/raw", "/inbox/2/mail.eml"] {
        assert_eq!(inbox.get(path).await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn a_message_leads_to_its_neighbours() {
    let inbox = Served::new(three()).await;
    let links = async |id: u8| {
        let page = inbox.get(&format!("/inbox/{id}")).await.text;
        let link = |to: u8| page.contains(&format!("href=\"/inbox/{to}\""));
        [link(1), link(2), link(3)]
    };
    assert_eq!(links(1).await, [false, true, false]);
    assert_eq!(links(2).await, [true, false, true]);
    assert_eq!(links(3).await, [false, true, false]);
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let inbox = Served::new(three()).await;
    for path in [
        "/inbox/9",
        "/inbox/9/html",
        "/inbox/9/raw",
        "/inbox/x",
        "/inbox/-1",
        "/inbox/99999999999999999999",
        "/inbox/1/other",
        "/inbox/",
        "/inboxes",
    ] {
        let answer = inbox.get(path).await;
        assert_eq!(answer.status, 404, "{path}");
        assert_eq!(answer.json()["code"], "not_found", "{path}");
    }
}

#[tokio::test]
async fn a_method_that_a_path_does_not_have_is_refused() {
    let inbox = Served::new(three()).await;
    let answer = inbox.send(Method::POST, "/inbox/1", "", "").await;
    assert_eq!((answer.status, answer.header("allow")), (405, "GET, HEAD"));
    let answer = inbox.send(Method::PUT, "/inbox/faults", "", "").await;
    assert_eq!(answer.header("allow"), "GET, HEAD, POST, DELETE");
}

#[tokio::test]
async fn everything_else_is_the_notification_services() {
    let inbox = Served::new(three()).await;
    assert_eq!(inbox.get("/notifications").await.status, 401);
    assert_eq!(inbox.get("/health").await.status, 200);
}

#[tokio::test]
async fn the_pages_bring_their_own_style_and_script() {
    let inbox = Served::new(three()).await;
    for (path, kind) in [
        ("/inbox/style.css", "text/css; charset=utf-8"),
        ("/inbox/app.js", "text/javascript; charset=utf-8"),
    ] {
        let answer = inbox.get(path).await;
        assert_eq!((answer.status, answer.header("content-type")), (200, kind));
    }
}

#[tokio::test]
async fn messages_are_there_while_the_dashboard_is_away() {
    let held = Held {
        away: true,
        ..three()
    };
    let inbox = Served::new(held).await;
    assert_eq!(inbox.get("/inbox").await.status, 503);
    assert_eq!(inbox.get("/inbox/1").await.status, 200);
    assert_eq!(inbox.get("/inbox/messages").await.status, 200);
}

#[tokio::test]
async fn a_site_that_points_its_name_here_reads_nothing() {
    let inbox = Served::new(Held::default().mail(1, crate::JANE, "Hi")).await;
    for path in ["/inbox", "/inbox/messages", "/inbox/1/raw"] {
        for host in [
            "evil.example",
            "evil.example:3003",
            "localhost.evil.example",
        ] {
            let answer = inbox.get_as(host, path).await;
            assert_eq!(answer.status, 400, "{host} {path}");
            assert!(!answer.text.contains("Hi"));
        }
    }
    for host in [
        "localhost",
        "localhost:3003",
        "127.0.0.1:3003",
        "[::1]:3003",
    ] {
        assert_eq!(inbox.get_as(host, "/inbox").await.status, 200, "{host}");
    }
}
