//! Orders against their own history and events, for who looks for what does not fit.

use async_trait::async_trait;
use core_kernel::{EventId, OrderId, RequestContext};
use jiff::Timestamp;

use crate::event::{OrderEvent, OrderEventKind};
use crate::ports::StoreError;
use crate::state::OrderStatus;

/// A step of an order, as its history has it. States are words: what is looked for may be nonsense.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The state before; `None` for the first.
    pub from: Option<String>,
    /// The state after.
    pub to: String,
    /// When.
    pub at: Timestamp,
}

/// An event of an order that is in the outbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerEvent {
    /// Its id.
    pub event_id: EventId,
    /// What happened, `OrderCreated`.
    pub event_type: String,
    /// When the broker took it, if it did.
    pub published_at: Option<Timestamp>,
}

/// What is stored of one order: the row itself, its history, and its events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ledger {
    /// Which order.
    pub id: OrderId,
    /// The state that the order has.
    pub status: String,
    /// When it was placed.
    pub created_at: Timestamp,
    /// When it was confirmed, shipped and delivered.
    pub times: [Option<Timestamp>; 3],
    /// Its history, oldest first.
    pub steps: Vec<Step>,
    /// Its events that are still in the outbox, oldest first.
    pub events: Vec<LedgerEvent>,
}

impl Ledger {
    /// The events that must have been stored with its steps, and when.
    pub fn due(&self) -> impl Iterator<Item = (OrderEventKind, Timestamp)> + '_ {
        self.steps.iter().filter_map(|step| {
            let kind = OrderEventKind::of(step.to.parse().ok()?)?;
            Some((kind, step.at))
        })
    }

    /// Its event of this kind, if it is still in the outbox.
    #[must_use]
    pub fn event(&self, kind: OrderEventKind) -> Option<&LedgerEvent> {
        let mut events = self.events.iter();
        events.find(|event| event.event_type == kind.event_type())
    }

    /// Where the order and its history do not tell the same, in words; `None` where they do.
    #[must_use]
    pub fn disagreement(&self) -> Option<String> {
        let Some(last) = self.steps.last() else {
            return Some(format!("it is {}, and has no history", self.status));
        };
        for (before, after) in self.steps.iter().zip(&self.steps[1..]) {
            if after.from.as_ref() != Some(&before.to) {
                let from = after.from.as_deref().unwrap_or("nothing");
                let (to, before) = (&after.to, &before.to);
                return Some(format!(
                    "its history goes from {from} to {to} where it had become {before}"
                ));
            }
        }
        if last.to != self.status {
            let (is, was) = (&self.status, &last.to);
            return Some(format!("it is {is}, and its history ends in {was}"));
        }
        self.steps.iter().find_map(|step| self.odd_time(step))
    }

    /// A step whose time is not the order's own.
    fn odd_time(&self, step: &Step) -> Option<String> {
        let [confirmed, shipped, delivered] = self.times;
        let own = match step.to.parse::<OrderStatus>().ok()? {
            OrderStatus::Pending => Some(self.created_at),
            OrderStatus::Confirmed => confirmed,
            OrderStatus::Shipped => shipped,
            OrderStatus::Delivered => delivered,
        };
        let (to, at) = (&step.to, step.at);
        match own {
            Some(own) if own == at => None,
            Some(own) => Some(format!("it became {to} at {own}, by its history at {at}")),
            None => Some(format!(
                "it became {to} at {at} by its history, and has no such time"
            )),
        }
    }
}

/// Why an event is put back into the outbox, and by whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repair {
    /// Who does it, `cli:ada`.
    pub actor: String,
    /// What was found, `event_missing`.
    pub finding: &'static str,
    /// When it is done.
    pub at: Timestamp,
}

/// Lets all orders be read with their history and events, and events be put back.
#[async_trait]
pub trait OrderLedger: Send + Sync {
    /// The ledgers of up to `limit` (at least 1) orders that come after the one with this id, by
    /// ascending id (its bytes); from the first on when it is `None`. Each is read at one moment.
    async fn ledgers_after(
        &self,
        after: Option<OrderId>,
        limit: u32,
    ) -> Result<Vec<Ledger>, StoreError>;

    /// The ledgers of these orders, in any order; of one that is not there, none.
    async fn ledgers_of(&self, ids: &[OrderId]) -> Result<Vec<Ledger>, StoreError>;

    /// Puts an event into the outbox as `OrderStore::insert` does, at the time when it happened, and
    /// keeps who did it and why: both or nothing. An event that is there under its id and was
    /// published is to be published once more, byte for byte as it was; one that is still waiting
    /// is left as it is.
    ///
    /// False when it was waiting already, and nothing was done.
    async fn restore(
        &self,
        event: &OrderEvent,
        repair: &Repair,
        context: &RequestContext,
    ) -> Result<bool, StoreError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn step(from: Option<&str>, to: &str, second: i64) -> Step {
        Step {
            from: from.map(str::to_owned),
            to: to.to_owned(),
            at: at(second),
        }
    }

    fn shipped() -> Ledger {
        Ledger {
            id: OrderId::generate(),
            status: "shipped".into(),
            created_at: at(1),
            times: [Some(at(2)), Some(at(3)), None],
            steps: vec![
                step(None, "pending", 1),
                step(Some("pending"), "confirmed", 2),
                step(Some("confirmed"), "shipped", 3),
            ],
            events: Vec::new(),
        }
    }

    #[test]
    fn an_order_that_was_placed_and_shipped_owes_two_events() {
        let due: Vec<_> = shipped().due().collect();
        let wanted = [
            (OrderEventKind::Created, at(1)),
            (OrderEventKind::Shipped, at(3)),
        ];
        assert_eq!(due, wanted);
    }

    #[test]
    fn a_history_that_tells_another_story_is_a_disagreement() {
        assert_eq!(shipped().disagreement(), None);
        let told = |change: fn(&mut Ledger)| {
            let mut ledger = shipped();
            change(&mut ledger);
            ledger.disagreement().unwrap()
        };
        let none = told(|ledger| ledger.steps.clear());
        assert_eq!(none, "it is shipped, and has no history");
        let behind = told(|ledger| drop(ledger.steps.pop()));
        assert_eq!(behind, "it is shipped, and its history ends in confirmed");
        let gap = told(|ledger| drop(ledger.steps.remove(1)));
        assert_eq!(
            gap,
            "its history goes from confirmed to shipped where it had become pending"
        );
        let late = told(|ledger| ledger.steps[2].at = at(9));
        assert_eq!(
            late,
            "it became shipped at 1970-01-01T00:00:03Z, by its history at 1970-01-01T00:00:09Z"
        );
        let timeless = told(|ledger| ledger.times[0] = None);
        assert_eq!(
            timeless,
            "it became confirmed at 1970-01-01T00:00:02Z by its history, and has no such time"
        );
    }
}
