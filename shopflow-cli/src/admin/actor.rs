//! Who is at the terminal.

use core_auth::Doing;
use core_kernel::{Caller, Clock, RequestContext, SystemClock};

use crate::config::user_name;

/// The role in which commands do what they do.
pub(crate) const ROLE: &str = "operator";

/// `cli:<user>`, as far as the system knows.
pub(crate) fn actor() -> String {
    let name: String = user_name().chars().take(100).collect();
    format!("cli:{name}")
}

/// Who is at the terminal sees what a service sees.
pub(crate) fn caller() -> Caller {
    Caller::Service(actor())
}

/// What is done now by who is at the terminal.
pub(crate) fn doing(context: &RequestContext) -> Doing<'_> {
    Doing {
        actor_id: actor(),
        actor_role: ROLE,
        at: SystemClock.now(),
        context,
    }
}
