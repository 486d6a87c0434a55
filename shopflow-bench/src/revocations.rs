//! What it costs to remember revoked sessions.

use std::time::Instant;

use core_auth::{Revocations, Revoked, Standing};
use core_kernel::{Clock, SessionId, SystemClock, UserId};

use crate::process;

/// Fills the state that validation asks with so many ended sessions, and tells what that takes.
pub(crate) fn report(count: usize) {
    let now = SystemClock.now();
    let (state, before) = (Revocations::default(), process::resident("self"));
    let ended: Vec<SessionId> = (0..count).map(|_| SessionId::generate()).collect();
    // As they come: one by one, and not in a table of the right size.
    for session in &ended {
        state.session_ended(*session, now);
    }
    state.polled(&Revoked::default(), Instant::now(), now);
    let ids = count * size_of::<SessionId>() / (1024 * 1024);
    let took = process::resident("self").saturating_sub(before) - ids as u64;
    println!("{count} revoked sessions: {took} MiB");

    let (user, issued) = (UserId::generate(), 1);
    let begun = Instant::now();
    for session in &ended {
        let standing = state.standing(*session, user, issued);
        assert!(matches!(standing, Standing::Revoked(_)), "{standing:?}");
    }
    let each = begun.elapsed().as_nanos() / count.max(1) as u128;
    println!("asking about one of them: {each} ns");
}
