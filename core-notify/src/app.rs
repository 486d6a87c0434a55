//! The use cases.

mod deliver;
mod read;

pub use deliver::{Ambiguous, Delivery, EventHandler, Lane, Lanes, Notifier, Outcome};
pub use read::{AttemptsError, FindError, Notifications};
