//! What the databases take of a request: counted from what sqlx tells of every statement.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use metrics::Histogram;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::filter::{LevelFilter, filter_fn};
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::registry::LookupSpan;

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

struct Work;

/// What counts; it needs what sqlx tells, whatever is logged.
pub(super) fn layer<S>() -> impl Layer<S> + Send + Sync
where
    S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
{
    let wanted = |metadata: &Metadata<'_>| {
        is_whole(metadata) || (metadata.is_event() && metadata.target() == STATEMENTS)
    };
    Work.with_filter(filter_fn(wanted).with_max_level_hint(LevelFilter::DEBUG))
}

/// Whether a span is that of a whole request or event.
fn is_whole(metadata: &Metadata<'_>) -> bool {
    metadata.is_span() && metadata.fields().field("request_id").is_some()
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Work {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if is_whole(attributes.metadata())
            && let Some(span) = context.span(id)
        {
            span.extensions_mut().insert(DatabaseWork::default());
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
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
