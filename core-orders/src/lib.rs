//! Orders: what they are, how they move from placed to delivered, and which events they raise.
//!
//! Pure domain: no runtime, database, broker or HTTP. Give [`Orders`] an [`OrderStore`] of your
//! own and it works on that.

mod app;
mod event;
mod ledger;
mod line;
mod once;
mod order;
mod ports;
mod retention;
mod state;
#[cfg(feature = "testing")]
pub mod testing;
mod trail;

pub use app::{AccessError, Orders, PlaceError, Placement, TransitionFailure};
pub use event::{OrderCreated, OrderEvent, OrderEventKind, OrderShipped, Region};
pub use ledger::{Ledger, LedgerEvent, OrderLedger, Repair, Step};
pub use line::{
    Address, City, Country, LineItem, Notes, ProductName, Quantity, State, Street, UnitPrice,
    ZipCode,
};
pub use once::{Fingerprint, IdempotencyKey, KeyedRequest, Once};
pub use order::{Actor, Change, HistoryEntry, NewOrder, Order, Placed, Reason};
#[cfg(feature = "testing")]
pub use ports::MockOrderStore;
pub use ports::{
    OrderFilter, OrderPosition, OrderSort, OrderStore, OrderSummary, SortField, SortValue,
    StoreError,
};
pub use retention::{OrderAges, OrderRetention};
pub use state::{OrderState, OrderStatus, TransitionError};
pub use trail::{OrderTrail, TrailEvent};
