//! The use cases.

mod dead_letters;
mod deliver;
mod read;
mod resend;
mod send;

pub use dead_letters::{DeadLetterDesk, Fate, LetterGroup, Redrive, Step};
pub use deliver::Notifier;
pub use read::{AttemptsError, FindError, Notifications};
pub use resend::{ResendError, Resends};
