//! The state machine of an order (PRD §6).

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;

/// The name of a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OrderStatus {
    /// Placed, not yet looked at.
    Pending,
    /// Accepted by an admin.
    Confirmed,
    /// On its way; the customer is told.
    Shipped,
    /// Arrived. Nothing follows.
    Delivered,
}

impl OrderStatus {
    /// All of them, in the order in which they follow each other.
    pub const ALL: [Self; 4] = [
        Self::Pending,
        Self::Confirmed,
        Self::Shipped,
        Self::Delivered,
    ];

    /// The word for it on the wire and in tables.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Confirmed => "confirmed",
            Self::Shipped => "shipped",
            Self::Delivered => "delivered",
        }
    }

    /// The one state that may follow: the whole transition table (PRD §6.2).
    #[must_use]
    pub fn next(self) -> Option<Self> {
        match self {
            Self::Pending => Some(Self::Confirmed),
            Self::Confirmed => Some(Self::Shipped),
            Self::Shipped => Some(Self::Delivered),
            Self::Delivered => None,
        }
    }
}

#[cfg(feature = "schema")]
impl utoipa::PartialSchema for OrderStatus {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        core_kernel::schema::words(Self::ALL.map(Self::as_str)).into()
    }
}

#[cfg(feature = "schema")]
impl utoipa::ToSchema for OrderStatus {}

impl fmt::Display for OrderStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for OrderStatus {
    type Err = UnknownStatus;

    fn from_str(text: &str) -> Result<Self, UnknownStatus> {
        Self::ALL
            .into_iter()
            .find(|status| status.as_str() == text)
            .ok_or(UnknownStatus)
    }
}

/// The word names no state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be one of pending, confirmed, shipped, delivered")]
pub struct UnknownStatus;

/// A state with exactly the times that belong to it (the invariants of PRD §6.3, by type).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrderState {
    /// No time is set.
    Pending,
    /// Confirmed and no more.
    Confirmed {
        /// When it was confirmed.
        confirmed_at: Timestamp,
    },
    /// Confirmed and shipped.
    Shipped {
        /// When it was confirmed.
        confirmed_at: Timestamp,
        /// When it was shipped.
        shipped_at: Timestamp,
    },
    /// All three.
    Delivered {
        /// When it was confirmed.
        confirmed_at: Timestamp,
        /// When it was shipped.
        shipped_at: Timestamp,
        /// When it was delivered.
        delivered_at: Timestamp,
    },
}

/// A step that the state machine refuses.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransitionError {
    /// It is there already (409).
    #[error("the order is already {0}")]
    AlreadyIn(OrderStatus),
    /// A step back, a skipped state, an unknown one, or one out of `delivered` (400).
    #[error("an order that is {from} cannot become {to:?}")]
    NotAllowed {
        /// Where the order is.
        from: OrderStatus,
        /// The word that was asked for.
        to: String,
    },
}

impl OrderState {
    /// The state's name.
    #[must_use]
    pub fn status(self) -> OrderStatus {
        match self {
            Self::Pending => OrderStatus::Pending,
            Self::Confirmed { .. } => OrderStatus::Confirmed,
            Self::Shipped { .. } => OrderStatus::Shipped,
            Self::Delivered { .. } => OrderStatus::Delivered,
        }
    }

    /// When it was confirmed, if it was.
    #[must_use]
    pub fn confirmed_at(self) -> Option<Timestamp> {
        match self {
            Self::Pending => None,
            Self::Confirmed { confirmed_at }
            | Self::Shipped { confirmed_at, .. }
            | Self::Delivered { confirmed_at, .. } => Some(confirmed_at),
        }
    }

    /// When it was shipped, if it was.
    #[must_use]
    pub fn shipped_at(self) -> Option<Timestamp> {
        match self {
            Self::Pending | Self::Confirmed { .. } => None,
            Self::Shipped { shipped_at, .. } | Self::Delivered { shipped_at, .. } => {
                Some(shipped_at)
            }
        }
    }

    /// When it was delivered, if it was.
    #[must_use]
    pub fn delivered_at(self) -> Option<Timestamp> {
        match self {
            Self::Delivered { delivered_at, .. } => Some(delivered_at),
            Self::Pending | Self::Confirmed { .. } | Self::Shipped { .. } => None,
        }
    }

