//! Everything at a glance, for the dashboard of `shopflow dev`.

use core_orders::{OrderStatus, StoreError};

use crate::database::Database;
use crate::error::order_error;
use crate::value::Micros;

const ORDERS: &str = "SELECT status, count(*) FROM orders GROUP BY status";

const COUNTS: &str = "
    SELECT (SELECT count(*) FROM order_outbox WHERE published_at IS NULL),
           (SELECT count(*) FROM bus_messages WHERE due_at <= ?1),
           (SELECT count(*) FROM bus_messages WHERE due_at > ?1),
           (SELECT count(*) FROM dead_letters)";

/// How much there is of everything that moves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counts {
    /// Orders by state, in the order of their lives.
    pub orders: Vec<(OrderStatus, u64)>,
    /// Events that are to be published.
    pub outbox_waiting: u64,
    /// Events on the bus, those in hand included.
    pub bus_waiting: u64,
    /// Events that wait for another attempt.
    pub bus_retrying: u64,
    /// Events that were given up.
    pub dead_letters: u64,
}

impl Database {
    /// Counts everything that moves.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn counts(&self) -> Result<Counts, StoreError> {
        let by_status: Vec<(String, i64)> = sqlx::query_as(ORDERS)
            .fetch_all(self.read())
            .await
            .map_err(order_error)?;
        let of = |status: OrderStatus| {
            let found = by_status.iter().find(|(word, _)| word == status.as_str());
            found.map_or(0, |(_, count)| count.unsigned_abs())
        };
        let counts: (i64, i64, i64, i64) = sqlx::query_as(COUNTS)
            .bind(Micros(self.clock.now()))
            .fetch_one(self.read())
            .await
            .map_err(order_error)?;
        Ok(Counts {
            orders: OrderStatus::ALL
                .iter()
                .map(|status| (*status, of(*status)))
                .collect(),
            outbox_waiting: counts.0.unsigned_abs(),
            bus_waiting: counts.1.unsigned_abs(),
            bus_retrying: counts.2.unsigned_abs(),
            dead_letters: counts.3.unsigned_abs(),
        })
    }
}
