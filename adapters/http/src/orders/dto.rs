//! Bodies of the order service.

use core_kernel::{
    Currency, Faults, Money, OrderId, PageRequest, Text, UserId, Violation, wire_time,
};
use core_orders::{
    Address, HistoryEntry, LineItem, NewOrder, Notes, Order, OrderStatus, OrderSummary,
    ProductName, Quantity, UnitPrice,
};
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::error::ApiError;
use crate::fields::{Object, Value};

/// Reads `POST /orders`. `faults` are those that the request has beside its body.
///
/// # Errors
/// 400 with all faults.
pub(super) fn new_order(body: &Object<'_>, mut faults: Faults) -> Result<NewOrder, ApiError> {
    let items = items(body, &mut faults);
    let address = body
        .required(&mut faults, "shipping_address", Value::object)
        .and_then(|object| address(&object, &mut faults));
    let currency = body.optional(&mut faults, "currency", |value| {
        let code = value.string()?;
        Currency::from_code(&code)
            .filter(|currency| currency.code() == code)
            .ok_or_else(|| Violation::new("format", "must be an ISO 4217 currency code"))
    });
    let notes = body.optional(&mut faults, "notes", |value| Notes::parse(&value.string()?));
    let (Some(items), Some(address), true) = (items, address, faults.is_empty()) else {
        return Err(ApiError::validation(faults));
    };
    NewOrder::new(items, address, currency.unwrap_or(Currency::USD), notes).map_err(|violation| {
        faults.add("/items", violation);
        ApiError::validation(faults)
    })
}

fn items(body: &Object<'_>, faults: &mut Faults) -> Option<Vec<LineItem>> {
    let values = body.required(faults, "items", |value| {
        let values = value.array()?;
        // One fault for too many, not one for each.
        NewOrder::check_count(values.len())?;
        Ok(values)
    })?;
    let count = values.len();
    let items: Vec<LineItem> = values
        .iter()
        .filter_map(|value| item(value, faults))
        .collect();
    if items.len() < count {
        return None;
    }
    // Told beside the faults of other fields.
    faults
        .take("/items", NewOrder::total(&items))
        .map(|_| items)
}

fn item(value: &Value<'_>, faults: &mut Faults) -> Option<LineItem> {
    let object = faults.take(value.pointer(), value.object())?;
    let product_id = object.required(faults, "product_id", Value::uuid);
    let name = object.required(faults, "product_name", |v| ProductName::parse(&v.string()?));
    let quantity = object.required(faults, "quantity", |v| Quantity::new(v.integer()?));
    let price = object.required(faults, "unit_price", |v| UnitPrice::new(v.money()?));
    let line = LineItem::new(product_id?, name?, quantity?, price?);
    faults.take(value.pointer(), line)
}

fn address(object: &Object<'_>, faults: &mut Faults) -> Option<Address> {
    let street = object.required(faults, "street", |v| Text::parse(&v.string()?));
    let city = object.required(faults, "city", |v| Text::parse(&v.string()?));
    let zip_code = object.required(faults, "zip_code", |v| Text::parse(&v.string()?));
    let country = object.required(faults, "country", |v| Address::country(&v.string()?));
    let state = if country.is_some_and(Address::needs_state) {
        Some(object.required(faults, "state", |v| Text::parse(&v.string()?))?)
    } else {
        object.optional(faults, "state", |v| Text::parse(&v.string()?))
    };
    Some(Address {
        street: street?,
        city: city?,
        state,
        zip_code: zip_code?,
        country: country?,
    })
}

/// Reads `PATCH /orders/{id}/status`: the word for the state, whatever it is.
///
/// # Errors
/// 400 when there is none.
pub(super) fn status(body: &Object<'_>) -> Result<String, ApiError> {
    let mut faults = Faults::new();
    let to = body.required(&mut faults, "status", |value| match value.string()? {
        word if word.is_empty() => Err(Violation::new("required", "is required")),
        word => Ok(word),
    });
    to.ok_or_else(|| ApiError::validation(faults))
}

