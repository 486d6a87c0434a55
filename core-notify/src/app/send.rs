//! One attempt to send one message.

use jiff::Timestamp;

use super::deliver::Notifier;
use crate::event::Event;
use crate::lane::{Ambiguous, Lane};
use crate::notification::Channel;
use crate::outcome::Delivery;
use crate::ports::{Attempt, AttemptOutcome, Job, Mail, SendError, StoreError, Text};
use crate::retry::delay_after;

/// What became of one channel.
pub(super) enum Sent {
    Yes,
    Refused(String),
    Parked(String),
    NotNow(String),
    Away(String),
}

impl Notifier {
    /// One attempt at one notification, recorded, unless the provider is out of order.
    pub(super) async fn send(
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
            outcome: answer
                .as_ref()
                .map_or_else(AttemptOutcome::from, |_| AttemptOutcome::Sent),
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
                    to: job.recipient.as_str(),
                    subject: job.content.subject.as_deref().unwrap_or_default(),
                    html: &job.content.body,
                    plain: job.content.plain.as_deref().unwrap_or_default(),
                    notification_id: job.id,
                    order_id: event.order_id(),
                    happened_at: event.occurred_at,
                };
                self.email.send(mail).await
            }
            Channel::Sms => {
                let text = Text {
                    to: job.recipient.as_str(),
                    body: &job.content.body,
                    notification_id: job.id,
                    order_id: event.order_id(),
                    happened_at: event.occurred_at,
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
    let open = lane.breaker.failed(job.recipient.as_str(), now);
    if open && !was_open {
        tracing::error!(channel, "the provider is out of order; sending pauses");
    }
    open
}

/// What a provider says, as any store can keep it.
fn storable(text: &str) -> String {
    text.replace(char::is_control, " ")
}
