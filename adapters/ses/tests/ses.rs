//! What each answer of SES means to a notification.

#![expect(
    clippy::unwrap_used,
    reason = "clippy knows tests, but not what helps them"
)]

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use aws_config::{BehaviorVersion, Region};
use aws_sdk_sesv2::config::Credentials;
use core_kernel::{NotificationId, OrderId};
use core_notify::{EmailSender, Mail, SendError};
use shopflow_ses::SesSender;
use shopflow_testkit::{FakeSes, Reply, SesRejection};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::timeout;

const JANE: &str = "jane@example.com";

async fn sender(endpoint: &str) -> SesSender {
    let credentials = Credentials::new("AKIATEST", "secret", None, None, "test");
    let loader = aws_config::defaults(BehaviorVersion::latest())
        .region(Region::new("eu-west-1"))
        .credentials_provider(credentials)
        .endpoint_url(endpoint);
    SesSender::from_loader(loader, "orders@shopflow.example").await
}

async fn send(endpoint: &str) -> Result<String, SendError> {
    let mail = Mail {
        to: JANE,
        subject: "Your order",
        html: "<p>Thank you</p>",
        plain: "Thank you",
        notification_id: NotificationId::generate(),
        order_id: Some(OrderId::generate()),
        happened_at: jiff::Timestamp::UNIX_EPOCH,
    };
    sender(endpoint).await.send(mail).await
}

/// The outcome of one mail to which SES replies like this.
async fn outcome(reply: Reply<SesRejection>) -> SendError {
    let ses = FakeSes::start();
    ses.script([reply]);
    let outcome = send(ses.endpoint()).await.unwrap_err();
    assert_eq!(ses.requests().len(), 1, "one call is one request");
    outcome
}

#[tokio::test]
async fn an_accepted_mail_arrives_whole_and_its_id_comes_back() {
    let ses = FakeSes::start();
    let notification_id = NotificationId::generate();
    let mail = Mail {
        to: JANE,
        subject: "Grüße – order #b2c3d4e5",
        html: "<p>\"Tom & Jerry\" 日本 🎉</p>",
        plain: "\"Tom & Jerry\"\n日本 🎉",
        notification_id,
        order_id: Some(OrderId::generate()),
        happened_at: jiff::Timestamp::UNIX_EPOCH,
    };
    let id = sender(ses.endpoint()).await.send(mail).await.unwrap();
    let requests = ses.requests();
    assert_eq!(requests.len(), 1);
    let sent = &requests[0];
    assert_eq!(id, sent.id);
    assert_eq!(sent.from, "orders@shopflow.example");
    assert_eq!(sent.to, [JANE]);
    assert_eq!(sent.subject, mail.subject);
    assert_eq!(sent.html.as_deref(), Some(mail.html));
    assert_eq!(sent.text.as_deref(), Some(mail.plain));
    let tag = ("notification_id".to_owned(), notification_id.to_string());
    assert_eq!(sent.tags, BTreeMap::from([tag]));
    let signature = sent.authorization.as_deref().unwrap();
    assert!(signature.contains("AKIATEST/"), "{signature}");
    assert!(signature.contains("/eu-west-1/ses/"), "{signature}");
}

#[tokio::test]
async fn one_mail_too_many_is_for_later() {
    let SendError::NotNow(reason) = outcome(Reply::Throttle).await else {
        panic!("it was not taken, and certainly not sent");
    };
    assert!(reason.contains("429 TooManyRequestsException"), "{reason}");
}

#[tokio::test]
async fn a_server_error_leaves_it_unknown_whether_the_mail_was_sent() {
    for (reply, status) in [(Reply::ServerError, "500"), (Reply::Unavailable, "503")] {
        let outcome = outcome(reply).await;
        let SendError::Unknown(reason) = &outcome else {
            panic!("{outcome:?}");
        };
        assert!(reason.contains(status), "{reason}");
    }
}

#[tokio::test]
async fn a_rejected_mail_is_refused_for_the_reason_that_ses_gives() {
    let outcome = outcome(Reply::Reject(SesRejection::MessageRejected)).await;
    let reason = "SES 400 MessageRejected: Email address is not verified in this region.";
    assert_eq!(outcome, SendError::Refused(reason.into()));
}

#[tokio::test]
async fn a_refusal_does_not_tell_the_address() {
    let body = format!(r#"{{"message":"Email address is not verified: {JANE}"}}"#);
    let endpoint = refusing(body).await;
    let reason = "SES 400 MessageRejected: Email address is not verified: ***";
    let refused = SendError::Refused(reason.into());
    assert_eq!(send(&endpoint).await, Err(refused));
}

/// A server that refuses one message with `body`; the fake never quotes an address.
async fn refusing(body: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = [0; 16 * 1024];
        assert_ne!(stream.read(&mut request).await.unwrap(), 0);
        let length = body.len();
        let answer = format!(
            "HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\n\
             x-amzn-errortype: MessageRejected\r\ncontent-length: {length}\r\n\r\n{body}"
        );
        stream.write_all(answer.as_bytes()).await.unwrap();
        // Closing with something unread would reset the connection under the answer.
        while stream.read(&mut request).await.is_ok_and(|count| count > 0) {}
    });
    endpoint
}

#[tokio::test]
async fn bad_credentials_are_not_the_fault_of_the_mail() {
    let outcome = outcome(Reply::BadCredentials).await;
    assert!(matches!(outcome, SendError::Away(_)), "{outcome:?}");
}

#[tokio::test]
async fn an_account_that_may_not_send_is_not_the_fault_of_the_mail() {
    for rejection in [SesRejection::AccountSuspended, SesRejection::SendingPaused] {
        let outcome = outcome(Reply::Reject(rejection)).await;
        assert!(matches!(outcome, SendError::Away(_)), "{outcome:?}");
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
async fn a_connection_that_breaks_leaves_it_unknown_whether_the_mail_was_sent() {
    for reply in [Reply::ResetBefore, Reply::AcceptThenReset] {
        let outcome = outcome(reply).await;
        assert!(matches!(outcome, SendError::Unknown(_)), "{outcome:?}");
    }
}

#[tokio::test]
async fn an_unreadable_answer_leaves_it_unknown_whether_the_mail_was_sent() {
    let outcome = outcome(Reply::Malformed).await;
    assert!(matches!(outcome, SendError::Unknown(_)), "{outcome:?}");
}

#[tokio::test]
async fn an_attempt_without_an_answer_ends_after_eight_seconds() {
    let start = Instant::now();
    let outcome = outcome(Reply::Hang).await;
    assert!(matches!(outcome, SendError::Unknown(_)), "{outcome:?}");
    let took = start.elapsed();
    let limit = Duration::from_secs(8);
    assert!(took >= limit && took < limit * 5, "{took:?}");
}