/// An order whole (PRD §4.2).
#[derive(Serialize, ToSchema)]
#[schema(as = Order)]
pub(crate) struct OrderDto<'a> {
    id: OrderId,
    user_id: UserId,
    #[schema(value_type = OrderStatus)]
    status: &'static str,
    items: &'a [LineItem],
    shipping_address: AddressDto<'a>,
    total_amount: Money,
    #[schema(min_length = 3, max_length = 3)]
    currency: &'static str,
    #[schema(required)]
    notes: Option<&'a str>,
    #[serde(with = "wire_time::option")]
    #[schema(schema_with = wire_time::option::schema, required)]
    confirmed_at: Option<Timestamp>,
    #[serde(with = "wire_time::option")]
    #[schema(schema_with = wire_time::option::schema, required)]
    shipped_at: Option<Timestamp>,
    #[serde(with = "wire_time::option")]
    #[schema(schema_with = wire_time::option::schema, required)]
    delivered_at: Option<Timestamp>,
    #[serde(with = "wire_time")]
    #[schema(schema_with = wire_time::schema)]
    created_at: Timestamp,
    #[serde(with = "wire_time")]
    #[schema(schema_with = wire_time::schema)]
    updated_at: Timestamp,
}

#[derive(Serialize, ToSchema)]
#[schema(as = Address)]
struct AddressDto<'a> {
    street: &'a str,
    city: &'a str,
    #[schema(required)]
    state: Option<&'a str>,
    zip_code: &'a str,
    country: &'static str,
}

impl<'a> From<&'a Order> for OrderDto<'a> {
    fn from(order: &'a Order) -> Self {
        let address = &order.shipping_address;
        Self {
            id: order.id,
            user_id: order.user_id,
            status: order.status().as_str(),
            items: &order.items,
            shipping_address: AddressDto {
                street: address.street.as_str(),
                city: address.city.as_str(),
                state: address.state.as_ref().map(Text::as_str),
                zip_code: address.zip_code.as_str(),
                country: address.country.alpha2(),
            },
            total_amount: order.total_amount,
            currency: order.currency.code(),
            notes: order.notes.as_ref().map(Notes::as_str),
            confirmed_at: order.state.confirmed_at(),
            shipped_at: order.state.shipped_at(),
            delivered_at: order.state.delivered_at(),
            created_at: order.created_at,
            updated_at: order.updated_at,
        }
    }
}

/// Which page of how many; shared by all lists. `null`s where a list was entered by a cursor: it is
/// not counted then, which would cost as much as the list is long.
#[derive(Serialize, ToSchema)]
pub(crate) struct Pagination {
    #[schema(required)]
    page: Option<u32>,
    limit: u32,
    #[schema(required)]
    total_items: Option<u64>,
    #[schema(required)]
    total_pages: Option<u64>,
}

impl Pagination {
    pub(crate) fn new(page: PageRequest, total: u64) -> Self {
        Self {
            page: Some(page.page),
            limit: page.limit,
            total_items: Some(total),
            total_pages: Some(page.pages(total)),
        }
    }

    pub(crate) fn uncounted(limit: u32) -> Self {
        Self {
            page: None,
            limit,
            total_items: None,
            total_pages: None,
        }
    }

    /// The same in a list that can be walked by cursors.
    pub(crate) fn then(self, next_cursor: Option<String>) -> Walk {
        Walk {
            pagination: self,
            next_cursor,
        }
    }
}

/// Where a list is, and where it goes on.
#[derive(Serialize, ToSchema)]
pub(crate) struct Walk {
    #[serde(flatten)]
    pagination: Pagination,
    /// `null` at the end.
    #[schema(required)]
    next_cursor: Option<String>,
}

