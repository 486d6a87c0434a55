//! From an event to mails and texts.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use core_kernel::{Clock, NotificationId, RequestContext, chain};
use futures_util::future::{join, join_all};
use jiff::Timestamp;
use secrecy::ExposeSecret;

use crate::breaker::Breaker;
use crate::event::{Event, Subject};
use crate::message::Contact;
use crate::notification::{Channel, Content, Draft};
use crate::ports::{
    Attempt, AttemptOutcome, Claim, ContactReader, EmailSender, Job, Mail, NotificationStore,
    OrderReader, ReadError, SendError, SmsSender, StoreError, Text, TokenReader,
};
use crate::retry::delay_after;
use crate::template::{Facts, Links, Templates};

/// One delivery of an event by the broker.
#[derive(Clone, Copy, Debug)]
pub struct Delivery<'a> {
    /// The event as it came.
    pub body: &'a [u8],
    /// Which attempt this is, from 1. Only failures count, not crashes and outages.
    pub attempt: u32,
    /// Whether the event may have been worked on before: another attempt, or a crash.
    pub again: bool,
    /// Whether what had failed for good is to be tried once more: the bus has it anew, as after a
    /// replay, and not from us for another attempt. Still so after a crash, which must not swallow
    /// a replay; the price is that what was refused just before the crash is refused once more.
    pub revive: bool,
}

/// What is to become of a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All is recorded; it may be forgotten.
    Done,
    /// It failed; try again after this long, as the next attempt.
    Retry {
        /// How long to wait: one of [`DELAYS`](crate::DELAYS), since a bus may have a queue for each.
        after: Duration,
        /// Why it failed.
        reason: String,
    },
    /// Another holds a part of it; look again soon, as the same attempt.
    Held,
    /// A neighbour is out of order; wait until it is back, as the same attempt.
    Wait {
        /// Who, and what is wrong.
        reason: String,
    },
    /// It can never succeed, or has used up its attempts.
    Dead {
        /// The kind of failure: `poison`, `refused`, `exhausted`, `render`, `expired` when what the
        /// mail was to carry works no more, or `ambiguous` when a message that may have been sent is
        /// not to be sent again.
        class: &'static str,
        /// Why, the provider's own words in it.
        reason: String,
        /// The channels that failed; empty when it came to none.
        channels: Vec<Channel>,
    },
}

impl Outcome {
    /// A word for it in metrics: `done`, `retry`, `held`, `wait`, `dead`.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Retry { .. } => "retry",
            Self::Held => "held",
            Self::Wait { .. } => "wait",
            Self::Dead { .. } => "dead",
        }
    }
}

/// What became of one channel.
enum Sent {
    Yes,
    Refused(String),
    Parked(String),
    NotNow(String),
    Away(String),
}

/// What is done when a provider's answer was lost, so that nobody knows whether it took a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ambiguous {
    /// Send it again: rather twice than never.
    #[default]
    Retry,
    /// Leave it to people: it fails, and is a dead letter of class `ambiguous`.
    Park,
}

/// What is kept for each channel.
#[derive(Debug, Default)]
pub struct Lane {
    /// What is done when an answer was lost.
    pub ambiguous: Ambiguous,
    /// Pauses sending while the provider is out of order.
    pub breaker: Breaker,
}

/// What a notifier learns from one event for the next.
#[derive(Debug, Default)]
pub struct Lanes {
    /// Of mails.
    pub email: Lane,
    /// Of texts.
    pub sms: Lane,
    /// Of the order service, which may answer nonsense.
    pub orders: Breaker,
    /// Of the auth service, likewise.
    pub auth: Breaker,
}

impl Lanes {
    /// That of a channel.
    #[must_use]
    pub fn of(&self, channel: Channel) -> &Lane {
        match channel {
            Channel::Email => &self.email,
            Channel::Sms => &self.sms,
        }
    }
}

