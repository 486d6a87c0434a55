//! The order and the decisions it takes. A decision is data: the order as it now is, its history
//! entry and its events, for a store to write together.

use std::sync::Arc;

use core_kernel::{
    Caller, Currency, EventId, Money, OrderId, RequestContext, Text, UserId, Violation,
};
use jiff::Timestamp;

use crate::event::OrderEvent;
use crate::line::{Address, LineItem, Notes, too_large};
use crate::state::{OrderState, OrderStatus, TransitionError};

/// What a customer asks for, with all its rules checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewOrder {
    items: Vec<LineItem>,
    total_amount: Money,
    /// Where it goes.
    pub shipping_address: Address,
    /// ISO 4217.
    pub currency: Currency,
    /// The customer's own words.
    pub notes: Option<Notes>,
}

impl NewOrder {
    /// How many lines an order may have.
    pub const MAX_ITEMS: usize = 100;

    /// The order that these parts make.
    ///
    /// # Errors
    /// A fault of the lines as a whole: `min`, `max` lines, or `max` total (NUMERIC(10,2)).
    pub fn new(
        items: Vec<LineItem>,
        shipping_address: Address,
        currency: Currency,
        notes: Option<Notes>,
    ) -> Result<Self, Violation> {
        Self::check_count(items.len())?;
        let total_amount = Self::total(&items)?;
        Ok(Self {
            items,
            total_amount,
            shipping_address,
            currency,
            notes,
        })
    }

    /// Whether an order may have so many lines.
    ///
    /// # Errors
    /// `min` for none, `max` for more than 100.
    pub fn check_count(items: usize) -> Result<(), Violation> {
        match items {
            0 => Err(Violation::new("min", "must have at least 1 item")),
            1..=Self::MAX_ITEMS => Ok(()),
            _ => Err(Violation::new("max", "must have at most 100 items")),
        }
    }

    /// What the lines cost together.
    ///
    /// # Errors
    /// `max` above 99999999.99.
    pub fn total(items: &[LineItem]) -> Result<Money, Violation> {
        items
            .iter()
            .try_fold(Money::ZERO, |sum, item| sum.checked_add(item.subtotal))
            .filter(|total| *total <= Money::MAX_TOTAL)
            .ok_or_else(too_large)
    }
}

/// An order (PRD §3.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// Its id.
    pub id: OrderId,
    /// Who placed it.
    pub user_id: UserId,
    /// Its lines.
    pub items: Vec<LineItem>,
    /// Where it goes.
    pub shipping_address: Address,
    /// What it costs.
    pub total_amount: Money,
    /// ISO 4217.
    pub currency: Currency,
    /// The customer's own words.
    pub notes: Option<Notes>,
    /// Where it stands.
    pub state: OrderState,
    /// When it was placed.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// Who made a change, as the history keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    /// A user's id, a service's name, or `cli:<user>`.
    pub id: String,
    /// The actor's role.
    pub role: String,
}

impl From<&Caller> for Actor {
    fn from(caller: &Caller) -> Self {
        Self {
            id: caller.id_text(),
            role: caller.role().as_str().to_owned(),
        }
    }
}

/// One line of an order's history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryEntry {
    /// The state before; `None` when the order was placed.
    pub from: Option<OrderStatus>,
    /// The state after.
    pub to: OrderStatus,
    /// Who.
    pub actor: Actor,
    /// When.
    pub at: Timestamp,
    /// Which request.
    pub request_id: Arc<str>,
    /// Which trace, 32 hex digits.
    pub trace_id: String,
    /// Why, in an operator's words. It is for operators, and no answer over HTTP has it.
    pub reason: Option<Reason>,
}

/// Why somebody moved an order: 1 to 200 characters.
pub type Reason = Text<200>;

/// A new order with all that is stored together with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed {
    /// The order.
    pub order: Order,
    /// Its first history entry.
    pub history: HistoryEntry,
    /// Its events.
    pub events: Vec<OrderEvent>,
}

/// A changed order with all that is stored together with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The state the order was in; the store must find it there still.
    pub from: OrderStatus,
    /// The order as it now is.
    pub order: Order,
    /// Its new history entry.
    pub history: HistoryEntry,
    /// Its events.
    pub events: Vec<OrderEvent>,
}

impl Order {
    /// Places an order at `at`.
    #[must_use]
    pub fn place(
        id: OrderId,
        user_id: UserId,
        new: NewOrder,
        event_id: EventId,
        actor: Actor,
        context: &RequestContext,
        at: Timestamp,
    ) -> Placed {
        let order = Self {
            id,
            user_id,
            items: new.items,
            shipping_address: new.shipping_address,
            total_amount: new.total_amount,
            currency: new.currency,
            notes: new.notes,
            state: OrderState::Pending,
            created_at: at,
            updated_at: at,
        };
        Placed {
            history: entry(None, OrderStatus::Pending, actor, context, at),
            events: vec![OrderEvent::created(event_id, &order)],
            order,
        }
    }

