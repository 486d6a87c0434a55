//! The notification service (PRD §4.3).

pub(crate) mod dto;
pub(crate) mod openapi;

use std::sync::Arc;

use async_trait::async_trait;
use core_kernel::{Faults, NotificationId, Text, TokenVerifier, Violation};
use core_notify::{
    AttemptsError, Channel, FindError, NotificationFilter, NotificationPosition, Notifications,
    Status, StoreError, Summary,
};
use http::{Method, StatusCode};
use jiff::Timestamp;
use serde::Serialize;

use crate::cursor;
use crate::docs;
use crate::error::ApiError;
use crate::orders::{Pagination, authenticate, scope};
use crate::pipeline::Api;
use crate::query::{Part, one_of, scope_word};
use crate::reply::{self, Reply};
use crate::request::Inbound;
use crate::route::Route;
use dto::{Attempts, List, NotificationDto};

/// Its paths.
pub(crate) const ROUTES: [Route; 3] = [
    Route::public("/notifications", "GET, HEAD"),
    Route::public("/notifications/{id}", "GET, HEAD"),
    Route::public("/notifications/{id}/attempts", "GET, HEAD"),
];

/// The REST side of [`Notifications`].
#[derive(Clone)]
pub struct NotifyApi {
    notifications: Notifications,
    verifier: Arc<dyn TokenVerifier>,
}

#[async_trait]
impl Api for NotifyApi {
    async fn respond(&self, request: &mut Inbound) -> Result<Reply, ApiError> {
        if let Some(reply) = docs::respond(&openapi::DOCUMENT, request) {
            return Ok(reply);
        }
        let path = request.path().to_owned();
        let segments: Vec<&str> = path.split('/').skip(1).collect();
        match (request.method(), segments.as_slice()) {
            (&Method::GET, ["notifications"]) => self.list(request).await,
            (&Method::GET, ["notifications", id]) => self.get(request, id).await,
            (&Method::GET, ["notifications", id, "attempts"]) => self.attempts(request, id).await,
            _ => Err(ApiError::unknown_path()),
        }
    }

    fn route(&self, path: &str) -> Option<Route> {
        Route::find(&ROUTES, path).or_else(|| docs::route(path))
    }
}

impl NotifyApi {
    /// The service on these use cases; tokens are checked by `verifier` on every request.
    #[must_use]
    pub fn new(notifications: Notifications, verifier: Arc<dyn TokenVerifier>) -> Self {
        Self {
            notifications,
            verifier,
        }
    }

    async fn list(&self, request: &Inbound) -> Result<Reply, ApiError> {
        let caller = authenticate(&*self.verifier, request).await?;
        let query = request.query();
        let mut faults = Faults::new();
        let scope = scope(&caller, &query, &mut faults)?;
        let filter = NotificationFilter {
            scope,
            channel: query.optional(&mut faults, "channel", |word| {
                Channel::from_word(word).ok_or_else(|| one_of(&["email", "sms"]))
            }),
            order_id: query.optional(&mut faults, "order_id", |text| {
                text.parse()
                    .map_err(|_| Violation::new("format", "must be a UUID"))
            }),
            type_key: query.optional(&mut faults, "type", |text| {
                Text::<100>::parse(text).map(|text| text.as_str().to_owned())
            }),
            status: query.optional(&mut faults, "status", |word| {
                Status::from_word(word).ok_or_else(|| one_of(&["queued", "sent", "failed"]))
            }),
        };
        let part = query.part(&mut faults);
        if !faults.is_empty() {
            return Err(ApiError::validation(faults));
        }
        match part {
            Part::Page(page) => {
                let found = self.notifications.list(&filter, page).await?;
                let next = next(&filter, &found.items, found.has_more(page));
                let pagination = Pagination::new(page, found.total).then(next);
                reply::json(StatusCode::OK, &List::new(&found.items, pagination))
            }
            Part::After { cursor, limit } => {
                let after = position(&filter, &cursor)?;
                let found = self.notifications.list_after(&filter, after, limit).await?;
                let next = next(&filter, &found.items, found.more);
                let pagination = Pagination::uncounted(limit).then(next);
                reply::json(StatusCode::OK, &List::new(&found.items, pagination))
            }
        }
    }

    async fn get(&self, request: &Inbound, id: &str) -> Result<Reply, ApiError> {
        let caller = authenticate(&*self.verifier, request).await?;
        let id: NotificationId = id.parse().map_err(|_| unknown_notification())?;
        let notification = self.notifications.get(&caller, id).await?;
        reply::json(StatusCode::OK, &NotificationDto::from(&notification))
    }

    async fn attempts(&self, request: &Inbound, id: &str) -> Result<Reply, ApiError> {
        let caller = authenticate(&*self.verifier, request).await?;
        // What is no id is nobody's; who may ask is told before.
        let id = id.parse().unwrap_or(NotificationId(uuid::Uuid::nil()));
        let attempts = self.notifications.attempts(&caller, id).await?;
        reply::json(StatusCode::OK, &Attempts::from(attempts.as_slice()))
    }
}

/// What a cursor says of its list.
fn list(filter: &NotificationFilter) -> impl Serialize {
    (
        "notifications",
        scope_word(filter.scope),
        filter.channel.map(Channel::as_str),
        filter.order_id,
        filter.type_key.clone(),
        filter.status.map(Status::as_str),
    )
}

/// The cursor of the last of these, unless it is the last of all.
fn next(filter: &NotificationFilter, items: &[Summary], more: bool) -> Option<String> {
    let last = items.last().filter(|_| more)?;
    let time = last.created_at.as_microsecond().to_string();
    Some(cursor::write(&list(filter), last.id.0, &time))
}

fn position(filter: &NotificationFilter, text: &str) -> Result<NotificationPosition, ApiError> {
    let time = |value: &str| Timestamp::from_microsecond(value.parse().ok()?).ok();
    let (id, created_at) = cursor::read(&list(filter), text, time).map_err(ApiError::bad_cursor)?;
    let id = NotificationId(id);
    Ok(NotificationPosition { created_at, id })
}

fn unknown_notification() -> ApiError {
    ApiError::not_found("There is no notification with this id.")
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(_) => Self::unavailable(error.into()),
            StoreError::Broken(_) => Self::internal(error.into()),
        }
    }
}

impl From<AttemptsError> for ApiError {
    fn from(error: AttemptsError) -> Self {
        match error {
            AttemptsError::Forbidden => Self::forbidden("Attempts are for admins."),
            AttemptsError::NotFound => unknown_notification(),
            AttemptsError::Store(error) => error.into(),
        }
    }
}

impl From<FindError> for ApiError {
    fn from(error: FindError) -> Self {
        match error {
            FindError::NotFound => unknown_notification(),
            FindError::Store(error) => error.into(),
        }
    }
}
