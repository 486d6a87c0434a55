//! Retention (PRD §10.6): what every service does alike when it lets go of what it need not keep.
//!
//! A run takes its turn, so that no two work side by side, is noted before it does anything, and
//! counts what it did after each piece. A run that dies is picked up by the next one.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan};

use crate::{BoxError, Clock, chain};

/// The time so many days of 24 hours before `now`.
#[must_use]
pub fn days_before(now: Timestamp, days: i64) -> Timestamp {
    let span = SignedDuration::from_hours(24 * days);
    now.checked_sub(span).unwrap_or(Timestamp::MIN)
}

/// The same day and time of day so many years before `now`, in UTC: leap days make no year short.
#[must_use]
pub fn years_before(now: Timestamp, years: i64) -> Timestamp {
    let then = now.to_zoned(TimeZone::UTC).checked_sub(years.years());
    then.map_or(Timestamp::MIN, |then| then.timestamp())
}

/// Why a run could not go on. What was done stays done, and the next run does the rest.
#[derive(Debug, thiserror::Error)]
#[error("{doing} failed")]
pub struct RetentionError {
    /// What was being done.
    pub doing: &'static str,
    /// Why it failed.
    #[source]
    pub source: BoxError,
}

impl RetentionError {
    /// The error of something that was being done.
    pub fn of<E: Into<BoxError>>(doing: &'static str) -> impl FnOnce(E) -> Self {
        move |source| Self {
            doing,
            source: source.into(),
        }
    }
}

/// How much a run did, or would do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Accounts purged.
    pub purged: u64,
    /// Notifications from which a purged user's data was taken.
    pub masked: u64,
    /// Notifications archived and then deleted.
    pub archived: u64,
    /// Orders that need not be kept any longer. They are counted and stay.
    pub past_term: u64,
}

impl Tally {
    /// Both together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            purged: self.purged + other.purged,
            masked: self.masked + other.masked,
            archived: self.archived + other.archived,
            past_term: self.past_term + other.past_term,
        }
    }
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It has not ended.
    Running,
    /// Everything that was due is done.
    Done,
    /// Something failed; the rest waits for the next run.
    Failed,
    /// Its process died.
    Interrupted,
}

impl Outcome {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Running, Self::Done, Self::Failed, Self::Interrupted];

    /// The word for it in tables and listings.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Interrupted => "interrupted",
        }
    }

    /// What a word stands for, if anything.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|outcome| outcome.as_str() == word)
    }
}

/// Who runs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunBy {
    /// `cli:<name>`, or `retention` for the schedule.
    pub id: String,
    /// The role in which they do it.
    pub role: &'static str,
}

/// One run over one service's data, kept for good. No personal data is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetentionRun {
    /// Its number in this database.
    pub id: i64,
    /// Whose data: `auth`, `orders` or `notify`.
    pub service: String,
    /// Who ran it, as [`RunBy::id`].
    pub actor: String,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended; `None` while it runs, and when its process died.
    pub ended_at: Option<Timestamp>,
    /// How it ended.
    pub outcome: Outcome,
    /// What it did.
    pub tally: Tally,
    /// Why it failed.
    pub error: Option<String>,
}

/// The right to run. It ends with [`Turn::end`], when it is dropped, or with the process.
#[async_trait]
pub trait Turn: Send {
    /// Lets the next one run.
    async fn end(self: Box<Self>);
}

/// Keeps the runs over one service's data.
#[async_trait]
pub trait RetentionLog: Send + Sync {
    /// The turn, or `None` while another has it, in whichever process.
    async fn turn(&self) -> Result<Option<Box<dyn Turn>>, RetentionError>;

    /// Notes that a run begins; its number. Earlier ones that never ended become `interrupted`, so
    /// only who has the turn may call this.
    async fn begin(&self, actor: &str, at: Timestamp) -> Result<i64, RetentionError>;

    /// Notes what a run has done so far.
    async fn note(&self, id: i64, tally: Tally) -> Result<(), RetentionError>;

    /// Notes that a run has ended, well or with an error.
    async fn finish(
        &self,
        id: i64,
        at: Timestamp,
        tally: Tally,
        error: Option<&str>,
    ) -> Result<(), RetentionError>;

    /// The latest runs, newest first, at most `limit`.
    async fn list(&self, limit: u32) -> Result<Vec<RetentionRun>, RetentionError>;
}

/// Told of each piece of a run.
#[async_trait]
pub trait Progress: Send + Sync {
    /// So much more was done.
    async fn made(&self, tally: Tally) -> Result<(), RetentionError>;
}

/// One service's data, under PRD §10.6.
#[async_trait]
pub trait Retained: Send + Sync {
    /// What a run at `now` would do. Changes nothing.
    async fn due(&self, now: Timestamp) -> Result<Tally, RetentionError>;

