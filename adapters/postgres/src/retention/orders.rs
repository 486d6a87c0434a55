//! Counting orders by age.

use async_trait::async_trait;
use core_orders::{OrderAges, StoreError};
use jiff::Timestamp;
use jiff_sqlx::ToSqlx;

use crate::error::order_error;
use crate::orders::PgOrderStore;

const PLACED_BEFORE: &str = "SELECT count(*) FROM orders WHERE created_at < $1";

#[async_trait]
impl OrderAges for PgOrderStore {
    async fn placed_before(&self, at: Timestamp) -> Result<u64, StoreError> {
        let count = sqlx::query_scalar(PLACED_BEFORE).bind(at.to_sqlx());
        let count: i64 = count.fetch_one(&self.pool).await.map_err(order_error)?;
        Ok(count.unsigned_abs())
    }
}
