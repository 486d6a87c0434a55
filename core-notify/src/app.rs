//! The use cases.

mod deliver;
mod read;

pub use deliver::{Delivery, EventHandler, Notifier, Outcome};
pub use read::{FindError, Notifications};
