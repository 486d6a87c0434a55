//! `shopflow orders explain`: one timeline from all services, and what the order is waiting for.

mod timeline;
mod waiting;

use anyhow::{Context, anyhow};
use core_auth::User;
use core_kernel::{OrderId, UserId, chain, wire_time};
use core_notify::{
    Attempt, DeadLetter, Discarded, LetterFilter, NotificationFilter, NotificationPosition, Summary,
};
use core_orders::{HistoryEntry, Order, TrailEvent};
use futures_util::future::join3;
use serde_json::{Value, json};
use uuid::Uuid;

use super::dlq::LettersPlace;
use super::orders::{order_id, unknown};
use super::output::{facts, json, say, table, when};
use super::place::{Data, Place, failed};
use crate::Failure;
use crate::cli::{ExplainArgs, Output};
use crate::config::{DatabaseConfig, Problems, Secret};
use timeline::timeline;
use waiting::waiting_for;

/// More than any order has: two events, two channels, and what was sent again.
const MOST: u32 = 100;

const COMMAND: &str = "shopflow orders";

/// What one service tells, or why it does not.
type Part<T> = Result<T, String>;

/// What the order service has of an order.
struct Own {
    order: Order,
    history: Vec<HistoryEntry>,
    events: Vec<TrailEvent>,
}

/// What the notification service has of it.
struct Notified {
    all: Vec<(Summary, Vec<Attempt>)>,
    /// Its dead letters that were discarded on purpose.
    discarded: Vec<Discarded>,
}

/// All that is known of an order.
struct Known {
    id: OrderId,
    own: Part<Own>,
    customer: Part<Option<User>>,
    notified: Part<Notified>,
    letters: Part<Vec<DeadLetter>>,
}

/// Where the other services keep what they know of the order.
struct Elsewhere {
    auth: Option<DatabaseConfig>,
    notify: Option<DatabaseConfig>,
    broker: Option<Secret>,
}

pub(super) async fn run(args: &ExplainArgs) -> Result<(), Failure> {
    let mut problems = Problems::default();
    let place = args.order.place.check(&mut problems);
    let auth = args.auth.check(&mut problems);
    let notify = args.notify.check(&mut problems);
    let broker = args.broker.optional(&mut problems);
    let place = problems.finish(place)?;
    let id = order_id(&args.order.id)?;
    let elsewhere = Elsewhere {
        auth,
        notify,
        broker,
    };
    let known = known(&place, elsewhere, id).await?;
    let known = known.ok_or_else(|| unknown(&args.order.id))?;
    match args.order.output.output {
        Output::Json => json(&as_json(&known))?,
        Output::Table => as_text(&known)?,
    }
    match known.own.is_err() && timeline(&known).is_empty() {
        true => Err(anyhow!("nothing is known of it").into()),
        false => Ok(()),
    }
}

/// Nothing if the order service says that there is no such order.
async fn known(place: &Place, elsewhere: Elsewhere, id: OrderId) -> Result<Option<Known>, Failure> {
    let data = place.open(COMMAND, 2).await?;
    let notified = notified(&data, elsewhere.notify, id);
    let letters = letters(place, elsewhere.broker.as_ref(), id);
    let (own, notified, letters) = join3(own(&data, id), notified, letters).await;
    let own = match own {
        Ok(Some(own)) => Ok(own),
        Ok(None) => return Ok(None),
        Err(error) => Err(chain(&*error)),
    };
    let mut known = Known {
        id,
        own,
        customer: Err("nobody tells whose order it is".to_owned()),
        notified: notified.map_err(|error| chain(&*error)),
        letters: letters.map_err(|error| chain(&*error)),
    };
    if let Some(user) = known.user_id() {
        let customer = customer(&data, elsewhere.auth, user).await;
        known.customer = customer.map_err(|error| chain(&*error));
    }
    Ok(Some(known))
}

async fn own(data: &Data, id: OrderId) -> anyhow::Result<Option<Own>> {
    let orders = data.orders();
    let found = orders.find(id).await.with_context(|| failed("orders"))?;
    let Some(order) = found else {
        return Ok(None);
    };
    let history = orders.history(id).await;
    let events = data.trail().events(id).await;
    Ok(Some(Own {
        order,
        history: history.with_context(|| failed("orders"))?,
        events: events.with_context(|| failed("orders"))?,
    }))
}

