//! Rows of the order tables, and what they mean.

use core_kernel::{Currency, Money, OrderId, Text, UserId};
use core_orders::{
    Actor, Address, HistoryEntry, LineItem, Notes, Order, OrderState, OrderStatus, OrderSummary,
    Quantity, StoreError,
};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use sqlx::FromRow;
use sqlx::types::Json;
use uuid::Uuid;

use crate::error::Inconsistent;

fn broken(table: &'static str, id: impl std::fmt::Display, what: &'static str) -> StoreError {
    let id = id.to_string();
    StoreError::Broken(Box::new(Inconsistent { table, id, what }))
}

/// The address as JSONB (PRD §3.2).
#[derive(Serialize, Deserialize)]
pub(super) struct AddressRow {
    street: String,
    city: String,
    state: Option<String>,
    zip_code: String,
    country: String,
}

impl From<&Address> for AddressRow {
    fn from(address: &Address) -> Self {
        Self {
            street: address.street.as_str().to_owned(),
            city: address.city.as_str().to_owned(),
            state: address
                .state
                .as_ref()
                .map(|state| state.as_str().to_owned()),
            zip_code: address.zip_code.as_str().to_owned(),
            country: address.country.alpha2().to_owned(),
        }
    }
}

#[derive(Deserialize)]
struct ItemRow {
    product_id: Uuid,
    product_name: String,
    quantity: Quantity,
    unit_price: Money,
    subtotal: Money,
}

#[derive(FromRow)]
pub(super) struct OrderRow {
    id: Uuid,
    user_id: Uuid,
    status: String,
    items: Json<Vec<ItemRow>>,
    shipping_address: Json<AddressRow>,
    total_amount: Decimal,
    currency: String,
    notes: Option<String>,
    confirmed_at: Option<jiff_sqlx::Timestamp>,
    shipped_at: Option<jiff_sqlx::Timestamp>,
    delivered_at: Option<jiff_sqlx::Timestamp>,
    created_at: jiff_sqlx::Timestamp,
    updated_at: jiff_sqlx::Timestamp,
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
        let AddressRow {
            street,
            city,
            state: region,
            zip_code,
            country,
        } = row.shipping_address.0;
        Ok(Self {
            id: OrderId(row.id),
            user_id: UserId(row.user_id),
            items: row
                .items
                .0
                .into_iter()
                .map(|item| LineItem {
                    product_id: item.product_id,
                    product_name: Text::trusted(item.product_name),
                    quantity: item.quantity,
                    unit_price: item.unit_price,
                    subtotal: item.subtotal,
                })
                .collect(),
            shipping_address: Address {
                street: Text::trusted(street),
                city: Text::trusted(city),
                state: region.map(Text::trusted),
                zip_code: Text::trusted(zip_code),
                country: Address::country(&country).map_err(|_| broken("unknown country"))?,
            },
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

/// A line of a list beside the total; without an order when the page is empty.
#[derive(FromRow)]
pub(super) struct SummaryRow {
    pub(super) total: i64,
    id: Option<Uuid>,
    status: Option<String>,
    total_amount: Option<Decimal>,
    currency: Option<String>,
    created_at: Option<jiff_sqlx::Timestamp>,
}

impl SummaryRow {
    pub(super) fn summary(self) -> Result<Option<OrderSummary>, StoreError> {
        let (Some(id), Some(status), Some(total), Some(currency), Some(created_at)) = (
            self.id,
            self.status,
            self.total_amount,
            self.currency,
            self.created_at,
        ) else {
            return Ok(None);
        };
        let broken = |what| broken("orders", id, what);
        Ok(Some(OrderSummary {
            id: OrderId(id),
            status: status.parse().map_err(|_| broken("unknown status"))?,
            total_amount: Money::from_decimal(total).map_err(|_| broken("no amount"))?,
            currency: Currency::from_code(&currency).ok_or_else(|| broken("unknown currency"))?,
            created_at: created_at.to_jiff(),
        }))
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
        })
    }
}
