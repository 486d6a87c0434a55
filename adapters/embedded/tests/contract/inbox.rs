//! What the inbox captures, and the faults it can be told to have.

use std::sync::Arc;

use core_kernel::{NotificationId, OrderId};
use core_notify::{
    Channel, EmailSender, FaultKind, FaultScript, Inbox, InboxFilter, Mail, SendError, SmsSender,
    Text,
};
use mail_parser::{MessageParser, MimeHeaders};
use shopflow_embedded::{Database, InboxEmailSender, InboxSmsSender};

const SUBJECT: &str = "Grüße – Order Confirmation - #b2c3d4e5 with a subject that has to be folded";
const HTML: &str = "<p>\"Tom & Jerry\" 日本 🎉 = 100%</p>";
const PLAIN: &str = "\"Tom & Jerry\" 日本 🎉 = 100%\n.\nFrom here\n";

struct Post {
    database: Database,
    script: Arc<FaultScript>,
    email: InboxEmailSender,
    sms: InboxSmsSender,
    order_id: OrderId,
}

impl Post {
    async fn open() -> Self {
        let database = crate::memory().await;
        let script = Arc::new(FaultScript::default());
        Self {
            email: database
                .email_sender("ShopFlow <noreply@shopflow.local>", script.clone())
                .unwrap(),
            sms: database.sms_sender(script.clone()),
            order_id: OrderId::generate(),
            database,
            script,
        }
    }

    async fn mail(&self) -> Result<String, SendError> {
        let mail = Mail {
            to: "jane.doe@example.com",
            subject: SUBJECT,
            html: HTML,
            plain: PLAIN,
            notification_id: NotificationId::generate(),
            order_id: Some(self.order_id),
            happened_at: jiff::Timestamp::UNIX_EPOCH,
        };
        self.email.send(mail).await
    }

    async fn text(&self) -> Result<String, SendError> {
        let text = Text {
            to: "+15551234567",
            body: "Your order is on its way",
            notification_id: NotificationId::generate(),
            order_id: Some(self.order_id),
            happened_at: jiff::Timestamp::UNIX_EPOCH,
        };
        self.sms.send(text).await
    }

    async fn captured(&self, filter: InboxFilter) -> Vec<core_notify::InboxMessage> {
        self.database.inbox().list(&filter, 100).await.unwrap()
    }
}

#[tokio::test]
async fn a_mail_is_captured_whole() {
    let post = Post::open().await;
    let reference = post.mail().await.unwrap();
    let captured = post.captured(InboxFilter::default()).await;
    assert_eq!(captured.len(), 1);
    let mail = &captured[0];
    assert_eq!(reference, format!("inbox-{}", mail.id));
    assert_eq!(
        (mail.channel, &*mail.to),
        (Channel::Email, "jane.doe@example.com")
    );
    assert_eq!(mail.subject.as_deref(), Some(SUBJECT));
    assert_eq!((mail.html.as_deref(), &*mail.text), (Some(HTML), PLAIN));
    assert_eq!(mail.order_id, Some(post.order_id));
    let found = post.database.inbox().find(mail.id).await.unwrap();
    assert_eq!(found.as_ref(), Some(mail));
}

#[tokio::test]
async fn any_mail_program_can_read_the_raw_mail() {
    let post = Post::open().await;
    post.mail().await.unwrap();
    let id = post.captured(InboxFilter::default()).await[0].id;
    let raw = post.database.inbox().raw(id).await.unwrap().unwrap();
    for line in raw.split(|byte| *byte == b'\n') {
        assert!(line.len() < 998 && line.is_ascii(), "RFC 5322 §2.1.1");
    }
    let mail = MessageParser::default().parse(&raw).unwrap();
    assert_eq!(mail.subject(), Some(SUBJECT));
    let address = |list: Option<&mail_parser::Address<'_>>| {
        let first = list.and_then(|list| list.first()).unwrap();
        first.address().unwrap().to_owned()
    };
    assert_eq!(address(mail.from()), "noreply@shopflow.local");
    assert_eq!(address(mail.to()), "jane.doe@example.com");
    assert!(mail.date().is_some() && mail.message_id().is_some());
    let kind = mail.content_type().unwrap();
    assert_eq!(
        (kind.ctype(), kind.subtype()),
        ("multipart", Some("alternative"))
    );
    assert_eq!(mail.body_html(0).unwrap().trim_end(), HTML);
    let plain = mail.body_text(0).unwrap().replace("\r\n", "\n");
    assert_eq!(plain.trim_end(), PLAIN.trim_end());
}

