//! PostgreSQL and RabbitMQ, with stand-ins for SES and Twilio.

use super::seen::{Attempt, Channel, DeadLetter, Fault, Sent};
use crate::{
    Fake, FakeSes, FakeTwilio, Message, Provider, Received, Reply, Ses, SesRejection, Tap,
    TwilioText, Vhost, rabbitmq,
};
use serde_json::Value;
use std::{iter, time::Instant};

/// Where events are published.
pub(super) const EXCHANGE: &str = "order.events";
/// The queues of the notification service.
const QUEUES: [&str; 3] = [
    "notifications.order.created",
    "notifications.order.shipped",
    "notifications.user",
];
/// The waits between attempts, each a queue of its own.
const WAITS: [u64; 3] = [1, 4, 16];

/// What stands behind services that run one by one.
#[derive(Debug)]
pub struct Servers {
    /// The broker, from behind.
    pub vhost: Vhost,
    /// Where mails end up.
    pub ses: FakeSes,
    /// Where texts end up.
    pub twilio: FakeTwilio,
    since: Instant,
}

impl Servers {
    pub(super) async fn start() -> Self {
        Self {
            vhost: rabbitmq().await.vhost().await,
            ses: FakeSes::start(),
            twilio: FakeTwilio::start(),
            since: Instant::now(),
        }
    }

    pub(super) fn sent(&self, channel: Channel) -> Vec<Sent> {
        match channel {
            Channel::Email => self.ses.sent().into_iter().map(mail).collect(),
            Channel::Sms => self.twilio.sent().into_iter().map(text).collect(),
        }
    }

    pub(super) fn attempts(&self, channel: Channel) -> Vec<Attempt> {
        match channel {
            Channel::Email => attempts(&self.ses, self.since),
            Channel::Sms => attempts(&self.twilio, self.since),
        }
    }

    pub(super) fn fail(
        &self,
        channel: Channel,
        fault: Fault,
        count: Option<usize>,
        to: Option<&str>,
    ) {
        match channel {
            Channel::Email => {
                let (away, refused) = (SesRejection::SendingPaused, SesRejection::MessageRejected);
                let away = Reply::Reject(away);
                script(&self.ses, reply(fault, away, refused), count, to);
            }
            Channel::Sms => {
                let invalid_number = 21211;
                let reply = reply(fault, Reply::BadCredentials, invalid_number);
                script(&self.twilio, reply, count, to);
            }
        }
    }

    pub(super) fn heal(&self) {
        self.ses.heal();
        self.twilio.heal();
    }

    pub(super) async fn dead_letter(&self) -> Option<DeadLetter> {
        for queue in QUEUES {
            if let Some(message) = self.vhost.get(&format!("{queue}.dlq")).await {
                return Some(dead_letter(message));
            }
        }
        None
    }

    pub(super) async fn dead_letters(&self) -> u64 {
        self.depth(QUEUES.map(|queue| format!("{queue}.dlq"))).await
    }

    pub(super) async fn waiting(&self) -> u64 {
        self.depth(QUEUES.map(str::to_owned)).await
    }

    pub(super) async fn retrying(&self) -> u64 {
        let waits = |queue| WAITS.map(|seconds| format!("{queue}.retry.{seconds}s"));
        self.depth(QUEUES.into_iter().flat_map(waits)).await
    }

    async fn depth(&self, queues: impl IntoIterator<Item = String>) -> u64 {
        let mut depth = 0;
        for queue in queues {
            let waiting = self.vhost.queue_depth(&queue).await;
            depth += waiting.unwrap_or_else(|| panic!("there is no queue {queue}"));
        }
        depth
    }

    pub(super) async fn tap(&self) -> Tap {
        self.vhost.bind_tap(EXCHANGE, "#").await
    }
}

fn mail(received: Received<<Ses as Provider>::Message>) -> Sent {
    let mut mail = received.message;
    Sent {
        id: received.id,
        notification_id: mail.tags.remove("notification_id"),
        from: Some(mail.from),
        to: mail.to.join(", "),
        subject: mail.subject,
        html: mail.html.unwrap_or_default(),
        text: mail.text.unwrap_or_default(),
    }
}

fn text(received: Received<TwilioText>) -> Sent {
    let text = received.message;
    Sent {
        id: received.id,
        notification_id: None,
        from: Some(text.from),
        to: text.to,
        subject: String::new(),
        html: String::new(),
        text: text.body,
    }
}

fn attempts<P: Provider>(fake: &Fake<P>, since: Instant) -> Vec<Attempt> {
    let attempt = |request: &Received<_>| Attempt {
        at: request.at.duration_since(since),
        accepted: request.accepted,
    };
    fake.requests().iter().map(attempt).collect()
}

fn reply<R>(fault: Fault, away: Reply<R>, refused: R) -> Reply<R> {
    match fault {
        Fault::Throttle => Reply::Throttle,
        Fault::Timeout => Reply::ResetBefore,
        Fault::ServerError => Reply::ServerError,
        Fault::Refuse => Reply::Reject(refused),
        Fault::Lost => Reply::AcceptThenReset,
        Fault::Away => away,
    }
}

fn script<P: Provider>(
    fake: &Fake<P>,
    reply: Reply<P::Rejection>,
    count: Option<usize>,
    to: Option<&str>,
) {
    match (count, to) {
        (None, None) => fake.set_default(reply),
        (None, Some(to)) => fake.set_default_for(to, reply),
        (Some(count), None) => fake.script(iter::repeat_n(reply, count)),
        (Some(count), Some(to)) => fake.script_for(to, iter::repeat_n(reply, count)),
    }
}

fn dead_letter(message: Message) -> DeadLetter {
    let header = |name: &str| message.headers.get(name).and_then(Value::as_str);
    let text = |name: &str| header(name).unwrap_or_default().to_owned();
    let channels = header("x-failed-channels").into_iter();
    DeadLetter {
        body: String::from_utf8_lossy(&message.body).into_owned(),
        message_id: message.message_id.clone(),
        error_class: text("x-error-class"),
        error_message: text("x-error-message"),
        attempts: message.headers["x-attempts"].as_u64().unwrap_or_default(),
        first_failed_at: text("x-first-failed-at"),
        failed_at: text("x-failed-at"),
        failed_channels: channels
            .flat_map(|list| list.split(','))
            .map(|channel| channel.trim().to_owned())
            .collect(),
        amqp: Some(message),
    }
}