/// The order's dead letters: on the broker, or in the folder.
async fn letters(
    place: &Place,
    broker: Option<&Secret>,
    id: OrderId,
) -> anyhow::Result<Vec<DeadLetter>> {
    let desk = LettersPlace::of(place, broker).await?;
    let filter = LetterFilter {
        order_id: Some(id),
        ..LetterFilter::default()
    };
    Ok(desk.list(&filter, None).await?)
}

async fn customer(
    own: &Data,
    elsewhere: Option<DatabaseConfig>,
    id: UserId,
) -> anyhow::Result<Option<User>> {
    let users = own.beside(elsewhere, COMMAND).await?.users();
    users.find(id).await.with_context(|| failed("auth"))
}

async fn notified(
    own: &Data,
    elsewhere: Option<DatabaseConfig>,
    id: OrderId,
) -> anyhow::Result<Notified> {
    let data = own.beside(elsewhere, COMMAND).await?;
    let store = data.notifications();
    let filter = NotificationFilter {
        order_id: Some(id),
        scope: core_kernel::UserScope::All,
        channel: None,
        type_key: None,
        status: None,
    };
    let start = NotificationPosition {
        created_at: super::walk::start(),
        id: core_kernel::NotificationId(Uuid::nil()),
    };
    let found = store.list_after(&filter, start, MOST).await;
    let mut all = Vec::new();
    for summary in found.with_context(|| failed("notify"))?.items {
        let attempts = store.attempts(summary.id).await;
        all.push((summary, attempts.with_context(|| failed("notify"))?));
    }
    let discarded = data.dead_letter_log().discarded(&[id], &[]).await;
    let discarded = discarded.with_context(|| failed("notify"))?;
    Ok(Notified { all, discarded })
}

impl Known {
    /// Whose it is, as any of them tells.
    fn user_id(&self) -> Option<UserId> {
        let own = self.own.as_ref().ok().map(|own| own.order.user_id);
        let notified = self.notified.as_ref().ok();
        own.or_else(|| Some(notified?.all.first()?.0.user_id))
    }

    /// Which services tell nothing, and why.
    fn missing(&self) -> Vec<(&'static str, &str)> {
        let parts = [
            ("orders", self.own.as_ref().err()),
            ("auth", self.customer.as_ref().err()),
            ("notify", self.notified.as_ref().err()),
            ("dead letters", self.letters.as_ref().err()),
        ];
        let missing = parts.into_iter();
        let missing = missing.filter_map(|(service, why)| Some((service, &**why?)));
        missing.collect()
    }
}

fn as_json(known: &Known) -> Value {
    let missing = known.missing().into_iter();
    let missing = missing.map(|(service, error)| json!({ "service": service, "error": error }));
    let timeline = timeline(known);
    let timeline = timeline.iter().map(|one| {
        json!({
            "at": wire_time::format(one.at),
            "service": one.service,
            "what": one.what,
            "trace_id": one.trace_id,
        })
    });
    json!({
        "id": known.id,
        "status": known.own.as_ref().ok().map(|own| own.order.status().as_str()),
        "user_id": known.user_id(),
        "timeline": timeline.collect::<Vec<_>>(),
        "missing": missing.collect::<Vec<_>>(),
        "waiting_for": waiting_for(known),
    })
}

fn as_text(known: &Known) -> Result<(), Failure> {
    let customer = match &known.customer {
        Ok(Some(user)) => {
            let active = if user.is_active {
                "active"
            } else {
                "deactivated"
            };
            let phone = if user.phone.is_some() {
                "a phone"
            } else {
                "no phone"
            };
            format!("{}, {active}, {phone}", user.email.as_str())
        }
        Ok(None) => "has no account any more".to_owned(),
        Err(_) => String::new(),
    };
    let status = known.own.as_ref().map(|own| own.order.status().to_string());
    let user = known.user_id().map(|id| id.to_string());
    say(&facts(&[
        ("Order", known.id.to_string()),
        ("Status", status.unwrap_or_default()),
        ("User", user.unwrap_or_default()),
        ("Customer", customer),
    ]))?;
    let rows = timeline(known).into_iter().map(|one| {
        vec![
            when(one.at),
            one.service.to_owned(),
            one.what,
            one.trace_id.unwrap_or_default(),
        ]
    });
    let rows: Vec<_> = rows.collect();
    let head = ["AT", "SERVICE", "WHAT", "TRACE"];
    match rows.is_empty() {
        true => say("")?,
        false => say(&format!("\n{}\n", table(&head, rows)))?,
    }
    for (service, why) in known.missing() {
        say(&format!("Not told by {service}: {why}"))?;
    }
    say(&waiting_for(known))
}
