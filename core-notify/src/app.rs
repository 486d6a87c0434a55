//! The use cases.

mod deliver;
mod read;
mod send;

pub use deliver::Notifier;
pub use read::{AttemptsError, FindError, Notifications};
