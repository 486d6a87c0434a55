//! How far another clock is from this one.

use core_kernel::{Clock, SystemClock};
use jiff::{SignedDuration, Timestamp};

use super::verdict::{Finding, fail, ok, warn};

/// Tokens count from the moment they are made, so a second is felt.
const NOTICED: SignedDuration = SignedDuration::from_secs(2);

/// Tokens of an hour and idempotency keys of a day do not stand more.
const BAD: SignedDuration = SignedDuration::from_secs(60);

/// Compares what another clock said at a moment between `before` and now with this machine's. What it
/// said may have had a fraction of a second cut off, up to `cut`.
pub(super) fn compare(
    name: &str,
    theirs: Timestamp,
    before: Timestamp,
    cut: SignedDuration,
) -> Finding {
    skew(name, theirs, (before, SystemClock.now()), cut)
}

fn skew(
    name: &str,
    theirs: Timestamp,
    (before, after): (Timestamp, Timestamp),
    cut: SignedDuration,
) -> Finding {
    const ADVICE: &str = "set both clocks by NTP";
    let ahead = theirs.duration_since(after);
    let behind = before.duration_since(theirs) - cut;
    let (off, way) = match ahead > SignedDuration::ZERO {
        true => (ahead, "ahead of"),
        false => (behind, "behind"),
    };
    let seconds = off.as_secs();
    let what = format!("{seconds} s {way} this machine's");
    match off {
        off if off > BAD => fail(name, what, ADVICE),
        off if off > NOTICED => warn(name, what, ADVICE),
        _ => ok(name, "agrees with this machine's"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::verdict::Verdict;
    use super::*;

    #[test]
    fn what_lies_within_the_round_trip_or_was_cut_off_is_no_skew() {
        let at = |millis: i64| Timestamp::from_millisecond(1_000_000 + millis).unwrap();
        let of = |theirs, cut| {
            let cut = SignedDuration::from_millis(cut);
            skew("clock", at(theirs), (at(0), at(3000)), cut).verdict
        };
        assert_eq!(of(0, 0), Verdict::Ok);
        assert_eq!(of(3000, 0), Verdict::Ok);
        assert_eq!(of(-2900, 1000), Verdict::Ok);
        assert_eq!(of(-2900, 0), Verdict::Warn);
        assert_eq!(of(6000, 0), Verdict::Warn);
        assert_eq!(of(-70_000, 1000), Verdict::Fail);
        assert_eq!(of(70_000, 0), Verdict::Fail);
    }
}
