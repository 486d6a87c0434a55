//! What the ShopFlow domains share, and nothing else: typed ids, exact money, callers and their
//! roles, pages, the clock, trace context, faults of input, and the event envelope.
//!
//! No crate here does I/O; everything is a plain value or a function of its arguments.

mod caller;
mod clock;
mod error;
mod event;
mod fault;
pub mod id;
mod limit;
mod money;
mod outbox;
mod page;
mod retention;
#[cfg(feature = "testing")]
pub mod retention_contract;
#[cfg(feature = "schema")]
pub mod schema;
#[cfg(feature = "testing")]
pub mod testing;
mod text;
mod trace;
mod verify;
pub mod wire_time;

pub use caller::{Caller, Role, ScopeError, UserScope};
pub use clock::{Clock, SystemClock};
pub use error::{BoxError, chain};
pub use event::Envelope;
pub use fault::{At, Fault, Faults, Violation};
pub use id::{ArchiveId, EventId, NotificationId, OrderId, SessionId, TokenId, UserId};
pub use limit::{Decision, Limit, LimitKey, RateLimiter};
pub use money::{Currency, Money, MoneyError};
pub use outbox::{
    EventPublisher, KEEP_PUBLISHED, Outbox, OutboxBacklog, OutboxMessage, PublishError, Refused,
    RelayError, RelayReport, WaitingEvent, Wake,
};
pub use page::{Page, PageRequest, Slice};
pub use retention::{
    Outcome, Progress, Retained, RetentionError, RetentionLog, RetentionRun, RetentionRuns, RunBy,
    Tally, Turn, days_before, years_before,
};

pub use text::Text;
pub use trace::{RequestContext, Sampling, TraceContext};
pub use verify::{TokenVerifier, VerifyError};
