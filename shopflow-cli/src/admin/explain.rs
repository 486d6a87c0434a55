//! `shopflow orders explain`: one timeline from all services, and what the order is waiting for.

mod timeline;
mod waiting;

use anyhow::Context;
use core_auth::User;
use core_kernel::{OrderId, UserId, chain, wire_time};
use core_notify::{
    Attempt, DeadLetter, LetterFilter, NotificationFilter, NotificationPosition, Summary,
};
use core_orders::{HistoryEntry, Order, TrailEvent};
use futures_util::future::join3;
use indicatif::ProgressBar;
use serde_json::{Value, json};
use uuid::Uuid;

use super::dlq::LettersPlace;
use super::orders::{broken, order_id, unknown};
use super::output::{facts, json, say, table, when};
use super::place::{Data, Place, failed};
use crate::Failure;
use crate::cli::{ExplainArgs, Output};
use crate::config::{DatabaseConfig, Problems, Secret};
use timeline::timeline;
use waiting::waiting_for;

/// More than any order has: two events, two channels, and what was sent again.
const MOST: u32 = 100;

/// What one service tells, or why it does not.
type Part<T> = Result<T, String>;

/// All that is known of an order.
struct Known {
    order: Order,
    history: Vec<HistoryEntry>,
    events: Vec<TrailEvent>,
    customer: Part<Option<User>>,
    notifications: Part<Vec<(Summary, Vec<Attempt>)>>,
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
    let [auth, notify] = args.others.check(&mut problems);
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
        Output::Json => json(&as_json(&known)),
        Output::Table => as_text(&known),
    }
}

async fn known(place: &Place, elsewhere: Elsewhere, id: OrderId) -> Result<Option<Known>, Failure> {
    let data = place.open("shopflow orders", 2).await?;
    let Some(order) = data.orders().find(id).await.map_err(broken)? else {
        return Ok(None);
    };
    let history = data.orders().history(id).await.map_err(broken)?;
    let events = data.trail().events(id).await.map_err(broken)?;
    let customer = customer(&data, elsewhere.auth, order.user_id);
    let notifications = notifications(&data, elsewhere.notify, id);
    let letters = letters(place, elsewhere.broker, id);
    let (customer, notifications, letters) = join3(customer, notifications, letters).await;
    Ok(Some(Known {
        order,
        history,
        events,
        customer: customer.map_err(|error| chain(&*error)),
        notifications: notifications.map_err(|error| chain(&*error)),
        letters,
    }))
}

/// The order's dead letters: on the broker, or in the folder.
async fn letters(place: &Place, broker: Option<Secret>, id: OrderId) -> Part<Vec<DeadLetter>> {
    let place = match (place, broker) {
        (Place::Folder(folder), _) => LettersPlace::Folder(folder.clone()),
        (Place::Server(_), Some(url)) => LettersPlace::Broker(url, None),
        (Place::Server(_), None) => return Err("RABBITMQ_URL is not set".to_owned()),
    };
    let desk = place.open(&ProgressBar::hidden()).await;
    let desk = desk.map_err(|_| "the dead letters cannot be opened".to_owned())?;
    let filter = LetterFilter {
        order_id: Some(id),
        ..LetterFilter::default()
    };
    let found = desk.list(&filter, None).await;
    found.map_err(|error| chain(&error))
}

/// The data of another service: where it was said to be, or beside the orders.
pub(super) async fn other(own: &Data, elsewhere: Option<DatabaseConfig>) -> anyhow::Result<Data> {
    match elsewhere {
        Some(database) => Place::Server(database).open("shopflow orders", 2).await,
        None => Ok(own.clone()),
    }
}

async fn customer(
    own: &Data,
    elsewhere: Option<DatabaseConfig>,
    id: UserId,
) -> anyhow::Result<Option<User>> {
    let users = other(own, elsewhere).await?.users();
    users.find(id).await.with_context(|| failed("auth"))
}

async fn notifications(
    own: &Data,
    elsewhere: Option<DatabaseConfig>,
    id: OrderId,
) -> anyhow::Result<Vec<(Summary, Vec<Attempt>)>> {
    let store = other(own, elsewhere).await?.notifications();
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
    Ok(all)
}

impl Known {
    /// Which services tell nothing, and why.
    fn missing(&self) -> Vec<(&'static str, &str)> {
        let auth = self.customer.as_ref().err().map(|why| ("auth", &**why));
        let notify = self.notifications.as_ref().err();
        let notify = notify.map(|why| ("notify", &**why));
        let letters = self.letters.as_ref().err();
        let letters = letters.map(|why| ("dead letters", &**why));
        [auth, notify, letters].into_iter().flatten().collect()
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
        "id": known.order.id,
        "status": known.order.status().as_str(),
        "user_id": known.order.user_id,
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
    say(&facts(&[
        ("Order", known.order.id.to_string()),
        ("Status", known.order.status().to_string()),
        ("User", known.order.user_id.to_string()),
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
    let head = ["AT", "SERVICE", "WHAT", "TRACE"];
    say(&format!("\n{}\n", table(&head, rows.collect())))?;
    for (service, why) in known.missing() {
        say(&format!("Not told by {service}: {why}"))?;
    }
    say(&waiting_for(known))
}
