//! What the databases take of a request: counted from what sqlx tells of every statement.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use metrics::Histogram;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing::subscriber::Interest;
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::{Context, Filter, Layer};
use tracing_subscriber::registry::LookupSpan;

use super::levels::Levels;
use super::traces::{self, Traces};

/// What sqlx tells statements to.
pub(super) const STATEMENTS: &str = "sqlx::query";

static DURATION: LazyLock<Histogram> =
    LazyLock::new(|| metrics::histogram!("db_client_operation_duration_seconds"));

/// The statements of one request or event.
#[derive(Debug, Default)]
pub(super) struct DatabaseWork {
    queries: AtomicU64,
    nanoseconds: AtomicU64,
}

impl DatabaseWork {
    pub(super) fn queries(&self) -> u64 {
        self.queries.load(Ordering::Relaxed)
    }

    /// How long they took together; more than the request itself, where several ran at once.
    pub(super) fn milliseconds(&self) -> f64 {
        #[expect(
            clippy::cast_precision_loss,
            reason = "no request takes a hundred days"
        )]
        let nanoseconds = self.nanoseconds.load(Ordering::Relaxed) as f64;
        nanoseconds / 1e6
    }
}

/// How long a statement took, as sqlx tells.
#[derive(Default)]
pub(super) struct Elapsed(pub(super) Option<f64>);

impl Visit for Elapsed {
    fn record_f64(&mut self, field: &Field, value: f64) {
        if field.name() == "elapsed_secs" {
            self.0 = Some(value);
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn std::fmt::Debug) {}
}

/// What counts, whatever is logged. It also says for all which spans and events anybody wants, so that no
/// other is made.
pub(super) struct Work {
    levels: Levels,
    traces: bool,
}

impl Work {
    pub(super) fn new(levels: Levels, traces: &Traces) -> Self {
        let traces = traces.are_wanted();
        Self { levels, traces }
    }

    fn wants(&self, metadata: &Metadata<'_>) -> bool {
        let statement = !metadata.is_span() && metadata.target() == STATEMENTS;
        statement
            || is_whole(metadata)
            || self.levels.have(metadata)
            || (self.traces && traces::are_of(metadata))
    }
}

/// Whether a span is that of a whole request or event.
fn is_whole(metadata: &Metadata<'_>) -> bool {
    metadata.is_span() && metadata.fields().field("request_id").is_some()
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Work {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        match self.wants(metadata) {
            true => Interest::always(),
            false => Interest::never(),
        }
    }

    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        self.wants(metadata)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        // Statements are told at this one.
        Filter::<S>::max_level_hint(&self.levels).max(Some(LevelFilter::DEBUG))
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if is_whole(attributes.metadata())
            && let Some(span) = context.span(id)
        {
            span.extensions_mut().insert(DatabaseWork::default());
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        if event.metadata().target() != STATEMENTS {
            return;
        }
        let mut elapsed = Elapsed::default();
        event.record(&mut elapsed);
        let Some(seconds) = elapsed.0 else {
            return;
        };
        DURATION.record(seconds);
        for span in context.event_scope(event).into_iter().flatten() {
            if let Some(work) = span.extensions().get::<DatabaseWork>() {
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "a duration"
                )]
                let nanoseconds = (seconds * 1e9) as u64;
                work.queries.fetch_add(1, Ordering::Relaxed);
                work.nanoseconds.fetch_add(nanoseconds, Ordering::Relaxed);
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tracing::Level;
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    /// Whether these are wanted at these levels: a line of the finest kind, a statement, and the span of a
    /// request.
    fn wanted(levels: &str) -> [bool; 3] {
        let work = Work::new(Levels::new(levels), &Traces::none());
        tracing::subscriber::with_default(tracing_subscriber::registry().with(work), || {
            [
                tracing::enabled!(target: "some", Level::TRACE),
                tracing::enabled!(target: STATEMENTS, Level::DEBUG),
                !tracing::error_span!("request", request_id = 1).is_disabled(),
            ]
        })
    }

    #[test]
    fn whatever_is_logged_statements_are_counted_and_nothing_else_is_made() {
        assert_eq!(wanted("off"), [false, true, true]);
        assert_eq!(wanted("info"), [false, true, true]);
        for finest in ["trace", "info,some=trace", "info, some=trace"] {
            assert_eq!(wanted(finest), [true, true, true], "{finest}");
        }
    }

    #[test]
    fn the_finest_level_reaches_as_far_as_lines_and_statements_do() {
        let finest = |levels: &str| {
            let work = Work::new(Levels::new(levels), &Traces::none());
            Layer::<tracing_subscriber::Registry>::max_level_hint(&work)
        };
        assert_eq!(finest("off"), Some(LevelFilter::DEBUG));
        assert_eq!(finest("trace"), Some(LevelFilter::TRACE));
        assert_eq!(finest("info,some=trace"), Some(LevelFilter::TRACE));
    }
}
