//! What no longer counts, in memory: so that validating a token asks nobody.
//!
//! An access token lives for an hour, so only what was revoked within the last hour matters. The
//! state is fed by a poll of the store ([`crate::SessionStore::revoked_since`]) and by what this
//! instance revokes itself. It is trusted only while the last poll is recent: a store that does not
//! answer makes it stale, and then the store itself is asked.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};

use core_kernel::{SessionId, UserId};
use jiff::{SignedDuration, Timestamp};

use crate::token::Keyring;

/// How much later than it says a revocation may show up in the store: a transaction may be slow to
/// commit, and clocks differ. Polls look back by so much.
pub const OVERLAP: SignedDuration = SignedDuration::from_secs(60);

/// How long after the beginning of the last good poll the state is trusted. With the time between
/// polls it stays below the second that contract §2 gives.
const TRUSTED: Duration = Duration::from_millis(700);

/// After this long the last token that could be meant has expired.
const MATTERS: SignedDuration = SignedDuration::from_secs(65 * 60);

/// Sessions that ended, and users of whom older tokens do not count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Revoked {
    /// Each with the time at which it ended.
    pub sessions: Vec<(SessionId, Timestamp)>,
    /// Each with the time up to which tokens do not count.
    pub users: Vec<(UserId, Timestamp)>,
}

/// What the state says of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It counts.
    Counts,
    /// It does not, for this reason.
    Revoked(&'static str),
    /// Nobody knows: the state is stale.
    Unknown,
}

#[derive(Debug, Default)]
struct State {
    sessions: HashMap<SessionId, Timestamp>,
    users: HashMap<UserId, Timestamp>,
    /// When the last good poll began, by both clocks: one for its age, one for where to go on.
    polled: Option<(Instant, Timestamp)>,
}

/// What was revoked within the last hour. An entry takes 40 to 80 bytes, by how full the table is.
#[derive(Debug, Default)]
pub struct Revocations(RwLock<State>);

impl Revocations {
    fn read(&self) -> RwLockReadGuard<'_, State> {
        // Every change below is whole, so what a panic elsewhere left is as good as ever.
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// From when on the next poll is to look, at `now`: from before the last good one, however long
    /// ago that was, but not back beyond all that matters.
    #[must_use]
    pub fn since(&self, now: Timestamp) -> Timestamp {
        let all = now.saturating_sub(MATTERS).unwrap_or(Timestamp::MIN);
        let last = self.read().polled.map(|(_, at)| at.saturating_sub(OVERLAP));
        match last {
            Some(Ok(last)) => last.max(all),
            _ => all,
        }
    }

    /// Takes in what a poll found that began at `begun`, which was `at` by the wall clock; from
    /// then on the state is trusted for a while.
    pub fn polled(&self, found: &Revoked, begun: Instant, at: Timestamp) {
        let mut state = self.write();
        for (session, at) in &found.sessions {
            state.sessions.insert(*session, *at);
        }
        for (user, from) in &found.users {
            let known = state.users.entry(*user).or_insert(*from);
            *known = (*known).max(*from);
        }
        state.polled = Some((begun, at));
    }

    /// Notes what this instance has ended itself.
    pub fn session_ended(&self, session: SessionId, at: Timestamp) {
        self.write().sessions.insert(session, at);
    }

    /// Notes whose older tokens this instance has ended itself.
    pub fn tokens_ended(&self, user: UserId, from: Timestamp) {
        let mut state = self.write();
        let known = state.users.entry(user).or_insert(from);
        *known = (*known).max(from);
    }

