//! Which part of a long list is wanted, newest first.

use core_kernel::{Clock, SystemClock};
use jiff::{SignedDuration, Timestamp};

use crate::cli::WalkArgs;
use crate::config::Problems;

/// A list without a beginning starts here: some service's clock may be ahead of ours.
const AHEAD: SignedDuration = SignedDuration::from_hours(24);

/// A part of a list.
pub(super) struct Walk {
    /// Where it starts: with what is older than this.
    pub(super) before: Timestamp,
    /// Where it ends: with what is older than this.
    since: Option<Timestamp>,
    pub(super) limit: u32,
}

/// Nothing is older or lasts longer. With more, times end before those of the databases do.
const LONGEST: SignedDuration = SignedDuration::from_hours(24 * 366 * 100);

/// A length of time as it is typed, up to a hundred years.
///
/// # Errors
/// What to type.
pub(super) fn length(text: &str) -> Result<SignedDuration, &'static str> {
    match text.parse() {
        Ok(length) if (SignedDuration::ZERO..=LONGEST).contains(&length) => Ok(length),
        _ => Err("must be a duration such as 90m or 24h, of 100 years at most"),
    }
}

/// The time that long before `now`. What is typed and is none is a problem: to take it for nothing
/// would be to mean everything.
pub(super) fn ago(
    problems: &mut Problems,
    name: &'static str,
    age: Option<&String>,
    now: Timestamp,
) -> Option<Timestamp> {
    let length = problems.take(name, length(age?))?;
    problems.take(name, now.checked_sub(length))
}

impl WalkArgs {
    /// The part that is meant.
    pub(super) fn check(&self, problems: &mut Problems) -> Option<Walk> {
        let now = SystemClock.now();
        let before = ago(problems, "--older-than", self.older_than.as_ref(), now);
        let since = ago(problems, "--newer-than", self.newer_than.as_ref(), now);
        Some(Walk {
            before: match before {
                Some(before) => before,
                None => start(),
            },
            since,
            limit: self.limit,
        })
    }
}

impl Walk {
    /// Keeps what is new enough, of a list that is sorted newest first; whether others follow, if
    /// `more` did.
    pub(super) fn cut<T>(
        &self,
        items: &mut Vec<T>,
        at: impl Fn(&T) -> Timestamp,
        more: bool,
    ) -> bool {
        let Some(since) = self.since else {
            return more;
        };
        let all = items.len();
        let new = items.iter().take_while(|item| at(item) >= since).count();
        items.truncate(new);
        more && new == all
    }
}

/// Where a list begins that has no other beginning.
pub(super) fn start() -> Timestamp {
    let now = SystemClock.now();
    now.checked_add(AHEAD).unwrap_or(now)
}

/// How people see the rest of a list.
pub(super) fn rest(more: bool, last: Option<impl std::fmt::Display>) -> Option<String> {
    let last = last.filter(|_| more)?;
    Some(format!("more follow; see --after {last} and --limit"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn walk(older: Option<&str>, newer: Option<&str>) -> Result<Walk, Problems> {
        let args = WalkArgs {
            older_than: older.map(str::to_owned),
            newer_than: newer.map(str::to_owned),
            after: None,
            limit: 20,
        };
        let mut problems = Problems::default();
        let walk = args.check(&mut problems);
        problems.finish(walk)
    }

    #[test]
    fn an_age_is_a_duration() {
        let walk = walk(Some("90m"), Some("24h")).unwrap();
        let span = walk.before.duration_since(walk.since.unwrap());
        assert_eq!(span, SignedDuration::from_mins(24 * 60 - 90));
        for bad in ["", "soon", "-1h"] {
            assert!(super::tests::walk(Some(bad), None).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_age_before_all_times_is_a_problem_and_not_no_age() {
        for long in ["880000h", "200000000h", "9223372036854775807s"] {
            assert!(super::tests::walk(Some(long), None).is_err(), "{long}");
            assert!(super::tests::walk(None, Some(long)).is_err(), "{long}");
        }
    }

    #[test]
    fn a_list_ends_with_the_first_that_is_too_old() {
        let walk = walk(None, Some("1h")).unwrap();
        let hours = |ago: i64| SystemClock.now() - SignedDuration::from_mins(30 * ago);
        let mut items = vec![hours(0), hours(1), hours(3)];
        assert!(!walk.cut(&mut items, |at| *at, true));
        assert_eq!(items.len(), 2);
        assert!(walk.cut(&mut items, |at| *at, true));
    }
}