#[tokio::test]
async fn a_text_is_captured_and_has_no_mime() {
    let post = Post::open().await;
    post.text().await.unwrap();
    let captured = post.captured(InboxFilter::default()).await;
    let text = &captured[0];
    assert_eq!((text.channel, &*text.to), (Channel::Sms, "+15551234567"));
    assert_eq!(
        (text.subject.as_ref(), text.html.as_ref(), &*text.text),
        (None, None, "Your order is on its way")
    );
    assert_eq!(post.database.inbox().raw(text.id).await.unwrap(), None);
}

#[tokio::test]
async fn the_list_is_newest_first_and_holds_what_passes_the_filter() {
    let post = Post::open().await;
    for _ in 0..3 {
        post.mail().await.unwrap();
        post.text().await.unwrap();
    }
    let all = post.captured(InboxFilter::default()).await;
    assert!(all.is_sorted_by(|a, b| a.id > b.id) && all.len() == 6);
    let filter = InboxFilter::default;
    for (filter, count) in [
        (
            InboxFilter {
                channel: Some(Channel::Sms),
                ..filter()
            },
            3,
        ),
        (
            InboxFilter {
                order_id: Some(post.order_id),
                ..filter()
            },
            6,
        ),
        (
            InboxFilter {
                order_id: Some(OrderId::generate()),
                ..filter()
            },
            0,
        ),
        (
            InboxFilter {
                to: Some("jane.doe@example.com".into()),
                ..filter()
            },
            3,
        ),
        (
            InboxFilter {
                before: Some(all[1].id),
                ..filter()
            },
            4,
        ),
    ] {
        assert_eq!(
            post.captured(filter.clone()).await.len(),
            count,
            "{filter:?}"
        );
    }
    let two = post.database.inbox().list(&filter(), 2).await.unwrap();
    assert_eq!(two, all[..2]);
}

#[tokio::test]
async fn each_fault_is_what_it_says_to_the_sender_and_only_a_lost_answer_captures() {
    let post = Post::open().await;
    for (fault, captured) in [
        ("throttle", 0),
        ("timeout", 0),
        ("refuse", 0),
        ("away", 0),
        ("lost", 1),
    ] {
        post.script.add(format!("email:{fault}:1").parse().unwrap());
        let error = post.mail().await.unwrap_err();
        let right = match fault {
            "throttle" => matches!(error, SendError::NotNow(_)),
            "refuse" => matches!(error, SendError::Refused(_)),
            "away" => matches!(error, SendError::Away(_)),
            _ => matches!(error, SendError::Unknown(_)),
        };
        assert!(right, "{fault}: {error:?}");
        let messages = post.captured(InboxFilter::default()).await;
        assert_eq!(messages.len(), captured, "{fault}");
    }
    post.mail().await.unwrap();
    let attempts = post.database.inbox().attempts(100).await.unwrap();
    let faults: Vec<_> = attempts.iter().map(|attempt| attempt.fault).collect();
    assert_eq!(
        faults,
        [
            None,
            Some(FaultKind::Lost),
            Some(FaultKind::Away),
            Some(FaultKind::Refuse),
            Some(FaultKind::Timeout),
            Some(FaultKind::Throttle)
        ]
    );
}

#[tokio::test]
async fn a_recipient_that_is_no_address_is_refused() {
    let post = Post::open().await;
    let mail = Mail {
        to: "nobody",
        subject: SUBJECT,
        html: HTML,
        plain: PLAIN,
        notification_id: NotificationId::generate(),
        order_id: Some(post.order_id),
        happened_at: jiff::Timestamp::UNIX_EPOCH,
    };
    let error = post.email.send(mail).await.unwrap_err();
    assert!(matches!(error, SendError::Refused(_)), "{error:?}");
}