    /// The state that a stored status and its times make; `None` when they break PRD §6.3.
    #[must_use]
    pub fn from_parts(
        status: OrderStatus,
        confirmed_at: Option<Timestamp>,
        shipped_at: Option<Timestamp>,
        delivered_at: Option<Timestamp>,
    ) -> Option<Self> {
        match (status, confirmed_at, shipped_at, delivered_at) {
            (OrderStatus::Pending, None, None, None) => Some(Self::Pending),
            (OrderStatus::Confirmed, Some(confirmed_at), None, None) => {
                Some(Self::Confirmed { confirmed_at })
            }
            (OrderStatus::Shipped, Some(confirmed_at), Some(shipped_at), None) => {
                Some(Self::Shipped {
                    confirmed_at,
                    shipped_at,
                })
            }
            (OrderStatus::Delivered, Some(confirmed_at), Some(shipped_at), Some(delivered_at)) => {
                Some(Self::Delivered {
                    confirmed_at,
                    shipped_at,
                    delivered_at,
                })
            }
            _ => None,
        }
    }

    /// Takes one step forward at `at` (UTC). `to` is the word that was asked for.
    ///
    /// # Errors
    /// `AlreadyIn` (409): the order is in state `to`. `NotAllowed` (400): a step back, a skipped
    /// state, an unknown word, or out of `delivered`. Source: PRD §6.2.
    pub fn advance(self, to: &str, at: Timestamp) -> Result<Self, TransitionError> {
        let from = self.status();
        if to == from.as_str() {
            return Err(TransitionError::AlreadyIn(from));
        }
        if from.next().is_none_or(|next| next.as_str() != to) {
            return Err(TransitionError::NotAllowed {
                from,
                to: to.chars().take(40).collect(),
            });
        }
        Ok(match self {
            Self::Pending => Self::Confirmed { confirmed_at: at },
            Self::Confirmed { confirmed_at } => Self::Shipped {
                confirmed_at,
                shipped_at: at,
            },
            Self::Shipped {
                confirmed_at,
                shipped_at,
            } => Self::Delivered {
                confirmed_at,
                shipped_at,
                delivered_at: at,
            },
            // `next` has nothing for it, so it was refused above.
            Self::Delivered { .. } => self,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn states() -> [OrderState; 4] {
        let [confirmed_at, shipped_at, delivered_at] = [1, 2, 3].map(at);
        [
            OrderState::Pending,
            OrderState::Confirmed { confirmed_at },
            OrderState::Shipped {
                confirmed_at,
                shipped_at,
            },
            OrderState::Delivered {
                confirmed_at,
                shipped_at,
                delivered_at,
            },
        ]
    }

    #[test]
    fn of_all_steps_only_the_next_one_is_allowed() {
        for (i, state) in states().into_iter().enumerate() {
            for (j, to) in OrderStatus::ALL.into_iter().enumerate() {
                let step = state.advance(to.as_str(), at(9));
                match (i, j) {
                    _ if i == j => assert_eq!(step, Err(TransitionError::AlreadyIn(to))),
                    _ if i + 1 == j => assert_eq!(step.unwrap().status(), to),
                    _ => assert!(
                        matches!(step, Err(TransitionError::NotAllowed { .. })),
                        "{i} {j}"
                    ),
                }
            }
            assert!(matches!(
                state.advance("paid", at(9)),
                Err(TransitionError::NotAllowed { .. })
            ));
        }
    }

    #[test]
    fn a_step_sets_its_own_time_and_keeps_the_others() {
        let shipped = states()[1].advance("shipped", at(9)).unwrap();
        assert_eq!(shipped.confirmed_at(), Some(at(1)));
        assert_eq!(shipped.shipped_at(), Some(at(9)));
        assert_eq!(shipped.delivered_at(), None);
    }

    #[test]
    fn a_state_survives_its_parts_and_no_other_parts_make_a_state() {
        let times = [None, Some(at(1))];
        let mut made = 0;
        for status in OrderStatus::ALL {
            for c in times {
                for s in times {
                    for d in times {
                        if let Some(state) = OrderState::from_parts(status, c, s, d) {
                            made += 1;
                            assert_eq!(state.status(), status);
                            assert_eq!(
                                (
                                    state.confirmed_at(),
                                    state.shipped_at(),
                                    state.delivered_at()
                                ),
                                (c, s, d)
                            );
                        }
                    }
                }
            }
        }
        assert_eq!(made, 4);
    }
}
