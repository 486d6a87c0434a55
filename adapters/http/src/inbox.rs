//! The development inbox: what would have been mailed and texted, to be read in a browser or by a
//! test; what became of the rest; and faults to be set.
//!
//! It asks nobody who they are, and shows every mail. It is for the development command, which
//! listens on the loopback address only, and for nothing else. A page of another web site cannot
//! set faults: that takes JSON or `DELETE`, for which a browser asks first and gets no leave.

mod dto;
mod input;
mod json;
mod page;
mod parts;
mod place;
mod view;

use std::net::IpAddr;
use std::sync::Arc;

use async_trait::async_trait;
use core_kernel::{BoxError, Faults};
use core_notify::{DeadLetter, FaultScript, Inbox, InboxFilter, InboxMessage};
use http::header::{CONTENT_DISPOSITION, CONTENT_SECURITY_POLICY};
use http::{HeaderValue, Method, StatusCode};

use crate::error::ApiError;
use crate::notify::NotifyApi;
use crate::pipeline::Api;
use crate::reply::{self, Reply};
use crate::request::Inbound;
use crate::route::Route;
use dto::{AttemptDto, DeadLetterDto, List, MessageDto, OverviewDto, RuleDto};
pub use page::PagesError;
use page::{Board, Pages};
use place::Place;

/// What the dashboard beside the inbox shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overview {
    /// How many orders are in each state, in the order of their life.
    pub orders: Vec<(&'static str, u64)>,
    /// Events that are not on the bus yet.
    pub outbox_waiting: u64,
    /// Events on the bus whose turn is yet to come.
    pub bus_waiting: u64,
    /// Events that wait for another attempt.
    pub bus_retrying: u64,
    /// Events that were given up.
    pub dead_letters: u64,
}

/// Tells what goes on behind the inbox.
#[async_trait]
pub trait Dashboard: Send + Sync {
    /// The figures as they are now.
    async fn overview(&self) -> Result<Overview, BoxError>;

    /// The newest `limit` events that were given up, newest first.
    async fn dead_letters(&self, limit: u32) -> Result<Vec<DeadLetter>, BoxError>;
}

/// Messages on a page of the list.
const PAGE: u32 = 100;

/// Dead letters and attempts beside the list.
const BESIDE: u32 = 5;

/// Attempts that are looked through for those of one message.
const ATTEMPTS: u32 = 1000;

/// Dead letters in one answer.
const DEAD_LETTERS: u32 = 1000;

/// The notification service with the development inbox at `/inbox`.
#[derive(Clone)]
pub struct InboxApi {
    api: NotifyApi,
    inbox: Arc<dyn Inbox>,
    faults: Arc<FaultScript>,
    dashboard: Arc<dyn Dashboard>,
    pages: Arc<Pages>,
}

#[async_trait]
impl Api for InboxApi {
    async fn respond(&self, request: &mut Inbound) -> Result<Reply, ApiError> {
        let path = request.path().to_owned();
        match Place::find(&path) {
            Some(_) if !is_own_host(request.host()) => Err(ApiError::foreign_host()),
            Some(place) => self.at(place, request).await,
            None => self.api.respond(request).await,
        }
    }

    fn route(&self, path: &str) -> Option<Route> {
        match Place::find(path) {
            Some(place) => Some(place.route()),
            None => self.api.route(path),
        }
    }
}

/// Names are anybody's; addresses and `localhost` are this machine's.
fn is_own_host(host: Option<&str>) -> bool {
    host.is_some_and(|host| host == "localhost" || host.parse::<IpAddr>().is_ok())
}

impl InboxApi {
    /// The inbox before `api`, which answers everything else. `faults` are those that the senders
    /// ask for.
    ///
    /// # Errors
    /// When a page that comes with the program is no template.
    pub fn new(
        api: NotifyApi,
        inbox: Arc<dyn Inbox>,
        faults: Arc<FaultScript>,
        dashboard: Arc<dyn Dashboard>,
    ) -> Result<Self, PagesError> {
        Ok(Self {
            api,
            inbox,
            faults,
            dashboard,
            pages: Arc::new(Pages::embedded()?),
        })
    }

    async fn at(&self, place: Place, request: &mut Inbound) -> Result<Reply, ApiError> {
        match (request.method(), place) {
            (&Method::POST, Place::Faults) => self.set_fault(request).await,
            (&Method::DELETE, Place::Faults) => {
                self.faults.clear();
                Ok(reply::empty(StatusCode::NO_CONTENT))
            }
            (_, place) => self.read(place, request).await,
        }
    }

    async fn read(&self, place: Place, request: &Inbound) -> Result<Reply, ApiError> {
        match place {
            Place::List => self.list(request).await,
            Place::Message(id) => self.message(id).await,
            Place::Html(id) => self.html(id).await,
            Place::Raw(id) => self.raw(id).await,
            Place::Mail(id) => self.mail(id).await,
            Place::DeadLetters => self.dead_letters().await,
            Place::Messages => self.messages_json(request).await,
            Place::Attempts => self.attempts_json(request).await,
            Place::DeadLettersJson => {
                let letters = self.newest_dead_letters(DEAD_LETTERS).await?;
                reply::json(StatusCode::OK, &List::<DeadLetterDto>::of(&letters))
            }
            Place::Overview => {
                reply::json(StatusCode::OK, &OverviewDto::from(&self.overview().await?))
            }
            Place::Faults => {
                reply::json(StatusCode::OK, &List::<RuleDto>::of(&self.faults.rules()))
            }
            Place::Style => Ok(page::style()),
            Place::Script => Ok(page::script()),
        }
    }