/// Answer to `GET /orders`.
#[derive(Serialize, ToSchema)]
#[schema(as = OrderList)]
pub(super) struct List {
    data: Vec<SummaryDto>,
    pagination: Walk,
}

#[derive(Serialize, ToSchema)]
#[schema(as = OrderSummary)]
pub(crate) struct SummaryDto {
    id: OrderId,
    #[schema(value_type = OrderStatus)]
    status: &'static str,
    total_amount: Money,
    #[schema(min_length = 3, max_length = 3)]
    currency: &'static str,
    #[serde(with = "wire_time")]
    #[schema(schema_with = wire_time::schema)]
    created_at: Timestamp,
}

impl From<&OrderSummary> for SummaryDto {
    fn from(order: &OrderSummary) -> Self {
        Self {
            id: order.id,
            status: order.status.as_str(),
            total_amount: order.total_amount,
            currency: order.currency.code(),
            created_at: order.created_at,
        }
    }
}

impl List {
    pub(super) fn new(items: &[OrderSummary], pagination: Walk) -> Self {
        Self {
            data: items.iter().map(SummaryDto::from).collect(),
            pagination,
        }
    }
}

/// Answer to `PATCH /orders/{id}/status`: the new state with its own time.
#[derive(Serialize, ToSchema)]
#[schema(as = OrderTransition)]
pub(super) struct Transitioned {
    id: OrderId,
    #[schema(value_type = OrderStatus)]
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none", with = "wire_time::option")]
    #[schema(schema_with = wire_time::schema, required = false)]
    confirmed_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none", with = "wire_time::option")]
    #[schema(schema_with = wire_time::schema, required = false)]
    shipped_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none", with = "wire_time::option")]
    #[schema(schema_with = wire_time::schema, required = false)]
    delivered_at: Option<Timestamp>,
    #[serde(with = "wire_time")]
    #[schema(schema_with = wire_time::schema)]
    updated_at: Timestamp,
}

impl From<&Order> for Transitioned {
    fn from(order: &Order) -> Self {
        use core_orders::OrderStatus::{Confirmed, Delivered, Shipped};
        let status = order.status();
        let only = |this, at: Option<Timestamp>| at.filter(|_| status == this);
        Self {
            id: order.id,
            status: status.as_str(),
            confirmed_at: only(Confirmed, order.state.confirmed_at()),
            shipped_at: only(Shipped, order.state.shipped_at()),
            delivered_at: only(Delivered, order.state.delivered_at()),
            updated_at: order.updated_at,
        }
    }
}

/// Answer to `GET /orders/{id}/history`.
#[derive(Serialize, ToSchema)]
#[schema(as = OrderHistory)]
pub(super) struct History<'a> {
    data: Vec<EntryDto<'a>>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = HistoryEntry)]
pub(crate) struct EntryDto<'a> {
    #[schema(value_type = Option<OrderStatus>, required)]
    from: Option<&'static str>,
    #[schema(value_type = OrderStatus)]
    to: &'static str,
    actor: ActorDto<'a>,
    #[serde(with = "wire_time")]
    #[schema(schema_with = wire_time::schema)]
    at: Timestamp,
    request_id: &'a str,
}

#[derive(Serialize, ToSchema)]
#[schema(as = Actor)]
struct ActorDto<'a> {
    id: &'a str,
    role: &'a str,
}

impl<'a> From<&'a HistoryEntry> for EntryDto<'a> {
    fn from(entry: &'a HistoryEntry) -> Self {
        Self {
            from: entry.from.map(core_orders::OrderStatus::as_str),
            to: entry.to.as_str(),
            actor: ActorDto {
                id: &entry.actor.id,
                role: &entry.actor.role,
            },
            at: entry.at,
            request_id: &entry.request_id,
        }
    }
}

impl<'a> From<&'a [HistoryEntry]> for History<'a> {
    fn from(entries: &'a [HistoryEntry]) -> Self {
        Self {
            data: entries.iter().map(EntryDto::from).collect(),
        }
    }
}
