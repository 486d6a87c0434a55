//! For tests of this core, of its adapters, and of adapters that others write.

pub mod contract;
pub mod ledger;
pub mod retention;
pub mod trail;

use core_kernel::{
    Caller, Clock, Currency, EventId, OrderId, RequestContext, SystemClock, Text, UserId, Violation,
};
use jiff::Timestamp;
use uuid::Uuid;

use crate::line::{Address, Country, LineItem, Notes, Quantity, UnitPrice};
use crate::order::{Actor, Change, NewOrder, Order, Placed};

/// An address in the US.
///
/// # Panics
/// Never: its parts are constants.
#[must_use]
pub fn address() -> Address {
    Address {
        street: text("742 Evergreen Terrace"),
        city: text("Springfield"),
        state: Some(text("IL")),
        zip_code: text("62704"),
        country: Country::USA,
    }
}

fn text<const MAX: usize>(text: &str) -> Text<MAX> {
    Text::trusted(text.to_owned())
}

/// A new order of these quantities and prices.
///
/// # Errors
/// Those of its parts.
pub fn new_order(lines: &[(i64, &str)]) -> Result<NewOrder, Violation> {
    let items = lines
        .iter()
        .map(|(quantity, price)| {
            LineItem::new(
                Uuid::from_u128(7),
                text("Wireless Headphones"),
                Quantity::new(*quantity)?,
                UnitPrice::new(price.parse()?)?,
            )
        })
        .collect::<Result<_, Violation>>()?;
    let notes = Notes::parse("Please leave at the front door.")?;
    NewOrder::new(items, address(), Currency::USD, Some(notes))
}

/// The order of the PRD's example (§4.2): 112.97 in two lines.
///
/// # Panics
/// Never: its parts are constants.
#[must_use]
pub fn placed(user: UserId) -> Placed {
    let new = new_order(&[(2, "49.99"), (1, "12.99")]).expect("a good order");
    placed_from(new, user)
}

/// `new` as an order of `user`, placed now.
#[must_use]
pub fn placed_from(new: NewOrder, user: UserId) -> Placed {
    placed_at(new, user, SystemClock.now())
}

/// `new` as an order of `user`, placed at `at`.
#[must_use]
pub fn placed_at(new: NewOrder, user: UserId, at: Timestamp) -> Placed {
    Order::place(
        OrderId::generate(),
        user,
        new,
        EventId::generate(),
        Actor::from(&Caller::Customer(user)),
        &RequestContext::generate(),
        at,
    )
}

/// The order one step further, by an admin, now.
///
/// # Panics
/// When the state machine refuses the step.
#[must_use]
pub fn advance(order: Order, to: &str) -> Change {
    advance_at(order, to, SystemClock.now())
}

/// The order one step further, by an admin, at `at`.
///
/// # Panics
/// When the state machine refuses the step.
#[must_use]
pub fn advance_at(order: Order, to: &str, at: Timestamp) -> Change {
    let admin = Caller::Admin(UserId::generate());
    order
        .advance(
            to,
            EventId::generate(),
            Actor::from(&admin),
            &RequestContext::generate(),
            at,
        )
        .expect("an allowed step")
}