    async fn list(&self, request: &Inbound) -> Result<Reply, ApiError> {
        let mut faults = Faults::new();
        let filter = input::filter(&request.query(), &mut faults);
        if !faults.is_empty() {
            return Err(ApiError::validation(faults));
        }
        // One more than is shown tells whether there are older ones.
        let found = self.inbox.list(&filter, PAGE + 1).await?;
        let board = Board {
            overview: self.overview().await?,
            dead_letters: self.newest_dead_letters(BESIDE).await?,
            attempts: self.inbox.attempts(BESIDE).await?,
            rules: self.faults.rules(),
        };
        self.pages.list(&filter, &found, PAGE as usize, &board)
    }

    async fn message(&self, id: i64) -> Result<Reply, ApiError> {
        let message = self.find(id).await?;
        let before = |id| InboxFilter {
            before: Some(id),
            ..InboxFilter::default()
        };
        // The newest up to the next number: the next one, or this one again.
        let up_to_next = before(id.saturating_add(2));
        let newer = self.inbox.list(&up_to_next, 1).await?;
        let older = self.inbox.list(&before(id), 1).await?;
        let newer = newer.first().map(|next| next.id).filter(|next| *next > id);
        let older = older.first().map(|previous| previous.id);
        let mut attempts = self.inbox.attempts(ATTEMPTS).await?;
        attempts.retain(|attempt| attempt.notification_id == message.notification_id);
        self.pages.message(&message, &attempts, newer, older)
    }

    async fn html(&self, id: i64) -> Result<Reply, ApiError> {
        let html = self.find(id).await?.html.ok_or_else(no_mail)?;
        let reply = reply::with_type(StatusCode::OK, "text/html; charset=utf-8", html);
        Ok(with_policy(
            reply,
            "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:",
        ))
    }

    async fn raw(&self, id: i64) -> Result<Reply, ApiError> {
        let mail = self.inbox.raw(id).await?.ok_or_else(no_mail)?;
        let reply = reply::with_type(StatusCode::OK, "text/plain; charset=utf-8", mail);
        Ok(with_policy(reply, "sandbox; default-src 'none'"))
    }

    async fn mail(&self, id: i64) -> Result<Reply, ApiError> {
        let mail = self.inbox.raw(id).await?.ok_or_else(no_mail)?;
        let mut reply = reply::with_type(StatusCode::OK, "message/rfc822", mail);
        let name = format!("attachment; filename=\"shopflow-{id}.eml\"");
        let name = HeaderValue::try_from(name).map_err(|e| ApiError::internal(e.into()))?;
        reply.headers_mut().insert(CONTENT_DISPOSITION, name);
        Ok(reply)
    }

    async fn dead_letters(&self) -> Result<Reply, ApiError> {
        let overview = self.overview().await?;
        let letters = self.newest_dead_letters(PAGE).await?;
        self.pages.dead_letters(&letters, overview.dead_letters)
    }

    async fn messages_json(&self, request: &Inbound) -> Result<Reply, ApiError> {
        let query = request.query();
        let mut faults = Faults::new();
        let filter = input::filter(&query, &mut faults);
        let limit = input::limit(&query, &mut faults);
        if !faults.is_empty() {
            return Err(ApiError::validation(faults));
        }
        let found = self.inbox.list(&filter, limit).await?;
        reply::json(StatusCode::OK, &List::<MessageDto>::of(&found))
    }

    async fn attempts_json(&self, request: &Inbound) -> Result<Reply, ApiError> {
        let mut faults = Faults::new();
        let limit = input::limit(&request.query(), &mut faults);
        if !faults.is_empty() {
            return Err(ApiError::validation(faults));
        }
        let found = self.inbox.attempts(limit).await?;
        reply::json(StatusCode::OK, &List::<AttemptDto>::of(&found))
    }

    async fn set_fault(&self, request: &mut Inbound) -> Result<Reply, ApiError> {
        let rule = input::rule(&request.json_body().await?)?;
        let reply = reply::json(StatusCode::CREATED, &RuleDto::from(&rule))?;
        self.faults.add(rule);
        Ok(reply)
    }

    async fn find(&self, id: i64) -> Result<InboxMessage, ApiError> {
        let found = self.inbox.find(id).await?;
        found.ok_or_else(|| ApiError::not_found("There is no message with this id."))
    }

    async fn overview(&self) -> Result<Overview, ApiError> {
        let overview = self.dashboard.overview().await;
        overview.map_err(ApiError::unavailable)
    }

    async fn newest_dead_letters(&self, limit: u32) -> Result<Vec<DeadLetter>, ApiError> {
        let letters = self.dashboard.dead_letters(limit).await;
        letters.map_err(ApiError::unavailable)
    }
}

fn no_mail() -> ApiError {
    ApiError::not_found("There is no mail with this id.")
}

fn with_policy(mut reply: Reply, policy: &'static str) -> Reply {
    let policy = HeaderValue::from_static(policy);
    reply.headers_mut().insert(CONTENT_SECURITY_POLICY, policy);
    reply
}
