//! `shopflow notifications resend`.

use std::sync::Arc;

use anyhow::anyhow;
use core_kernel::{EventPublisher, NotificationId, RequestContext, SystemClock, Text};
use core_notify::{ResendError, Resends};
use serde_json::json;
use shopflow_amqp::AmqpPublisher;

use super::broken;
use crate::Failure;
use crate::admin::actor::actor;
use crate::admin::ask::confirm;
use crate::admin::output::{json, say};
use crate::admin::place::{Data, Place};
use crate::cli::{NotificationResendArgs, Output};
use crate::config::{Problems, Secret};

pub(super) async fn resend(args: &NotificationResendArgs) -> Result<(), Failure> {
    let mut problems = Problems::default();
    let place = args.place.check(&mut problems);
    let broker = match &place {
        Some(Place::Server(_)) => args.broker.required(&mut problems),
        _ => None,
    };
    let reason = args.reason.as_deref().map(Text::parse).transpose();
    let reason = problems.take("--reason", reason);
    let (place, reason) = problems.finish(place.zip(reason))?;
    let data = place.open("shopflow notifications", 2).await?;
    let resends = Resends {
        store: data.notifications(),
        queues: queues(&data, broker.as_ref()),
        clock: Arc::new(SystemClock),
    };
    let id: NotificationId = args.id.parse().map_err(|_| unknown(&args.id))?;
    let found = resends.sendable(id).await;
    let first = found.map_err(|error| failure(error, &args.id))?;
    let summary = &first.summary;
    let (channel, kind) = (summary.channel.as_str(), &summary.type_key);
    let question = format!(
        "Send {channel} {kind} to {} once more?",
        summary.recipient.as_str()
    );
    confirm(&question, args.yes.yes)?;
    let context = RequestContext::generate();
    let asked = resends.ask(&first, &actor(), reason, &context).await;
    let asked = asked.map_err(|error| failure(error, &args.id))?;
    match args.output.output {
        Output::Json => json(&json!({ "id": asked, "resend_of": id })),
        Output::Table => say(&format!("{id} goes out once more, as {asked}")),
    }
}

/// Where the notification service takes its work from.
fn queues(data: &Data, broker: Option<&Secret>) -> Arc<dyn EventPublisher> {
    match data {
        Data::Folder(database) => Arc::new(database.bus()),
        Data::Server(_) => {
            let url = broker.map(|url| url.expose().to_owned());
            Arc::new(AmqpPublisher::notifications(url.unwrap_or_default()))
        }
    }
}

fn unknown(id: &str) -> Failure {
    Failure::NotFound(format!("no notification has the id {id}"))
}

/// `id` is what was typed.
fn failure(error: ResendError, id: &str) -> Failure {
    let hint = match error {
        ResendError::NotFound => return unknown(id),
        ResendError::Store(error) => return broken(error),
        ResendError::NotTaken | ResendError::Event(_) => return anyhow!(error).into(),
        ResendError::Queue(_) => {
            let doubt = "it may go out all the same; look before asking again";
            return anyhow!(error).context(doubt).into();
        }
        ResendError::NotSent(_) => "to send what failed, see: shopflow dlq replay",
        ResendError::HadToken => "for another one, see: shopflow users reset-password",
        ResendError::Purged => "there is nothing to send",
    };
    Failure::Refused(format!("{id} cannot be sent again: {error}; {hint}"))
}