/// Carries events to mails and texts.
#[derive(Clone)]
pub struct Notifier {
    /// Tells what was ordered.
    pub orders: Arc<dyn OrderReader>,
    /// Tells how users are reached.
    pub contacts: Arc<dyn ContactReader>,
    /// Keeps the notifications.
    pub store: Arc<dyn NotificationStore>,
    /// Sends mails.
    pub email: Arc<dyn EmailSender>,
    /// Sends texts.
    pub sms: Arc<dyn SmsSender>,
    /// What is known of both ways. All notifiers of a process share it.
    pub lanes: Arc<Lanes>,
    /// Tells the one-time tokens that some mails carry.
    pub tokens: Arc<dyn TokenReader>,
    /// What they say.
    pub templates: Arc<Templates>,
    /// Where those with a token lead.
    pub links: Links,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// Works on what a bus delivers; the consumers of all buses call this.
#[async_trait]
pub trait EventHandler: Send + Sync {
    /// Works on one delivery and tells what is to become of it. Safe to repeat at any point.
    async fn handle(&self, delivery: Delivery<'_>, context: &RequestContext) -> Outcome;
}

#[async_trait]
impl EventHandler for Notifier {
    /// Writes the notifications down, sends what is not yet sent, and records what became of it
    /// (PRD §5.1).
    async fn handle(&self, delivery: Delivery<'_>, context: &RequestContext) -> Outcome {
        let event = match Event::parse(delivery.body) {
            Ok(event) => event,
            Err(poison) => return dead("poison", poison.to_string(), Vec::new()),
        };
        match self.claims(&event, delivery, context).await {
            Ok(claims) => self.deliver(&event, delivery, claims, context).await,
            Err(outcome) => outcome,
        }
    }
}

impl Notifier {
    /// Takes hold of the event's notifications, writing them first if they are not there yet.
    async fn claims(
        &self,
        event: &Event,
        delivery: Delivery<'_>,
        context: &RequestContext,
    ) -> Result<Vec<Claim>, Outcome> {
        if delivery.again {
            let known = self.store.reclaim(event.id, delivery.revive).await;
            let known = known.map_err(|error| from_store(&error, delivery.attempt))?;
            if !known.is_empty() {
                return Ok(known);
            }
        }
        let contact = self.contacts.contact(event.user_id, context);
        let drafts = match event.subject {
            Subject::Order(id) => {
                let (order, contact) = join(self.orders.order(id, context), contact).await;
                let order = self.was_read(event, &self.lanes.orders, order, delivery.attempt)?;
                let contact = self.was_read(event, &self.lanes.auth, contact, delivery.attempt)?;
                self.compose(event, Facts::Order(&order), &contact)?
            }
            Subject::Account(_) => {
                let contact =
                    self.was_read(event, &self.lanes.auth, contact.await, delivery.attempt)?;
                self.compose(event, Facts::Token(&self.links), &contact)?
            }
        };
        let claims = self.store.enqueue(&drafts).await;
        claims.map_err(|error| from_store(&error, delivery.attempt))
    }

    /// What a neighbour told. One that makes no sense for event after event is out of order, and is
    /// waited for; for one event alone it uses up attempts.
    fn was_read<T>(
        &self,
        event: &Event,
        neighbour: &Breaker,
        answer: Result<T, ReadError>,
        attempt: u32,
    ) -> Result<T, Outcome> {
        let error = match answer {
            Ok(answer) => {
                neighbour.succeeded();
                return Ok(answer);
            }
            Err(error) => error,
        };
        let broken = matches!(error, ReadError::Broken(..));
        if broken && neighbour.failed(event.id, self.clock.now()) {
            return Err(Outcome::Wait {
                reason: chain(&error),
            });
        }
        Err(from_read(&error, attempt))
    }

    fn compose(
        &self,
        event: &Event,
        facts: Facts<'_>,
        contact: &Contact,
    ) -> Result<Vec<Draft>, Outcome> {
        let rendered = self
            .templates
            .render(event.kind, facts, contact)
            .map_err(|error| dead("render", error.to_string(), Vec::new()))?;
        let draft = |channel, recipient: &str, content| Draft {
            id: NotificationId::generate(),
            event_id: event.id,
            user_id: event.user_id,
            order_id: event.order_id(),
            channel,
            type_key: event.kind.type_key(),
            recipient: recipient.to_owned(),
            content,
            created_at: self.clock.now(),
        };
        let mail = Content {
            subject: Some(rendered.subject),
            body: rendered.html,
            plain: Some(rendered.plain),
        };
        let mut drafts = vec![draft(Channel::Email, &contact.email, mail)];
        if let (Some(phone), Some(body)) = (&contact.phone, rendered.sms) {
            let text = Content {
                subject: None,
                body,
                plain: None,
            };
            drafts.push(draft(Channel::Sms, phone, text));
        }
        Ok(drafts)
    }

