//! `shopflow orders explain`: one timeline from all services, and what the order is waiting for.

mod waiting;

use anyhow::Context;
use core_auth::User;
use core_kernel::{OrderId, TraceContext, UserId, chain, wire_time};
use core_notify::{Attempt, NotificationFilter, NotificationPosition, Summary};
use core_orders::{HistoryEntry, Order, TrailEvent};
use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use super::orders::{broken, order_id, unknown};
use super::output::{facts, json, say, table, when};
use super::place::{Data, Place, failed};
use crate::Failure;
use crate::cli::{ExplainArgs, Output};
use crate::config::{DatabaseConfig, Problems};
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
}

/// Something that happened.
struct Happening {
    at: Timestamp,
    service: &'static str,
    what: String,
    trace_id: Option<String>,
}

pub(super) async fn run(args: &ExplainArgs) -> Result<(), Failure> {
    let mut problems = Problems::default();
    let place = args.order.place.check(&mut problems);
    let [auth, notify] = args.others.check(&mut problems);
    let place = problems.finish(place)?;
    let id = order_id(&args.order.id)?;
    let known = known(&place, auth, notify, id).await?;
    let known = known.ok_or_else(|| unknown(&args.order.id))?;
    match args.order.output.output {
        Output::Json => json(&as_json(&known)),
        Output::Table => as_text(&known),
    }
}

async fn known(
    place: &Place,
    auth: Option<DatabaseConfig>,
    notify: Option<DatabaseConfig>,
    id: OrderId,
) -> Result<Option<Known>, Failure> {
    let data = place.open("shopflow orders", 2).await?;
    let Some(order) = data.orders().find(id).await.map_err(broken)? else {
        return Ok(None);
    };
    let history = data.orders().history(id).await.map_err(broken)?;
    let events = data.trail().events(id).await.map_err(broken)?;
    let customer = customer(&data, auth, order.user_id).await;
    let notifications = notifications(&data, notify, id).await;
    Ok(Some(Known {
        order,
        history,
        events,
        customer: customer.map_err(|error| chain(&*error)),
        notifications: notifications.map_err(|error| chain(&*error)),
    }))
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
        auth.into_iter().chain(notify).collect()
    }

    /// Everything that happened, oldest first.
    fn timeline(&self) -> Vec<Happening> {
        let mut all: Vec<Happening> = self.history.iter().map(moved).collect();
        all.extend(self.events.iter().flat_map(carried));
        for (summary, attempts) in self.notifications.iter().flatten() {
            all.extend(sent(summary, attempts));
        }
        // What has the same time stays in the order in which one leads to the other.
        all.sort_by_key(|happening| happening.at);
        all
    }
}

fn moved(entry: &HistoryEntry) -> Happening {
    let what = match entry.from {
        None => format!("placed by {}", entry.actor.id),
        Some(from) => format!("{from} to {} by {}", entry.to, entry.actor.id),
    };
    let reason = entry.reason.as_ref();
    let reason = reason.map(|reason| format!(": {}", reason.as_str()));
    Happening {
        at: entry.at,
        service: "orders",
        what: what + &reason.unwrap_or_default(),
        trace_id: Some(entry.trace_id.clone()),
    }
}

fn carried(event: &TrailEvent) -> Vec<Happening> {
    let trace = TraceContext::parse(&event.traceparent, None);
    let trace_id = trace.map(|trace| trace.trace_id());
    let refused = match event.refusals {
        0 => String::new(),
        times => format!(", refused by the broker {times} times"),
    };
    let happening = |at, what: &str, more: &str| Happening {
        at,
        service: "orders",
        what: format!("event {} {what}{more}", event.event_type),
        trace_id: trace_id.clone(),
    };
    let stored = happening(event.created_at, "stored in the outbox", &refused);
    let published = event.published_at;
    let published = published.map(|at| happening(at, "published", ""));
    [Some(stored), published].into_iter().flatten().collect()
}

fn sent(summary: &Summary, attempts: &[Attempt]) -> Vec<Happening> {
    let name = format!("{} {}", summary.channel.as_str(), summary.type_key);
    let happening = |at, what: String| Happening {
        at,
        service: "notify",
        what: format!("{name} {what}"),
        trace_id: None,
    };
    let mut all = vec![happening(
        summary.created_at,
        format!(
            "written down as {}, now {}",
            summary.id,
            summary.status.as_str()
        ),
    )];
    all.extend(attempts.iter().map(|attempt| {
        let told = attempt.reason.as_ref().or(attempt.provider_ref.as_ref());
        let told = told.map(|told| format!(" ({told})")).unwrap_or_default();
        let outcome = attempt.outcome.as_str();
        happening(
            attempt.began_at,
            format!("attempt {}: {outcome}{told}", attempt.number),
        )
    }));
    all
}

fn as_json(known: &Known) -> Value {
    let missing = known.missing().into_iter();
    let missing = missing.map(|(service, error)| json!({ "service": service, "error": error }));
    let timeline = known.timeline();
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
    let rows = known.timeline().into_iter().map(|one| {
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