    /// Moves the order one step forward at `at`. `to` is the word that was asked for.
    ///
    /// # Errors
    /// Those of [`OrderState::advance`].
    pub fn advance(
        mut self,
        to: &str,
        event_id: EventId,
        actor: Actor,
        context: &RequestContext,
        at: Timestamp,
    ) -> Result<Change, TransitionError> {
        let from = self.status();
        self.state = self.state.advance(to, at)?;
        self.updated_at = at;
        let events = match self.state {
            OrderState::Shipped { shipped_at, .. } => {
                vec![OrderEvent::shipped(event_id, &self, shipped_at)]
            }
            OrderState::Pending | OrderState::Confirmed { .. } | OrderState::Delivered { .. } => {
                Vec::new()
            }
        };
        Ok(Change {
            history: entry(Some(from), self.status(), actor, context, at),
            from,
            events,
            order: self,
        })
    }

    /// The order as it was when it was placed. Nothing but its state ever changes.
    #[must_use]
    pub fn as_placed(self) -> Self {
        Self {
            state: OrderState::Pending,
            updated_at: self.created_at,
            ..self
        }
    }

    /// The name of its state.
    #[must_use]
    pub fn status(&self) -> OrderStatus {
        self.state.status()
    }
}

fn entry(
    from: Option<OrderStatus>,
    to: OrderStatus,
    actor: Actor,
    context: &RequestContext,
    at: Timestamp,
) -> HistoryEntry {
    HistoryEntry {
        from,
        to,
        actor,
        at,
        request_id: context.request_id.clone(),
        trace_id: context.trace.trace_id(),
        reason: None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::{self, new_order};

    #[test]
    fn a_placed_order_is_pending_and_raises_order_created() {
        let placed = testing::placed(UserId::generate());
        assert_eq!(placed.order.status(), OrderStatus::Pending);
        assert_eq!(placed.history.from, None);
        let [OrderEvent::Created(event)] = placed.events.as_slice() else {
            panic!("{:?}", placed.events)
        };
        assert_eq!(event.payload.order_id, placed.order.id);
        assert_eq!(event.payload.total_amount.to_string(), "112.97");
        assert_eq!(event.payload.items_count, 2);
    }

    #[test]
    fn only_shipping_raises_an_event_on_the_way() {
        let mut order = testing::placed(UserId::generate()).order;
        let mut raised: Vec<Vec<&str>> = Vec::new();
        for to in ["confirmed", "shipped", "delivered"] {
            let change = testing::advance(order, to);
            assert_eq!(change.history.to.as_str(), to);
            assert_eq!(change.order.updated_at, change.history.at);
            raised.push(change.events.iter().map(OrderEvent::event_type).collect());
            order = change.order;
        }
        assert_eq!(raised, [vec![], vec!["OrderShipped"], vec![]]);
    }

    #[test]
    fn an_order_as_it_was_placed_knows_nothing_of_its_later_life() {
        let placed = testing::placed(UserId::generate()).order;
        let confirmed = testing::advance(placed.clone(), "confirmed").order;
        let shipped = testing::advance(confirmed, "shipped").order;
        assert_eq!(shipped.as_placed(), placed);
    }

    #[test]
    fn an_order_has_one_to_a_hundred_lines() {
        assert_eq!(new_order(&[]).unwrap_err().code, "min");
        assert!(new_order(&[(1, "0.01"); 100]).is_ok());
        assert_eq!(new_order(&[(1, "0.01"); 101]).unwrap_err().code, "max");
    }

    #[test]
    fn a_total_that_the_column_cannot_hold_is_refused() {
        assert!(new_order(&[(1, "99999999.99")]).is_ok());
        assert!(new_order(&[(1, "99999999.99"), (1, "0.01")]).is_err());
        assert!(new_order(&[(1_000_000, "9999999999999999")]).is_err());
    }

    proptest! {
        #[test]
        fn the_total_is_the_exact_sum(lines in prop::collection::vec((1_i64..1000, 1_i64..10_000), 1..20)) {
            let prices: Vec<String> = lines.iter().map(|(_, c)| format!("{}.{:02}", c / 100, c % 100)).collect();
            let drafts: Vec<(i64, &str)> = lines.iter().zip(&prices).map(|((q, _), p)| (*q, p.as_str())).collect();
            let cents: i64 = lines.iter().map(|(q, c)| q * c).sum();
            let total = new_order(&drafts).unwrap().total_amount;
            prop_assert_eq!(total.to_string(), format!("{}.{:02}", cents / 100, cents % 100));
        }
    }
}