    /// Puts the one-time token into what is about to be sent, if there is to be one.
    async fn unmask(
        &self,
        event: &Event,
        attempt: u32,
        jobs: &mut [Job],
        context: &RequestContext,
    ) -> Result<(), Outcome> {
        let Subject::Account(id) = event.subject else {
            return Ok(());
        };
        if jobs.is_empty() {
            return Ok(());
        }
        let error = match self.tokens.token(id, context).await {
            Ok(token) => {
                for job in jobs {
                    job.content = job.content.unmasked(token.expose_secret());
                }
                return Ok(());
            }
            Err(error) => error,
        };
        let outcome = from_read(&error, attempt);
        for job in jobs {
            let recorded = match &outcome {
                Outcome::Dead { reason, .. } => self.store.mark_failed(job, None, reason).await,
                _ => self.store.release(job, None, &chain(&error)).await,
            };
            recorded.map_err(|error| from_store(&error, attempt))?;
        }
        Err(outcome)
    }

    /// Sends what was claimed, both channels at once, and sums up.
    async fn deliver(
        &self,
        event: &Event,
        delivery: Delivery<'_>,
        claims: Vec<Claim>,
        context: &RequestContext,
    ) -> Outcome {
        let attempt = delivery.attempt;
        let retry = delay_after(attempt);
        let mut held = false;
        let mut failed = Vec::new();
        let mut jobs = Vec::new();
        for claim in claims {
            match claim {
                Claim::Send(job) => jobs.push(job),
                Claim::Held(_) => held = true,
                Claim::Failed(channel, reason) => failed.push((channel, reason)),
                Claim::Sent(_) => {}
            }
        }
        if let Err(outcome) = self.unmask(event, attempt, &mut jobs, context).await {
            return outcome;
        }
        // What had failed before the last attempt had not run out of attempts.
        let mut refused = !failed.is_empty() && retry.is_some();
        let mut parked = false;
        let (mut away, mut not_now) = (None, None);
        let sends = jobs.iter().map(|job| self.send(event, job, delivery));
        let outcomes = join_all(sends).await;
        for (job, outcome) in jobs.iter().zip(outcomes) {
            match outcome {
                Ok(Sent::Yes) => {}
                Ok(Sent::Away(reason)) => away = Some(reason),
                Ok(Sent::Refused(reason)) => {
                    refused = true;
                    failed.push((job.channel, reason));
                }
                Ok(Sent::Parked(reason)) => {
                    parked = true;
                    failed.push((job.channel, reason));
                }
                Ok(Sent::NotNow(reason)) if retry.is_some() => not_now = Some(reason),
                Ok(Sent::NotNow(reason)) => failed.push((job.channel, reason)),
                Err(error) => return from_store(&error, attempt),
            }
        }
        match (away, not_now, retry) {
            (Some(reason), _, _) => Outcome::Wait { reason },
            (None, Some(reason), Some(after)) => Outcome::Retry { after, reason },
            _ if held => Outcome::Held,
            _ if failed.is_empty() => Outcome::Done,
            _ => {
                let class = match (parked, refused) {
                    (true, _) => "ambiguous",
                    (false, true) => "refused",
                    (false, false) => "exhausted",
                };
                let channels = failed.iter().map(|(channel, _)| *channel).collect();
                let reasons: Vec<_> = failed
                    .into_iter()
                    .map(|(channel, reason)| format!("{}: {reason}", channel.as_str()))
                    .collect();
                dead(class, reasons.join("; "), channels)
            }
        }
    }

