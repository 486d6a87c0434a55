//! The events an order raises (PRD §5).

use core_kernel::{Envelope, EventId, Money, OrderId, UserId, wire_time};
use jiff::Timestamp;
use serde::Serialize;

use crate::line::Address;
use crate::order::Order;
use crate::state::{OrderState, OrderStatus};

/// As much of an address as an event tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Region {
    /// City.
    pub city: String,
    /// State or province, or `null`.
    #[cfg_attr(feature = "schema", schema(required))]
    pub state: Option<String>,
    /// ISO 3166-1 alpha-2 code.
    pub country: &'static str,
}

impl From<&Address> for Region {
    fn from(address: &Address) -> Self {
        Self {
            city: address.city.as_str().to_owned(),
            state: address
                .state
                .as_ref()
                .map(|state| state.as_str().to_owned()),
            country: address.country.alpha2(),
        }
    }
}

/// Payload of `OrderCreated`, routing key `order.created` (PRD §5.1).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct OrderCreated {
    /// Which order.
    pub order_id: OrderId,
    /// Whose.
    pub user_id: UserId,
    /// Always `pending`.
    #[cfg_attr(feature = "schema", schema(schema_with = schema::pending))]
    pub status: &'static str,
    /// What it costs, a JSON number.
    pub total_amount: Money,
    /// In which currency.
    pub currency: &'static str,
    /// How many lines it has.
    pub items_count: usize,
    /// Where it goes, roughly.
    pub shipping_address: Region,
}

/// Payload of `OrderShipped`, routing key `order.shipped` (PRD §5.2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct OrderShipped {
    /// Which order.
    pub order_id: OrderId,
    /// Whose.
    pub user_id: UserId,
    /// Always `shipped`.
    #[cfg_attr(feature = "schema", schema(schema_with = schema::shipped))]
    pub status: &'static str,
    /// When it was shipped.
    #[serde(with = "wire_time")]
    #[cfg_attr(feature = "schema", schema(schema_with = wire_time::schema))]
    pub shipped_at: Timestamp,
    /// Where it goes, roughly.
    pub shipping_address: Region,
}

/// The events that an order raises.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OrderEventKind {
    /// It was placed.
    Created,
    /// It went on its way.
    Shipped,
}

impl OrderEventKind {
    /// The event of becoming this, if there is one.
    #[must_use]
    pub fn of(to: OrderStatus) -> Option<Self> {
        match to {
            OrderStatus::Pending => Some(Self::Created),
            OrderStatus::Shipped => Some(Self::Shipped),
            OrderStatus::Confirmed | OrderStatus::Delivered => None,
        }
    }

    /// Its type on the wire, `OrderCreated`.
    #[must_use]
    pub fn event_type(self) -> &'static str {
        match self {
            Self::Created => OrderCreated::EVENT_TYPE,
            Self::Shipped => OrderShipped::EVENT_TYPE,
        }
    }
}

impl OrderCreated {
    /// The type of its event.
    pub const EVENT_TYPE: &str = "OrderCreated";
    /// Its routing key on `order.events`.
    pub const ROUTING_KEY: &str = "order.created";
}

impl OrderShipped {
    /// The type of its event.
    pub const EVENT_TYPE: &str = "OrderShipped";
    /// Its routing key on `order.events`.
    pub const ROUTING_KEY: &str = "order.shipped";
}

/// What a state looks like where it is always the same one.
#[cfg(feature = "schema")]
mod schema {
    use core_kernel::schema::{Object, words};

    use crate::state::OrderStatus;

    pub(super) fn pending() -> Object {
        words([OrderStatus::Pending.as_str()])
    }

    pub(super) fn shipped() -> Object {
        words([OrderStatus::Shipped.as_str()])
    }
}

/// An event of an order, to be stored and published with the change that raised it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OrderEvent {
    /// An order was placed.
    Created(Envelope<OrderCreated>),
    /// An order went on its way.
    Shipped(Envelope<OrderShipped>),
}

impl OrderEvent {
    pub(crate) fn created(id: EventId, order: &Order) -> Self {
        Self::Created(envelope(
            id,
            OrderCreated::EVENT_TYPE,
            order.created_at,
            OrderCreated {
                order_id: order.id,
                user_id: order.user_id,
                status: order.status().as_str(),
                total_amount: order.total_amount,
                currency: order.currency.code(),
                items_count: order.items.len(),
                shipping_address: Region::from(&order.shipping_address),
            },
        ))
    }

    pub(crate) fn shipped(id: EventId, order: &Order, shipped_at: Timestamp) -> Self {
        Self::Shipped(envelope(
            id,
            OrderShipped::EVENT_TYPE,
            shipped_at,
            OrderShipped {
                order_id: order.id,
                user_id: order.user_id,
                status: order.status().as_str(),
                shipped_at,
                shipping_address: Region::from(&order.shipping_address),
            },
        ))
    }

    /// The event as it was when it happened, made anew of the order; `None` if it has not happened.
    #[must_use]
    pub fn rebuilt(kind: OrderEventKind, id: EventId, order: &Order) -> Option<Self> {
        match kind {
            OrderEventKind::Created => Some(Self::created(id, &order.clone().as_placed())),
            OrderEventKind::Shipped => {
                let (confirmed_at, shipped_at) =
                    order.state.confirmed_at().zip(order.state.shipped_at())?;
                let state = OrderState::Shipped {
                    confirmed_at,
                    shipped_at,
                };
                let then = Order {
                    state,
                    ..order.clone()
                };
                Some(Self::shipped(id, &then, shipped_at))
            }
        }
    }

    /// Which of an order's events it is.
    #[must_use]
    pub fn kind(&self) -> OrderEventKind {
        match self {
            Self::Created(_) => OrderEventKind::Created,
            Self::Shipped(_) => OrderEventKind::Shipped,
        }
    }

    /// What it is about.
    #[must_use]
    pub fn order_id(&self) -> OrderId {
        match self {
            Self::Created(envelope) => envelope.payload.order_id,
            Self::Shipped(envelope) => envelope.payload.order_id,
        }
    }

    /// When it happened.
    #[must_use]
    pub fn occurred_at(&self) -> Timestamp {
        match self {
            Self::Created(envelope) => envelope.timestamp,
            Self::Shipped(envelope) => envelope.timestamp,
        }
    }

    /// The event's id.
    #[must_use]
    pub fn id(&self) -> EventId {
        match self {
            Self::Created(envelope) => envelope.event_id,
            Self::Shipped(envelope) => envelope.event_id,
        }
    }

    /// Its type, `OrderCreated` or `OrderShipped`.
    #[must_use]
    pub fn event_type(&self) -> &'static str {
        self.kind().event_type()
    }

    /// Where the broker routes it.
    #[must_use]
    pub fn routing_key(&self) -> &'static str {
        match self {
            Self::Created(_) => OrderCreated::ROUTING_KEY,
            Self::Shipped(_) => OrderShipped::ROUTING_KEY,
        }
    }

    /// The envelope as JSON, as it is stored and published.
    ///
    /// # Errors
    /// None that these types can give; the serializer's are passed on.
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        match self {
            Self::Created(envelope) => serde_json::to_string(envelope),
            Self::Shipped(envelope) => serde_json::to_string(envelope),
        }
    }
}

fn envelope<P>(
    event_id: EventId,
    event_type: &str,
    timestamp: Timestamp,
    payload: P,
) -> Envelope<P> {
    Envelope {
        event_id,
        event_type: event_type.to_owned(),
        timestamp,
        version: Envelope::<P>::VERSION.to_owned(),
        payload,
    }
}
