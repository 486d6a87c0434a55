//! Rows of the order tables, and what they mean.

use core_kernel::{Currency, Money, OrderId, UserId};
use core_orders::{
    Actor, Address, HistoryEntry, KeyedRequest, LineItem, Notes, Once, Order, OrderState,
    OrderStatus, OrderSummary, Reason, StoreError,
};
use rust_decimal::Decimal;
use sqlx::postgres::PgRow;
use sqlx::types::Json;
use sqlx::{FromRow, Row};
use uuid::Uuid;

use super::totals::Settled;
use crate::by_id::Identified;
use crate::error::{Inconsistent, order_error};

fn broken(table: &'static str, id: impl std::fmt::Display, what: &'static str) -> StoreError {
    let id = id.to_string();
    StoreError::Broken(Box::new(Inconsistent { table, id, what }))
}

#[derive(FromRow)]
pub(super) struct OrderRow {
    id: Uuid,
    user_id: Uuid,
    status: String,
    items: Json<Vec<LineItem>>,
    shipping_address: Json<Address>,
    total_amount: Decimal,
    currency: String,
    notes: Option<String>,
    confirmed_at: Option<jiff_sqlx::Timestamp>,
    shipped_at: Option<jiff_sqlx::Timestamp>,
    delivered_at: Option<jiff_sqlx::Timestamp>,
    created_at: jiff_sqlx::Timestamp,
    updated_at: jiff_sqlx::Timestamp,
}

impl Identified for OrderRow {
    fn id(&self) -> Uuid {
        self.id
    }
}

impl TryFrom<OrderRow> for Order {
    type Error = StoreError;

    fn try_from(row: OrderRow) -> Result<Self, StoreError> {
        let broken = |what| broken("orders", row.id, what);
        let status: OrderStatus = row.status.parse().map_err(|_| broken("unknown status"))?;
        let [confirmed_at, shipped_at, delivered_at] =
            [row.confirmed_at, row.shipped_at, row.delivered_at]
                .map(|at| at.map(jiff_sqlx::Timestamp::to_jiff));
        let state = OrderState::from_parts(status, confirmed_at, shipped_at, delivered_at)
            .ok_or_else(|| broken("times that do not belong to the status"))?;
        Ok(Self {
            id: OrderId(row.id),
            user_id: UserId(row.user_id),
            items: row.items.0,
            shipping_address: row.shipping_address.0,
            total_amount: Money::from_decimal(row.total_amount).map_err(|_| broken("no amount"))?,
            currency: Currency::from_code(&row.currency)
                .ok_or_else(|| broken("unknown currency"))?,
            notes: row.notes.map(Notes::trusted),
            state,
            created_at: row.created_at.to_jiff(),
            updated_at: row.updated_at.to_jiff(),
        })
    }
}

/// What the statement that inserts tells.
#[derive(FromRow)]
pub(super) struct InsertRow {
    ours: bool,
    inserted: bool,
    fingerprint: Option<Vec<u8>>,
    order_id: Option<Uuid>,
}

impl InsertRow {
    /// What became of the order; `None` when the key was recorded after the statement began, so
    /// that only another one can see it.
    pub(super) fn once(&self, request: &KeyedRequest) -> Option<Once> {
        match (&self.fingerprint, self.order_id) {
            _ if self.inserted => Some(Once::Inserted),
            (Some(known), Some(id)) if *known == request.fingerprint.0 => {
                Some(Once::Known(OrderId(id)))
            }
            (Some(_), _) => Some(Once::Reused),
            (None, _) => (!self.ours).then_some(Once::InFlight),
        }
    }
}

/// A line of a list, whose columns begin at this place. They are read by place: to find one by its name
/// takes longer than to read it, and a page has many.
pub(super) fn summary(row: &PgRow, first: usize) -> Result<OrderSummary, StoreError> {
    let read = || -> sqlx::Result<_> {
        let (id, status): (Uuid, &str) = (row.try_get(first)?, row.try_get(first + 1)?);
        let amount: Decimal = row.try_get(first + 2)?;
        let currency: &str = row.try_get(first + 3)?;
        let [created, updated] = [first + 4, first + 5].map(|place| row.try_get(place));
        let times: [jiff_sqlx::Timestamp; 2] = [created?, updated?];
        Ok((id, status, amount, currency, times))
    };
    let (id, status, amount, currency, [created_at, updated_at]) = read().map_err(order_error)?;
    let broken = |what| broken("orders", id, what);
    Ok(OrderSummary {
        id: OrderId(id),
        status: status.parse().map_err(|_| broken("unknown status"))?,
        total_amount: Money::from_decimal(amount).map_err(|_| broken("no amount"))?,
        currency: Currency::from_code(currency).ok_or_else(|| broken("unknown currency"))?,
        created_at: created_at.to_jiff(),
        updated_at: updated_at.to_jiff(),
    })
}

/// What each line of a page says of the whole list, in front of the line itself.
pub(super) struct Whole {
    pub(super) total: u64,
    /// Of a count that may be kept.
    pub(super) settled: Option<Settled>,
    /// Whether there is a line; there is none when the page is empty.
    pub(super) has_line: bool,
}

impl Whole {
    /// The columns of it; those of the line come next.
    pub(super) const COLUMNS: usize = 3;
}

impl<'r> FromRow<'r, PgRow> for Whole {
    fn from_row(row: &'r PgRow) -> sqlx::Result<Self> {
        let (total, count, before): (i64, _, _) =
            (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        let id: Option<Uuid> = row.try_get(Self::COLUMNS)?;
        Ok(Self {
            total: total.unsigned_abs(),
            settled: match (count, before) {
                (Some(count), Some(before)) => Some(Settled { count, before }),
                _ => None,
            },
            has_line: id.is_some(),
        })
    }
}

#[derive(FromRow)]
pub(super) struct HistoryRow {
    from_status: Option<String>,
    to_status: String,
    actor_id: String,
    actor_role: String,
    at: jiff_sqlx::Timestamp,
    request_id: String,
    trace_id: String,
    reason: Option<String>,
}

impl HistoryRow {
    pub(super) fn entry(self, order: OrderId) -> Result<HistoryEntry, StoreError> {
        let parse = |word: &str| {
            word.parse::<OrderStatus>()
                .map_err(|_| broken("order_history", order, "unknown status"))
        };
        Ok(HistoryEntry {
            from: self.from_status.as_deref().map(parse).transpose()?,
            to: parse(&self.to_status)?,
            actor: Actor {
                id: self.actor_id,
                role: self.actor_role,
            },
            at: self.at.to_jiff(),
            request_id: self.request_id.into(),
            trace_id: self.trace_id,
            reason: self.reason.map(Reason::trusted),
        })
    }
}