    /// One attempt at one notification, recorded, unless the provider is out of order.
    async fn send(
        &self,
        event: &Event,
        job: &Job,
        delivery: Delivery<'_>,
    ) -> Result<Sent, StoreError> {
        let (id, channel) = (job.id, job.channel.as_str());
        let lane = self.lanes.of(job.channel);
        if job.maybe_sent {
            // Who replays a dead letter has decided.
            if lane.ambiguous == Ambiguous::Park && !delivery.revive {
                let reason = "an earlier attempt may have been sent";
                self.store.mark_failed(job, None, reason).await?;
                return Ok(Sent::Parked(reason.to_owned()));
            }
            tracing::warn!(event_id = %event.id, notification_id = %id, channel,
                "an earlier attempt may have been sent; sending again");
        }
        let began_at = self.clock.now();
        if !lane.breaker.admits(began_at) {
            let reason = format!("sending is paused: the {channel} provider is out of order");
            self.store.release(job, None, &reason).await?;
            return Ok(Sent::Away(reason));
        }
        let answer = self.call(event, job).await;
        let ended_at = self.clock.now();
        let attempt = Attempt {
            number: job.claim,
            began_at,
            ended_at: Some(ended_at),
            outcome: outcome_of(&answer),
            provider_ref: answer.as_deref().ok().map(storable),
            reason: answer
                .as_ref()
                .err()
                .map(|error| storable(&error.to_string())),
        };
        let paused = learn(lane, job, &answer, ended_at);
        let Err(error) = answer else {
            self.store.mark_sent(job, &attempt).await;
            tracing::info!(event_id = %event.id,
                order_id = event.order_id().map(tracing::field::display),
                notification_id = %id, channel, provider_ref = attempt.provider_ref,
                "notification sent");
            return Ok(Sent::Yes);
        };
        tracing::warn!(event_id = %event.id,
            order_id = event.order_id().map(tracing::field::display),
            notification_id = %id, channel, error = %error, "notification not sent");
        let reason = attempt.reason.clone().unwrap_or_default();
        let parks = lane.ambiguous == Ambiguous::Park && matches!(error, SendError::Unknown(_));
        let sent = match error {
            SendError::Refused(_) => Sent::Refused(reason.clone()),
            _ if parks => Sent::Parked(reason.clone()),
            SendError::Away(_) => Sent::Away(reason.clone()),
            _ if paused => Sent::Away(reason.clone()),
            SendError::NotNow(_) | SendError::Unknown(_) => Sent::NotNow(reason.clone()),
        };
        let last = delay_after(delivery.attempt).is_none();
        let fails = match sent {
            Sent::Refused(_) | Sent::Parked(_) => true,
            Sent::NotNow(_) => last,
            Sent::Away(_) | Sent::Yes => false,
        };
        match fails {
            true => self.store.mark_failed(job, Some(&attempt), &reason).await?,
            false => self.store.release(job, Some(&attempt), &reason).await?,
        }
        Ok(sent)
    }

    /// Hands a message to its provider.
    async fn call(&self, event: &Event, job: &Job) -> Result<String, SendError> {
        match job.channel {
            Channel::Email => {
                let mail = Mail {
                    to: &job.recipient,
                    subject: job.content.subject.as_deref().unwrap_or_default(),
                    html: &job.content.body,
                    plain: job.content.plain.as_deref().unwrap_or_default(),
                    notification_id: job.id,
                    order_id: event.order_id(),
                };
                self.email.send(mail).await
            }
            Channel::Sms => {
                let text = Text {
                    to: &job.recipient,
                    body: &job.content.body,
                    notification_id: job.id,
                    order_id: event.order_id(),
                };
                self.sms.send(text).await
            }
        }
    }
}

/// Lets the breaker know of an answer; true when sending is paused now.
fn learn(lane: &Lane, job: &Job, answer: &Result<String, SendError>, now: Timestamp) -> bool {
    let channel = job.channel.as_str();
    if matches!(answer, Ok(_) | Err(SendError::Refused(_))) {
        if lane.breaker.succeeded() {
            tracing::info!(channel, "the provider is back; sending goes on");
        }
        return false;
    }
    let was_open = lane.breaker.is_open();
    let open = lane.breaker.failed(&job.recipient, now);
    if open && !was_open {
        tracing::error!(channel, "the provider is out of order; sending pauses");
    }
    open
}

fn outcome_of(answer: &Result<String, SendError>) -> AttemptOutcome {
    match answer {
        Ok(_) => AttemptOutcome::Sent,
        Err(SendError::Refused(_)) => AttemptOutcome::Refused,
        Err(SendError::NotNow(_)) => AttemptOutcome::NotNow,
        Err(SendError::Away(_)) => AttemptOutcome::Away,
        Err(SendError::Unknown(_)) => AttemptOutcome::Unknown,
    }
}

fn dead(class: &'static str, reason: String, channels: Vec<Channel>) -> Outcome {
    Outcome::Dead {
        class,
        reason,
        channels,
    }
}

/// What a provider says, as any store can keep it.
fn storable(text: &str) -> String {
    text.replace(char::is_control, " ")
}

/// Our own database away is nothing that an attempt should be counted for; a row that it cannot
/// take or read is.
fn from_store(error: &StoreError, attempt: u32) -> Outcome {
    match error {
        StoreError::Unavailable(_) => Outcome::Wait {
            reason: chain(error),
        },
        StoreError::Broken(_) => again(chain(error), attempt),
    }
}

fn again(reason: String, attempt: u32) -> Outcome {
    match delay_after(attempt) {
        Some(after) => Outcome::Retry { after, reason },
        None => dead("exhausted", reason, Vec::new()),
    }
}

fn from_read(error: &ReadError, attempt: u32) -> Outcome {
    let reason = chain(error);
    match error {
        ReadError::Away(..) => Outcome::Wait { reason },
        ReadError::Gone(_) => dead("expired", reason, Vec::new()),
        ReadError::NotFound(_) | ReadError::Broken(..) => again(reason, attempt),
    }
}
