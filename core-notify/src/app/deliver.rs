//! From an event to mails and texts.

use std::sync::Arc;

use async_trait::async_trait;
use core_kernel::{Clock, NotificationId, RequestContext, chain};
use futures_util::future::{join, join_all};
use secrecy::ExposeSecret;

use super::send::Sent;
use crate::breaker::Breaker;
use crate::event::{Event, Subject};
use crate::lane::Lanes;
use crate::message::Contact;
use crate::notification::{Channel, Content, Draft};
use crate::outcome::{Delivery, EventHandler, Outcome};
use crate::ports::{
    Claim, ContactReader, EmailSender, Job, NotificationStore, OrderReader, ReadError, SmsSender,
    StoreError, TokenReader,
};
use crate::retry::delay_after;
use crate::template::{Facts, Links, Templates};

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

#[async_trait]
impl EventHandler for Notifier {
    /// Writes the notifications down, sends what is not yet sent, and records what became of it
    /// (PRD §5.1).
    async fn handle(&self, delivery: Delivery<'_>, context: &RequestContext) -> Outcome {
        let event = match Event::parse(delivery.body) {
            Ok(event) => event,
            Err(poison) => return dead("poison", poison.to_string(), Vec::new()),
        };
        if let Some(order) = event.order_id() {
            tracing::Span::current().record("order_id", tracing::field::display(order));
        }
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
        let drafts = match &event.subject {
            Subject::Order(id) => {
                let (order, contact) = join(self.orders.order(*id, context), contact).await;
                let order = self.was_read(event, &self.lanes.orders, order, delivery.attempt)?;
                let contact = self.was_read(event, &self.lanes.auth, contact, delivery.attempt)?;
                self.compose(event, Facts::Order(&order), &contact)?
            }
            Subject::Account(_) => {
                let contact =
                    self.was_read(event, &self.lanes.auth, contact.await, delivery.attempt)?;
                self.compose(event, Facts::Token(&self.links), &contact)?
            }
            Subject::Notification(resend) => {
                vec![self.copy(event, resend, delivery.attempt).await?]
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
            recipient: recipient.into(),
            content,
            created_at: self.clock.now(),
            resent: None,
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
        let Subject::Account(id) = &event.subject else {
            return Ok(());
        };
        if jobs.is_empty() {
            return Ok(());
        }
        let error = match self.tokens.token(*id, context).await {
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
}

pub(super) fn dead(class: &'static str, reason: String, channels: Vec<Channel>) -> Outcome {
    Outcome::Dead {
        class,
        reason,
        channels,
    }
}

/// Our own database away is nothing that an attempt should be counted for; a row that it cannot
/// take or read is.
pub(super) fn from_store(error: &StoreError, attempt: u32) -> Outcome {
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
