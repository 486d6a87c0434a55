//! Rows of the order tables, and what they mean.

use core_kernel::{Currency, OrderId, UserId};
use core_orders::{
    Actor, Address, HistoryEntry, LineItem, Notes, Order, OrderState, OrderStatus, OrderSummary,
    Reason, StoreError,
};
use sqlx::sqlite::SqliteRow;
use sqlx::types::Json;
use sqlx::{FromRow, Row};
use uuid::Uuid;

use crate::error::Inconsistent;
use crate::value::{Amount, Micros};

fn broken(table: &'static str, id: impl std::fmt::Display, what: &'static str) -> StoreError {
    StoreError::Broken(Inconsistent::boxed(table, id, what))
}

#[derive(FromRow)]
pub(super) struct OrderRow {
    id: Uuid,
    user_id: Uuid,
    status: String,
    items: Json<Vec<LineItem>>,
    shipping_address: Json<Address>,
    total_amount: Amount,
    currency: String,
    notes: Option<String>,
    confirmed_at: Option<Micros>,
    shipped_at: Option<Micros>,
    delivered_at: Option<Micros>,
    created_at: Micros,
    updated_at: Micros,
}

impl TryFrom<OrderRow> for Order {
    type Error = StoreError;

    fn try_from(row: OrderRow) -> Result<Self, StoreError> {
        let broken = |what| broken("orders", row.id, what);
        let status: OrderStatus = row.status.parse().map_err(|_| broken("unknown status"))?;
        let [confirmed_at, shipped_at, delivered_at] =
            [row.confirmed_at, row.shipped_at, row.delivered_at].map(|at| at.map(|at| at.0));
        let state = OrderState::from_parts(status, confirmed_at, shipped_at, delivered_at)
            .ok_or_else(|| broken("times that do not belong to the status"))?;
        Ok(Self {
            id: OrderId(row.id),
            user_id: UserId(row.user_id),
            items: row.items.0,
            shipping_address: row.shipping_address.0,
            total_amount: row.total_amount.0,
            currency: Currency::from_code(&row.currency)
                .ok_or_else(|| broken("unknown currency"))?,
            notes: row.notes.map(Notes::trusted),
            state,
            created_at: row.created_at.0,
            updated_at: row.updated_at.0,
        })
    }
}

/// A line of a list.
#[derive(FromRow)]
pub(super) struct SummaryRow {
    id: Uuid,
    status: String,
    total_amount: Amount,
    currency: String,
    created_at: Micros,
    updated_at: Micros,
}

impl TryFrom<SummaryRow> for OrderSummary {
    type Error = StoreError;

    fn try_from(row: SummaryRow) -> Result<Self, StoreError> {
        let broken = |what| broken("orders", row.id, what);
        Ok(Self {
            id: OrderId(row.id),
            status: row.status.parse().map_err(|_| broken("unknown status"))?,
            total_amount: row.total_amount.0,
            currency: Currency::from_code(&row.currency)
                .ok_or_else(|| broken("unknown currency"))?,
            created_at: row.created_at.0,
            updated_at: row.updated_at.0,
        })
    }
}

/// A line of a list beside the total; without an order when the page is empty.
pub(super) struct ListRow {
    pub(super) total: i64,
    summary: Option<SummaryRow>,
}

impl<'r> FromRow<'r, SqliteRow> for ListRow {
    fn from_row(row: &'r SqliteRow) -> sqlx::Result<Self> {
        let present: Option<Uuid> = row.try_get("id")?;
        Ok(Self {
            total: row.try_get("total")?,
            summary: present.map(|_| SummaryRow::from_row(row)).transpose()?,
        })
    }
}

impl ListRow {
    pub(super) fn summary(self) -> Result<Option<OrderSummary>, StoreError> {
        self.summary.map(OrderSummary::try_from).transpose()
    }
}

#[derive(FromRow)]
pub(super) struct HistoryRow {
    from_status: Option<String>,
    to_status: String,
    actor_id: String,
    actor_role: String,
    at: Micros,
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
            at: self.at.0,
            request_id: self.request_id.into(),
            trace_id: self.trace_id,
            reason: self.reason.map(Reason::trusted),
        })
    }
}
