//! `shopflow orders`.

use std::sync::Arc;

use core_kernel::{OrderId, RequestContext, Slice, SystemClock, Text, UserScope, Wake};
use core_orders::{
    AccessError, Actor, HistoryEntry, Order, OrderFilter, OrderPosition, Orders, Reason, SortValue,
    TransitionError, TransitionFailure,
};
use jiff::Timestamp;
use serde::Serialize;
use shopflow_http::view;
use uuid::Uuid;

use super::actor::{ROLE, actor, caller};
use super::explain;
use super::output::{facts, json, listing, say, table, when, when_any};
use super::place::failed;
use super::walk::rest;
use crate::Failure;
use crate::cli::{OrderArgs, OrderCommand, OrderListArgs, Output, PlaceArgs, TransitionArgs};
use crate::config::Problems;
use crate::serve::block_on;

pub(crate) fn run(command: &OrderCommand) -> Result<(), Failure> {
    block_on(async {
        match command {
            OrderCommand::List(args) => list(args).await,
            OrderCommand::Show(args) => show(args).await,
            OrderCommand::History(args) => history(args).await,
            OrderCommand::Explain(args) => explain::run(args).await,
            OrderCommand::Transition(args) => transition(args).await,
        }
    })
}

/// The relay that carries the events runs elsewhere, and looks by itself once a second.
pub(super) struct Elsewhere;

impl Wake for Elsewhere {
    fn wake(&self) {}
}

async fn orders(place: &PlaceArgs) -> Result<Orders, Failure> {
    let data = place.resolve()?.open("shopflow orders", 2).await?;
    let clock = Arc::new(SystemClock);
    Ok(Orders::new(data.orders(), Arc::new(Elsewhere), clock))
}

/// The list that all listings show: newest first.
fn position(created_at: Timestamp, id: OrderId) -> OrderPosition {
    OrderPosition {
        value: SortValue::CreatedAt(created_at),
        id,
        descending: true,
    }
}

async fn list(args: &OrderListArgs) -> Result<(), Failure> {
    let mut problems = Problems::default();
    let scope = match &args.user {
        None => Some(UserScope::All),
        Some(id) => problems
            .take("--user", id.parse().map_err(|_| "must be a user's id"))
            .map(UserScope::One),
    };
    let walk = args.walk.check(&mut problems);
    let (scope, walk) = problems.finish(scope.zip(walk))?;
    let filter = OrderFilter {
        scope,
        status: args.status.as_deref().and_then(|word| word.parse().ok()),
    };
    let orders = orders(&args.place).await?;
    let start = match &args.walk.after {
        // Before all ids that an order made at that moment could have.
        None => position(walk.before, OrderId(Uuid::nil())),
        Some(id) => {
            let last = orders.get(&caller(), order_id(id)?).await;
            let last = last.map_err(|error| unreadable(error, id))?;
            position(last.created_at, last.id)
        }
    };
    let found = orders.list_after(filter, start, walk.limit).await;
    let Slice { mut items, more } = found.map_err(broken)?;
    let more = walk.cut(&mut items, |order| order.created_at, more);
    let rows = items.iter().map(|order| {
        vec![
            order.id.to_string(),
            order.status.to_string(),
            format!("{} {}", order.total_amount, order.currency.code()),
            when(order.created_at),
        ]
    });
    let data = items.iter().map(view::order_summary).collect();
    let more = rest(more, items.last().map(|order| order.id));
    let head = ["ID", "STATUS", "TOTAL", "CREATED"];
    listing(
        args.output.output,
        &head,
        rows.collect(),
        data,
        more.as_deref(),
    )
}

async fn show(args: &OrderArgs) -> Result<(), Failure> {
    let id = order_id(&args.id)?;
    let found = orders(&args.place).await?.get(&caller(), id).await;
    let order = found.map_err(|error| unreadable(error, &args.id))?;
    show_order(args.output.output, &order)
}

