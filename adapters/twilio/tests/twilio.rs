//! What each answer of Twilio means to a notification.

#![expect(
    clippy::unwrap_used,
    reason = "clippy knows tests, but not what helps them"
)]

use std::time::Duration;

use core_kernel::{NotificationId, OrderId};
use core_notify::{SendError, SmsSender, Text};
use shopflow_http::HttpClient;
use shopflow_testkit::{FakeTwilio, Reply};
use shopflow_twilio::{Account, TwilioSender};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::timeout;

const JANE: &str = "+15555550100";
const SHOP: &str = "+15555550199";

fn sender(base_url: &str) -> TwilioSender {
    let account = Account {
        sid: "AC0123".into(),
        auth_token: "s3cret:with colon".into(),
        from: SHOP.into(),
    };
    TwilioSender::new(HttpClient::new().unwrap(), base_url, &account).unwrap()
}

async fn send(base_url: &str) -> Result<String, SendError> {
    let text = Text {
        to: JANE,
        body: "Shipped",
        notification_id: NotificationId::generate(),
        order_id: Some(OrderId::generate()),
        happened_at: jiff::Timestamp::UNIX_EPOCH,
    };
    sender(base_url).send(text).await
}

/// The outcome of one text to which Twilio replies like this.
async fn outcome(reply: Reply<u32>) -> SendError {
    let twilio = FakeTwilio::start();
    twilio.script([reply]);
    let outcome = send(twilio.endpoint()).await.unwrap_err();
    assert_eq!(twilio.requests().len(), 1, "one call is one request");
    outcome
}

#[tokio::test]
async fn an_accepted_text_arrives_whole_and_its_sid_comes_back() {
    let twilio = FakeTwilio::start();
    let text = Text {
        to: JANE,
        body: "Tom & Jerry = 100% + 日本 🎉\nbye",
        notification_id: NotificationId::generate(),
        order_id: Some(OrderId::generate()),
        happened_at: jiff::Timestamp::UNIX_EPOCH,
    };
    let sid = sender(twilio.endpoint()).send(text).await.unwrap();
    let requests = twilio.requests();
    assert_eq!(requests.len(), 1);
    let sent = &requests[0];
    assert_eq!(sid, sent.id);
    assert_eq!(sent.account, "AC0123");
    assert_eq!((&*sent.from, &*sent.to), (SHOP, JANE));
    assert_eq!(sent.body, text.body);
    let credentials = ("AC0123".to_owned(), "s3cret:with colon".to_owned());
    assert_eq!(sent.credentials, Some(credentials));
}

#[tokio::test]
async fn a_slash_at_the_end_of_the_base_url_does_no_harm() {
    let twilio = FakeTwilio::start();
    send(&format!("{}/", twilio.endpoint())).await.unwrap();
}

#[tokio::test]
async fn a_bad_number_is_refused_for_the_reason_that_twilio_gives() {
    let outcome = outcome(Reply::Reject(21211)).await;
    let reason = "Twilio 400 21211: Invalid 'To' Phone Number";
    assert_eq!(outcome, SendError::Refused(reason.into()));
}

#[tokio::test]
async fn a_refusal_does_not_tell_the_number() {
    let body =
        format!(r#"{{"code":21211,"message":"The number {JANE} is not valid","status":400}}"#);
    let reason = "Twilio 400 21211: The number *** is not valid";
    let refused = SendError::Refused(reason.into());
    assert_eq!(send(&refusing(body).await).await, Err(refused));
}

#[tokio::test]
async fn a_refusal_without_a_reason_is_still_one() {
    let outcome = send(&refusing("<html>".into()).await).await.unwrap_err();
    assert!(matches!(outcome, SendError::Refused(_)), "{outcome:?}");
}

/// A server that refuses one message with `body`; the fake never quotes a number.
async fn refusing(body: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base_url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = [0; 16 * 1024];
        assert_ne!(stream.read(&mut request).await.unwrap(), 0);
        let length = body.len();
        let answer = format!(
            "HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\n\
             content-length: {length}\r\n\r\n{body}"
        );
        stream.write_all(answer.as_bytes()).await.unwrap();
        // Closing with something unread would reset the connection under the answer.
        while stream.read(&mut request).await.is_ok_and(|count| count > 0) {}
    });
    base_url
}

#[tokio::test]
async fn a_number_of_ours_that_may_not_send_is_not_the_fault_of_the_text() {
    let outcome = outcome(Reply::Reject(21606)).await;
    assert!(matches!(outcome, SendError::Away(_)), "{outcome:?}");
}

#[tokio::test]
async fn bad_credentials_are_not_the_fault_of_the_text() {
    let outcome = outcome(Reply::BadCredentials).await;
    assert!(matches!(outcome, SendError::Away(_)), "{outcome:?}");
}

#[tokio::test]
async fn one_text_too_many_is_for_later() {
    let outcome = outcome(Reply::Throttle).await;
    let reason = "Twilio 429 20429: Too Many Requests";
    assert_eq!(outcome, SendError::NotNow(reason.into()));
}

#[tokio::test]
async fn a_server_error_leaves_it_unknown_whether_the_text_was_sent() {
    for (reply, status) in [(Reply::ServerError, "500"), (Reply::Unavailable, "503")] {
        let outcome = outcome(reply).await;
        let SendError::Unknown(reason) = &outcome else {
            panic!("{outcome:?}");
        };
        assert!(reason.contains(status), "{reason}");
    }
}

#[tokio::test]
async fn a_refused_connection_means_that_nothing_was_sent() {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let nobody = format!("http://{}", socket.local_addr().unwrap());
    let outcome = send(&nobody).await.unwrap_err();
    assert!(matches!(outcome, SendError::Away(_)), "{outcome:?}");
}

#[tokio::test]
async fn a_connection_that_does_not_come_about_means_that_nothing_was_sent() {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    // Once its queue is full, it neither takes nor refuses connections.
    let mut queue = Vec::new();
    let patience = Duration::from_millis(300);
    while let Ok(waiting) = timeout(patience, TcpStream::connect(address)).await {
        queue.push(waiting.unwrap());
    }
    let outcome = send(&format!("http://{address}")).await.unwrap_err();
    assert!(matches!(outcome, SendError::Away(_)), "{outcome:?}");
}

#[tokio::test]
async fn a_connection_that_breaks_leaves_it_unknown_whether_the_text_was_sent() {
    for reply in [Reply::ResetBefore, Reply::AcceptThenReset] {
        let outcome = outcome(reply).await;
        assert!(matches!(outcome, SendError::Unknown(_)), "{outcome:?}");
    }
}

#[tokio::test]
async fn an_unreadable_answer_leaves_it_unknown_whether_the_text_was_sent() {
    let outcome = outcome(Reply::Malformed).await;
    assert!(matches!(outcome, SendError::Unknown(_)), "{outcome:?}");
}
