//! Orders under PRD §10.6: kept for seven years. It says nothing of what comes then, so they are
//! counted and stay; nothing here can delete one.

use std::sync::Arc;

use async_trait::async_trait;
use core_kernel::{Progress, Retained, RetentionError, RunBy, Tally, years_before};
use jiff::Timestamp;

use crate::ports::StoreError;

/// How long an order has to be kept.
const KEPT_YEARS: i64 = 7;

/// Counts orders by age.
#[async_trait]
pub trait OrderAges: Send + Sync {
    /// How many orders were placed before this time.
    async fn placed_before(&self, at: Timestamp) -> Result<u64, StoreError>;
}

/// The orders under PRD §10.6.
#[derive(Clone)]
pub struct OrderRetention(pub Arc<dyn OrderAges>);

#[async_trait]
impl Retained for OrderRetention {
    async fn due(&self, now: Timestamp) -> Result<Tally, RetentionError> {
        let past_term = self.0.placed_before(years_before(now, KEPT_YEARS)).await;
        let past_term = past_term.map_err(RetentionError::of("counting orders"))?;
        Ok(Tally {
            past_term,
            ..Tally::default()
        })
    }

    async fn run(
        &self,
        now: Timestamp,
        _: &RunBy,
        progress: &dyn Progress,
    ) -> Result<(), RetentionError> {
        progress.made(self.due(now).await?).await
    }
}