fn show_order(output: Output, order: &Order) -> Result<(), Failure> {
    if output == Output::Json {
        return json(&view::order(order));
    }
    let address = &order.shipping_address;
    let state = address.state.as_ref().map(Text::as_str);
    let place = [
        address.street.as_str(),
        address.city.as_str(),
        state.unwrap_or_default(),
        address.zip_code.as_str(),
        address.country.alpha2(),
    ];
    let place: Vec<&str> = place.into_iter().filter(|part| !part.is_empty()).collect();
    let notes = order.notes.as_ref().map(|notes| notes.as_str().to_owned());
    say(&facts(&[
        ("Order", order.id.to_string()),
        ("User", order.user_id.to_string()),
        ("Status", order.status().to_string()),
        (
            "Total",
            format!("{} {}", order.total_amount, order.currency.code()),
        ),
        ("Ship to", place.join(", ")),
        ("Notes", notes.unwrap_or_default()),
        ("Created", when(order.created_at)),
        ("Confirmed", when_any(order.state.confirmed_at())),
        ("Shipped", when_any(order.state.shipped_at())),
        ("Delivered", when_any(order.state.delivered_at())),
        ("Updated", when(order.updated_at)),
    ]))?;
    let rows = order.items.iter().map(|item| {
        vec![
            item.product_name.as_str().to_owned(),
            item.quantity.get().to_string(),
            item.unit_price.to_string(),
            item.subtotal.to_string(),
        ]
    });
    let head = ["ITEM", "QUANTITY", "PRICE", "SUBTOTAL"];
    say(&format!("\n{}", table(&head, rows.collect())))
}

fn reason(entry: &HistoryEntry) -> Option<&str> {
    entry.reason.as_ref().map(Reason::as_str)
}

/// An entry with what only operators see.
#[derive(Serialize)]
struct Entry<'a, E> {
    #[serde(flatten)]
    entry: E,
    trace_id: &'a str,
    reason: Option<&'a str>,
}

async fn history(args: &OrderArgs) -> Result<(), Failure> {
    let id = order_id(&args.id)?;
    let found = orders(&args.place).await?.history(&caller(), id).await;
    let entries = found.map_err(|error| unreadable(error, &args.id))?;
    let row = |entry: &HistoryEntry| {
        vec![
            when(entry.at),
            entry.from.map(|from| from.to_string()).unwrap_or_default(),
            entry.to.to_string(),
            entry.actor.id.clone(),
            entry.actor.role.clone(),
            entry.trace_id.clone(),
            reason(entry).unwrap_or_default().to_owned(),
        ]
    };
    let data = entries.iter().map(|entry| Entry {
        entry: view::history_entry(entry),
        trace_id: &entry.trace_id,
        reason: reason(entry),
    });
    let data = data.collect();
    let head = ["AT", "FROM", "TO", "ACTOR", "ROLE", "TRACE", "REASON"];
    let rows = entries.iter().map(row).collect();
    listing(args.output.output, &head, rows, data, None)
}

async fn transition(args: &TransitionArgs) -> Result<(), Failure> {
    let mut problems = Problems::default();
    let reason = args.reason.as_deref().map(Reason::parse).transpose();
    let reason = problems.take("--reason", reason);
    let reason = problems.finish(reason)?;
    let id = order_id(&args.id)?;
    let by = Actor {
        id: actor(),
        role: ROLE.to_owned(),
    };
    let orders = orders(&args.place).await?;
    let context = RequestContext::generate();
    let moved = orders.transition_because(&by, id, &args.status, reason.as_ref(), &context);
    let order = match moved.await {
        Ok(order) => order,
        Err(TransitionFailure::NotFound) => return Err(unknown(&args.id)),
        Err(TransitionFailure::Refused(error)) => return Err(refused(&error)),
        Err(TransitionFailure::Store(error)) => return Err(broken(error)),
    };
    match args.output.output {
        Output::Json => json(&view::order(&order)),
        Output::Table => say(&format!("order {id} is {}", order.status())),
    }
}

/// Why an order was not moved, and what it could become instead.
fn refused(error: &TransitionError) -> Failure {
    let from = match error {
        TransitionError::AlreadyIn(status) => *status,
        TransitionError::NotAllowed { from, .. } => *from,
    };
    let next = match from.next() {
        Some(next) => format!("the next state is {next}"),
        None => "nothing follows".to_owned(),
    };
    Failure::Refused(format!("{error}; {next}"))
}

/// An id of an order. Nothing has an id that is none, as over HTTP.
pub(super) fn order_id(text: &str) -> Result<OrderId, Failure> {
    text.parse().map_err(|_| unknown(text))
}

pub(super) fn unknown(id: &str) -> Failure {
    Failure::NotFound(format!("no order has the id {id}"))
}

fn unreadable(error: AccessError, id: &str) -> Failure {
    match error {
        AccessError::NotFound | AccessError::Forbidden => unknown(id),
        AccessError::Store(error) => broken(error),
    }
}

pub(super) fn broken(error: core_orders::StoreError) -> Failure {
    anyhow::Error::new(error).context(failed("orders")).into()
}
