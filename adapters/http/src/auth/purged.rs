//! Who was purged, for the services that are to let go of their data as well.

use core_auth::{Purged, PurgedError, PurgedUsers};
use core_kernel::{Faults, UserId, Violation, wire_time};
use http::StatusCode;
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::AuthApi;
use crate::error::ApiError;
use crate::query::within;
use crate::reply::{self, Reply};
use crate::request::Inbound;

/// Users in one answer, at most and when nothing is said.
pub(super) const MAX_LIMIT: u32 = 1000;

/// Answer to `GET /auth/purged-users`.
#[derive(Serialize, ToSchema)]
#[schema(as = PurgedUserList)]
pub(super) struct Page {
    data: Vec<One>,
    /// The next page's `after`; `null` on the last.
    #[schema(required)]
    next_after: Option<i64>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = PurgedUser)]
struct One {
    user_id: UserId,
    #[serde(with = "wire_time")]
    #[schema(schema_with = wire_time::schema)]
    purged_at: Timestamp,
}

impl From<Purged> for One {
    fn from(purged: Purged) -> Self {
        Self {
            user_id: purged.user_id,
            purged_at: purged.at,
        }
    }
}

impl AuthApi {
    /// The same, telling services and admins who was purged.
    #[must_use]
    pub fn with_purged(mut self, purged: PurgedUsers) -> Self {
        self.purged = Some(purged);
        self
    }

    pub(super) async fn purged(&self, request: &Inbound) -> Result<Reply, ApiError> {
        let purged = self.purged.as_ref().ok_or_else(ApiError::unknown_path)?;
        let caller = self.authenticate(request).await?.caller;
        purged.may_ask(&caller)?;
        let query = request.query();
        let mut faults = Faults::new();
        let after = query.optional(&mut faults, "after", position);
        let limit = query.optional(&mut faults, "limit", |text| within(text, 1, MAX_LIMIT));
        if !faults.is_empty() {
            return Err(ApiError::validation(faults));
        }
        let limit = limit.unwrap_or(MAX_LIMIT);
        let found = purged.list(&caller, after.unwrap_or(0), limit).await?;
        let full = found.len() >= limit as usize;
        let next_after = found.last().map(|last| last.position).filter(|_| full);
        let data = found.into_iter().map(One::from).collect();
        reply::json(StatusCode::OK, &Page { data, next_after })
    }
}

fn position(text: &str) -> Result<i64, Violation> {
    let number = text.parse().ok().filter(|number| *number >= 0);
    number.ok_or_else(|| Violation::new("type", "must be a next_after of an answer"))
}

impl From<PurgedError> for ApiError {
    fn from(error: PurgedError) -> Self {
        match error {
            PurgedError::Forbidden => Self::forbidden("This is for services and admins."),
            PurgedError::Store(error) => error.into(),
        }
    }
}
