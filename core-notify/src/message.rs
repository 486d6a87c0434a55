//! What a notification needs to know: the order, and whom to reach. These are this service's own
//! readings of the other services' answers; what they do not need, they do not read.

use core_kernel::{Money, OrderId, UserId, wire_time};
use jiff::Timestamp;
use serde::Deserialize;

/// An order as `GET /orders/:id` gives it.
#[derive(Clone, Debug, Deserialize)]
pub struct OrderDetails {
    /// Its id.
    pub id: OrderId,
    /// Whose it is.
    pub user_id: UserId,
    /// Its lines.
    pub items: Vec<LineItem>,
    /// Where it goes.
    pub shipping_address: Address,
    /// What it costs.
    pub total_amount: Money,
    /// ISO 4217.
    pub currency: String,
    /// When it was shipped, if it was.
    #[serde(with = "wire_time::option")]
    pub shipped_at: Option<Timestamp>,
}

/// A line of an order.
#[derive(Clone, Debug, Deserialize)]
pub struct LineItem {
    /// What.
    pub product_name: String,
    /// How many.
    pub quantity: u32,
    /// What they cost together.
    pub subtotal: Money,
}

/// Where an order goes.
#[derive(Clone, Deserialize)]
pub struct Address {
    /// Street and number.
    pub street: String,
    /// City.
    pub city: String,
    /// State or province.
    pub state: Option<String>,
    /// Postal code.
    pub zip_code: String,
    /// ISO 3166-1 alpha-2.
    pub country: String,
}

impl std::fmt::Debug for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Address(***)")
    }
}

/// A user as `GET /auth/users/:id` gives it.
#[derive(Clone, Deserialize)]
pub struct Contact {
    /// Where mails go.
    pub email: String,
    /// How they are addressed.
    pub first_name: String,
    /// Where texts go, if anywhere.
    pub phone: Option<String>,
}

impl std::fmt::Debug for Contact {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Contact(***)")
    }
}
