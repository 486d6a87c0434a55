//! The words that answers choose from, as the code has them.

use core_kernel::Role;
use core_kernel::schema::{Object, words};
use core_notify::{AttemptOutcome, Channel, Status};

/// What a user may be.
pub(crate) fn user_role() -> Object {
    words([Role::Customer, Role::Admin].map(Role::as_str))
}

/// What a caller may be.
pub(crate) fn role() -> Object {
    words([Role::Customer, Role::Admin, Role::Service].map(Role::as_str))
}

/// The way a notification goes.
pub(crate) fn channel() -> Object {
    words(Channel::ALL.iter().map(|channel| channel.as_str()))
}

/// How far a notification has come.
pub(crate) fn notification_status() -> Object {
    words(Status::ALL.iter().map(|status| status.as_str()))
}

/// What came of an attempt.
pub(crate) fn outcome() -> Object {
    words(AttemptOutcome::ALL.iter().map(|outcome| outcome.as_str()))
}
