//! Senders that capture.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use core_kernel::{NotificationId, OrderId};
use core_notify::{Channel, EmailSender, FaultKind, FaultScript, Mail, SendError, SmsSender, Text};
use lettre::address::AddressError;
use lettre::message::Mailbox;
use sqlx::SqliteConnection;

use super::mime;
use crate::database::Database;
use crate::value::Micros;

const CAPTURE: &str = "
    INSERT INTO inbox_messages (notification_id, order_id, channel, recipient, subject, text, html,
                                mime, created_at)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";

const LOG: &str = "
    INSERT INTO inbox_attempts (notification_id, order_id, channel, fault, at)
    VALUES (?1, ?2, ?3, ?4, ?5)";

/// How long a caller waits for an answer that never comes.
const TIMEOUT: Duration = Duration::from_secs(1);

/// What is captured of a mail or a text.
struct Capture {
    notification_id: NotificationId,
    order_id: Option<OrderId>,
    channel: Channel,
    to: String,
    subject: Option<String>,
    text: String,
    html: Option<String>,
    mime: Option<Vec<u8>>,
}

impl Capture {
    async fn insert(self, connection: &mut SqliteConnection, at: Micros) -> sqlx::Result<i64> {
        sqlx::query(CAPTURE)
            .bind(self.notification_id.0)
            .bind(self.order_id.map(|id| id.0))
            .bind(self.channel.as_str())
            .bind(self.to)
            .bind(self.subject)
            .bind(self.text)
            .bind(self.html)
            .bind(self.mime)
            .bind(at)
            .execute(connection)
            .await
            .map(|done| done.last_insert_rowid())
    }
}

/// What both senders share.
#[derive(Clone, Debug)]
struct Sink {
    database: Database,
    script: Arc<FaultScript>,
}

impl Sink {
    /// One attempt: the fault that it is to meet, or the capture.
    async fn attempt(&self, capture: Capture) -> Result<String, SendError> {
        let fault = self.script.next(capture.channel, &capture.to);
        let id = self.record(capture, fault).await.map_err(|error| {
            // Nothing was captured, and nothing is wrong with the message.
            SendError::Away(format!("the inbox cannot be written: {error}"))
        })?;
        match fault {
            None => Ok(format!("inbox-{id}")),
            Some(FaultKind::Throttle) => Err(SendError::NotNow("throttled on demand".into())),
            Some(FaultKind::Timeout) => {
                tokio::time::sleep(TIMEOUT).await;
                Err(SendError::Unknown("no answer, on demand".into()))
            }
            Some(FaultKind::Refuse) => Err(SendError::Refused("refused on demand".into())),
            Some(FaultKind::Lost) => {
                let lost = "sent, but the answer was lost, on demand";
                Err(SendError::Unknown(lost.into()))
            }
            Some(FaultKind::Away) => Err(SendError::Away("out of order on demand".into())),
        }
    }

    /// Writes the attempt down, and the message if it is taken, in one transaction.
    async fn record(&self, capture: Capture, fault: Option<FaultKind>) -> sqlx::Result<i64> {
        let at = Micros(self.database.clock.now());
        let mut transaction = self.database.write().await?;
        sqlx::query(LOG)
            .bind(capture.notification_id.0)
            .bind(capture.order_id.map(|id| id.0))
            .bind(capture.channel.as_str())
            .bind(fault.map(FaultKind::as_str))
            .bind(at)
            .execute(&mut *transaction)
            .await?;
        let id = match fault {
            None | Some(FaultKind::Lost) => capture.insert(&mut transaction, at).await?,
            Some(_) => 0,
        };
        transaction.commit().await?;
        Ok(id)
    }
}

/// Captures mails.
#[derive(Clone, Debug)]
pub struct InboxEmailSender {
    sink: Sink,
    from: Mailbox,
}

impl InboxEmailSender {
    pub(crate) fn new(
        database: Database,
        from: &str,
        script: Arc<FaultScript>,
    ) -> Result<Self, AddressError> {
        Ok(Self {
            sink: Sink { database, script },
            from: from.parse()?,
        })
    }
}

#[async_trait]
impl EmailSender for InboxEmailSender {
    async fn send<'a>(&self, mail: Mail<'a>) -> Result<String, SendError> {
        let at = self.sink.database.clock.now();
        let mime = mime::build(&self.from, mail, at)
            .map_err(|error| SendError::Refused(format!("no mail can be made of it: {error}")))?;
        let capture = Capture {
            notification_id: mail.notification_id,
            order_id: mail.order_id,
            channel: Channel::Email,
            to: mail.to.to_owned(),
            subject: Some(mail.subject.to_owned()),
            text: mail.plain.to_owned(),
            html: Some(mail.html.to_owned()),
            mime: Some(mime),
        };
        self.sink.attempt(capture).await
    }
}

/// Captures texts.
#[derive(Clone, Debug)]
pub struct InboxSmsSender(Sink);

impl InboxSmsSender {
    pub(crate) fn new(database: Database, script: Arc<FaultScript>) -> Self {
        Self(Sink { database, script })
    }
}

#[async_trait]
impl SmsSender for InboxSmsSender {
    async fn send<'a>(&self, text: Text<'a>) -> Result<String, SendError> {
        let capture = Capture {
            notification_id: text.notification_id,
            order_id: text.order_id,
            channel: Channel::Sms,
            to: text.to.to_owned(),
            subject: None,
            text: text.body.to_owned(),
            html: None,
            mime: None,
        };
        self.0.attempt(capture).await
    }
}
