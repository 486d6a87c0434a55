//! The pages: templates in `assets/`, compiled into the program. Everything in them is escaped; a
//! name that a template does not know is an error, not a blank.

use core_notify::{DeadLetter, FaultRule, InboxAttempt, InboxFilter, InboxMessage};
use http::StatusCode;
use minijinja::value::Serde;
use minijinja::{Environment, UndefinedBehavior, Value};
use serde::Serialize;

use super::parts::{DeadLettersView, MessageView};
use super::view::ListView;
use super::{Overview, with_policy};
use crate::error::ApiError;
use crate::reply::{self, Reply};

/// A page that comes with the program is no template.
#[derive(Debug, thiserror::Error)]
#[error("the pages of the inbox cannot be read")]
pub struct PagesError(#[from] minijinja::Error);

/// What stands beside the messages.
pub(super) struct Board {
    pub(super) overview: Overview,
    pub(super) dead_letters: Vec<DeadLetter>,
    pub(super) attempts: Vec<InboxAttempt>,
    pub(super) rules: Vec<FaultRule>,
}

/// The templates of all pages.
pub(super) struct Pages(Environment<'static>);

const FILES: [(&str, &str); 5] = [
    ("layout.html", include_str!("assets/layout.html")),
    ("parts.html", include_str!("assets/parts.html")),
    ("list.html", include_str!("assets/list.html")),
    ("message.html", include_str!("assets/message.html")),
    (
        "dead_letters.html",
        include_str!("assets/dead_letters.html"),
    ),
];

/// Nothing but our own files; mails come in a frame, with a policy of their own.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; \
    connect-src 'self'; frame-src 'self'; img-src 'self' data:; base-uri 'none'; \
    form-action 'self'; frame-ancestors 'none'";

impl Pages {
    /// The templates that come with the program.
    pub(super) fn embedded() -> Result<Self, PagesError> {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        for (name, source) in FILES {
            environment.add_template(name, source)?;
        }
        Ok(Self(environment))
    }

    /// The list with the dashboard beside it. `found` may hold one more than the `page` that is
    /// shown.
    pub(super) fn list(
        &self,
        filter: &InboxFilter,
        found: &[InboxMessage],
        page: usize,
        board: &Board,
    ) -> Result<Reply, ApiError> {
        self.render("list.html", &ListView::new(filter, found, page, board))
    }

    /// One message.
    pub(super) fn message(
        &self,
        message: &InboxMessage,
        attempts: &[InboxAttempt],
        newer: Option<i64>,
        older: Option<i64>,
    ) -> Result<Reply, ApiError> {
        let view = MessageView::new(message, attempts, newer, older);
        self.render("message.html", &view)
    }

    /// The dead letters; `total` tells how many there are beside those shown.
    pub(super) fn dead_letters(
        &self,
        letters: &[DeadLetter],
        total: u64,
    ) -> Result<Reply, ApiError> {
        self.render("dead_letters.html", &DeadLettersView::new(letters, total))
    }

    fn render(&self, name: &str, view: &impl Serialize) -> Result<Reply, ApiError> {
        let page = self.0.get_template(name);
        let page = page.and_then(|page| page.render(Value::from(Serde(view))));
        let page = page.map_err(|error| ApiError::internal(error.into()))?;
        let reply = reply::with_type(StatusCode::OK, "text/html; charset=utf-8", page);
        Ok(with_policy(reply, POLICY))
    }
}

/// How the pages look.
pub(super) fn style() -> Reply {
    let style = include_str!("assets/style.css");
    reply::with_type(StatusCode::OK, "text/css; charset=utf-8", style)
}

/// What keeps the pages fresh.
pub(super) fn script() -> Reply {
    let script = include_str!("assets/app.js");
    reply::with_type(StatusCode::OK, "text/javascript; charset=utf-8", script)
}
