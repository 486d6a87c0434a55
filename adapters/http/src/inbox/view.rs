//! What the template of the list is given.

use std::collections::HashSet;

use core_kernel::OrderId;
use core_notify::{Channel, FaultKind, InboxFilter, InboxMessage};
use form_urlencoded::Serializer;
use serde::Serialize;

use super::page::Board;
use super::parts::{AttemptView, DeadView, Moment, RuleView};

/// The list with the dashboard beside it.
#[derive(Serialize)]
pub(super) struct ListView<'a> {
    count: String,
    rows: Vec<RowView<'a>>,
    choice: Choice<'a>,
    orders: Vec<Figure>,
    events: [Figure; 3],
    dead_letters: u64,
    dead: Vec<DeadView<'a>>,
    attempts: Vec<AttemptView>,
    rules: Vec<RuleView<'a>>,
    kinds: Vec<&'static str>,
}

/// A number and what it counts; `id` names it in the page.
#[derive(Serialize)]
struct Figure {
    id: String,
    name: &'static str,
    count: u64,
}

impl Figure {
    fn new(id: impl Into<String>, name: &'static str, count: u64) -> Self {
        let id = id.into();
        Self { id, name, count }
    }
}

impl<'a> ListView<'a> {
    pub(super) fn new(
        filter: &'a InboxFilter,
        found: &'a [InboxMessage],
        page: usize,
        board: &'a Board,
    ) -> Self {
        let shown = &found[..found.len().min(page)];
        let more = found.len() > shown.len();
        let overview = &board.overview;
        let orders = overview.orders.iter();
        Self {
            count: format!("{}{}", shown.len(), if more { "+" } else { "" }),
            rows: rows(shown),
            choice: Choice::new(filter, shown.last().filter(|_| more)),
            orders: orders
                .map(|(name, count)| Figure::new(format!("orders-{name}"), name, *count))
                .collect(),
            events: [
                Figure::new("overview-outbox", "in the outbox", overview.outbox_waiting),
                Figure::new("overview-bus", "on the bus", overview.bus_waiting),
                Figure::new("overview-retrying", "to be retried", overview.bus_retrying),
            ],
            dead_letters: overview.dead_letters,
            dead: board.dead_letters.iter().map(DeadView::new).collect(),
            attempts: board.attempts.iter().map(AttemptView::new).collect(),
            rules: board.rules.iter().map(RuleView::new).collect(),
            kinds: FaultKind::ALL.iter().map(|kind| kind.as_str()).collect(),
        }
    }
}

/// What was chosen from, and the ways to another choice.
#[derive(Serialize)]
struct Choice<'a> {
    channel: Option<&'static str>,
    to: Option<&'a str>,
    order_id: Option<OrderId>,
    number: Option<String>,
    any_channel: String,
    mails: String,
    texts: String,
    any_to: String,
    any_order: String,
    newest: Option<String>,
    older: Option<String>,
}

impl<'a> Choice<'a> {
    fn new(filter: &'a InboxFilter, last: Option<&InboxMessage>) -> Self {
        // Another choice begins with its newest messages.
        let link = |change: &dyn Fn(&mut InboxFilter)| {
            let mut other = filter.clone();
            other.before = None;
            change(&mut other);
            href(&other)
        };
        Self {
            channel: filter.channel.map(Channel::as_str),
            to: filter.to.as_deref(),
            order_id: filter.order_id,
            number: filter.order_id.map(|id| id.number()),
            any_channel: link(&|other| other.channel = None),
            mails: link(&|other| other.channel = Some(Channel::Email)),
            texts: link(&|other| other.channel = Some(Channel::Sms)),
            any_to: link(&|other| other.to = None),
            any_order: link(&|other| other.order_id = None),
            newest: filter.before.map(|_| link(&|_| {})),
            older: last.map(|last| link(&|other| other.before = Some(last.id))),
        }
    }
}

/// The list's address with a choice.
pub(super) fn href(filter: &InboxFilter) -> String {
    let mut query = Serializer::new(String::new());
    if let Some(channel) = filter.channel {
        query.append_pair("channel", channel.as_str());
    }
    if let Some(to) = &filter.to {
        query.append_pair("to", to);
    }
    if let Some(order) = filter.order_id {
        query.append_pair("order_id", &order.to_string());
    }
    if let Some(before) = filter.before {
        query.append_pair("before", &before.to_string());
    }
    match query.finish() {
        query if query.is_empty() => "/inbox".to_owned(),
        query => format!("/inbox?{query}"),
    }
}

/// A message in the list.
#[derive(Serialize)]
struct RowView<'a> {
    id: i64,
    channel: &'static str,
    to: &'a str,
    title: String,
    preview: Option<String>,
    order_id: Option<OrderId>,
    number: Option<String>,
    at: Moment,
    again: bool,
}

/// The rows; one whose notification is among the older ones too was sent again.
fn rows(messages: &[InboxMessage]) -> Vec<RowView<'_>> {
    let mut seen = HashSet::new();
    let rows = messages.iter().rev().map(|message| {
        let text = start(&message.text);
        let (title, preview) = match &message.subject {
            Some(subject) => (subject.clone(), Some(text)),
            None => (text, None),
        };
        RowView {
            id: message.id,
            channel: message.channel.as_str(),
            to: &message.to,
            title,
            preview,
            order_id: message.order_id,
            number: message.order_id.map(|id| id.number()),
            at: message.created_at.into(),
            again: !seen.insert(message.notification_id),
        }
    });
    let mut rows: Vec<_> = rows.collect();
    rows.reverse();
    rows
}

/// The start of a text on one line, no longer than a text message.
fn start(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().take(40).collect();
    words.join(" ").chars().take(160).collect()
}