    /// Forgets what no living token can be meant by.
    pub fn prune(&self, now: Timestamp) {
        let matters = |at: &Timestamp| now.duration_since(*at) < MATTERS;
        let mut state = self.write();
        state.sessions.retain(|_, at| matters(at));
        state.users.retain(|_, from| matters(from));
        // A burst long ago need not be paid for for ever.
        if state.sessions.capacity() / 4 > state.sessions.len() {
            state.sessions.shrink_to_fit();
        }
        if state.users.capacity() / 4 > state.users.len() {
            state.users.shrink_to_fit();
        }
    }

    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        let state = self.read();
        state.sessions.len() + state.users.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether a token of this session and user counts that was issued at this time (milliseconds
    /// since 1970). What is known to be revoked is so even in a stale state.
    #[must_use]
    pub fn standing(&self, session: SessionId, user: UserId, issued_ms: u64) -> Standing {
        let state = self.read();
        if state.sessions.contains_key(&session) {
            return Standing::Revoked("session ended");
        }
        if let Some(from) = state.users.get(&user)
            && u64::try_from(from.as_millisecond()).is_ok_and(|from| issued_ms <= from)
        {
            return Standing::Revoked("issued before a change of the account");
        }
        match state.polled {
            Some((begun, _)) if begun.elapsed() < TRUSTED => Standing::Counts,
            _ => Standing::Unknown,
        }
    }
}

// The two must not drift apart: what matters outlives every access token.
const _: () = assert!(MATTERS.as_secs() > Keyring::ACCESS_TTL.as_secs());

#[cfg(test)]
mod tests {
    use core_kernel::{Clock, SystemClock};

    use super::*;

    fn one() -> (Revocations, SessionId, UserId, Timestamp) {
        let revocations = Revocations::default();
        let ids = (SessionId::generate(), UserId::generate());
        (revocations, ids.0, ids.1, SystemClock.now())
    }

    /// When a poll has to begin for the state to be trusted for as long as a test runs.
    fn in_an_hour() -> Instant {
        Instant::now() + Duration::from_secs(3600)
    }

    fn ms(at: Timestamp) -> u64 {
        at.as_millisecond().unsigned_abs()
    }

    #[test]
    fn before_the_first_poll_nobody_knows() {
        let (state, session, user, now) = one();
        assert_eq!(state.standing(session, user, ms(now)), Standing::Unknown);
        assert_eq!(state.since(now), now - MATTERS);
        state.polled(&Revoked::default(), in_an_hour(), now);
        assert_eq!(state.standing(session, user, ms(now)), Standing::Counts);
        assert_eq!(state.since(now), now - OVERLAP);
    }

    #[test]
    fn a_poll_goes_on_where_the_last_good_one_began() {
        let (state, _, _, now) = one();
        state.polled(&Revoked::default(), Instant::now(), now);
        let minutes = SignedDuration::from_mins(10);
        assert_eq!(state.since(now + minutes), now - OVERLAP);
        let days = SignedDuration::from_hours(48);
        assert_eq!(state.since(now + days), now + days - MATTERS);
    }

    #[test]
    fn a_state_that_is_not_fed_is_not_trusted() {
        let (state, session, user, now) = one();
        let Some(long_ago) = Instant::now().checked_sub(TRUSTED) else {
            return;
        };
        state.polled(&Revoked::default(), long_ago, now);
        assert_eq!(state.standing(session, user, ms(now)), Standing::Unknown);
        state.session_ended(session, now);
        let revoked = Standing::Revoked("session ended");
        assert_eq!(state.standing(session, user, ms(now)), revoked);
    }

    #[test]
    fn tokens_issued_up_to_a_change_do_not_count_and_later_ones_do() {
        let (state, session, user, now) = one();
        let found = Revoked {
            users: vec![(user, now)],
            ..Revoked::default()
        };
        state.polled(&found, in_an_hour(), now);
        // An older poll does not undo it.
        state.tokens_ended(user, now - SignedDuration::from_secs(5));
        let of = |issued| state.standing(session, user, issued);
        assert!(matches!(of(ms(now)), Standing::Revoked(_)));
        assert_eq!(of(ms(now) + 1), Standing::Counts);
    }

    #[test]
    fn what_no_living_token_can_mean_is_forgotten() {
        let (state, session, user, now) = one();
        state.session_ended(session, now);
        state.tokens_ended(user, now);
        state.prune(now + Keyring::ACCESS_TTL);
        assert_eq!(state.len(), 2);
        state.prune(now + MATTERS);
        assert!(state.is_empty());
    }
}