    /// Does what is due at `now`, in pieces, and tells of each.
    async fn run(
        &self,
        now: Timestamp,
        by: &RunBy,
        progress: &dyn Progress,
    ) -> Result<(), RetentionError>;
}

/// Runs retention over one service's data. The command line and the schedule both call this.
#[derive(Clone)]
pub struct RetentionRuns {
    log: Arc<dyn RetentionLog>,
    data: Arc<dyn Retained>,
    clock: Arc<dyn Clock>,
}

/// Adds up, and keeps the log true.
struct Count<'a> {
    log: &'a dyn RetentionLog,
    id: i64,
    sum: Mutex<Tally>,
}

impl Count<'_> {
    fn sum(&self) -> Tally {
        *self.sum.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Progress for Count<'_> {
    async fn made(&self, tally: Tally) -> Result<(), RetentionError> {
        let sum = self.sum().and(tally);
        *self.sum.lock().unwrap_or_else(PoisonError::into_inner) = sum;
        self.log.note(self.id, sum).await
    }
}

impl RetentionRuns {
    /// Runs over `data`, noted in `log`.
    #[must_use]
    pub fn new(log: Arc<dyn RetentionLog>, data: Arc<dyn Retained>, clock: Arc<dyn Clock>) -> Self {
        Self { log, data, clock }
    }

    /// What a run would do now. Changes nothing.
    ///
    /// # Errors
    /// When the data cannot be read.
    pub async fn due(&self) -> Result<Tally, RetentionError> {
        self.data.due(self.clock.now()).await
    }

    /// The latest runs, newest first.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub async fn list(&self, limit: u32) -> Result<Vec<RetentionRun>, RetentionError> {
        self.log.list(limit).await
    }

    /// Does what is due; the run as it is in the log. `None`, and nothing is done, while another
    /// runs.
    ///
    /// # Errors
    /// When the log does not answer. What else fails is in the run's `error`.
    pub async fn run(&self, by: &RunBy) -> Result<Option<RetentionRun>, RetentionError> {
        self.run_unless(by, |_| false).await
    }

    /// The same, but only if no run has ended well that began within the last `every`: for
    /// schedules, of which several instances may have one.
    ///
    /// # Errors
    /// As for [`Self::run`].
    pub async fn run_every(
        &self,
        every: SignedDuration,
        by: &RunBy,
    ) -> Result<Option<RetentionRun>, RetentionError> {
        let since = self.clock.now().checked_sub(every);
        let since = since.unwrap_or(Timestamp::MIN);
        self.run_unless(by, |run| {
            run.outcome == Outcome::Done && run.started_at > since
        })
        .await
    }

    async fn run_unless(
        &self,
        by: &RunBy,
        enough: impl Fn(&RetentionRun) -> bool + Send,
    ) -> Result<Option<RetentionRun>, RetentionError> {
        let Some(turn) = self.log.turn().await? else {
            return Ok(None);
        };
        // Asked within the turn: who had it before us may just have done it.
        let last = self.log.list(1).await?;
        let ran = match last.first().is_some_and(enough) {
            true => None,
            false => Some(self.noted(by).await?),
        };
        turn.end().await;
        Ok(ran)
    }

    async fn noted(&self, by: &RunBy) -> Result<RetentionRun, RetentionError> {
        let started_at = self.clock.now();
        let id = self.log.begin(&by.id, started_at).await?;
        let count = Count {
            log: &*self.log,
            id,
            sum: Mutex::default(),
        };
        let ran = self.data.run(started_at, by, &count).await;
        let error = ran.err().map(|error| chain(&error));
        let (ended_at, tally) = (self.clock.now(), count.sum());
        let noted = self.log.finish(id, ended_at, tally, error.as_deref()).await;
        noted?;
        let runs = self.log.list(1).await?;
        runs.into_iter().next().ok_or_else(|| {
            let gone = BoxError::from("the run is not in the log");
            RetentionError::of("reading the log of runs")(gone)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_year_is_never_shorter_for_a_leap_day() {
        let now: Timestamp = "2028-03-01T12:00:00Z".parse().unwrap();
        let then: Timestamp = "2027-03-01T12:00:00Z".parse().unwrap();
        assert_eq!(years_before(now, 1), then);
        let leap: Timestamp = "2028-02-29T12:00:00Z".parse().unwrap();
        let day: Timestamp = "2021-02-28T12:00:00Z".parse().unwrap();
        assert_eq!(years_before(leap, 7), day);
        assert_eq!(now.duration_since(days_before(now, 90)).as_hours(), 90 * 24);
    }
}
