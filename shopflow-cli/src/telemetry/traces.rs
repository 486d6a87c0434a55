//! Traces: the spans of `tracing`, by the rules of `adapters/telemetry`, as spans of OpenTelemetry.
//!
//! The ids come from the trace contexts that travel with requests and events, so what a neighbour was
//! told is what the collector is told.

mod open;

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use open::Open;
use opentelemetry::trace::SpanKind;
use opentelemetry::{InstrumentationScope, KeyValue};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::registry::LookupSpan;

use super::collector::Processor;
use super::sql;
use super::work::{Elapsed, STATEMENTS};
use crate::config::{DatabaseSystem, TraceConfig};

/// How long a stop waits for the collector to take what is left.
const FLUSH: Duration = Duration::from_secs(3);

/// Where spans go, if anybody wants them.
#[derive(Clone)]
pub(crate) struct Traces(Option<(Arc<Processor>, DatabaseSystem)>);

impl Traces {
    /// Nothing is traced.
    pub(super) fn none() -> Self {
        Self(None)
    }

    /// Begins to send spans, in the background.
    pub(super) fn start(config: &TraceConfig) -> anyhow::Result<Self> {
        config.sampling.begin();
        let processor = Processor::start(config)?;
        Ok(Self(Some((Arc::new(processor), config.database))))
    }

    /// What makes spans; nothing, and at no cost, where nobody wants them.
    pub(super) fn layer<S>(&self) -> Option<impl Layer<S> + Send + Sync + use<S>>
    where
        S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
    {
        let (processor, database) = self.0.clone()?;
        let layer = SpanLayer {
            processor,
            database,
            scope: InstrumentationScope::builder("shopflow")
                .with_version(env!("CARGO_PKG_VERSION"))
                .build(),
        };
        Some(layer)
    }

    /// Whether anybody wants them.
    pub(super) fn are_wanted(&self) -> bool {
        self.0.is_some()
    }

    /// Sends what is left, for as long as that makes sense. Spans that ended before are sent then.
    pub(crate) async fn finish(&self) {
        let Some((processor, _)) = self.0.clone() else {
            return;
        };
        // It waits for its own task in the background, so it must not hold up this thread.
        let rest = tokio::task::spawn_blocking(move || processor.shutdown());
        match tokio::time::timeout(FLUSH, rest).await {
            Ok(Ok(Ok(()))) => {}
            _ => tracing::warn!("the last spans were not taken by the collector"),
        }
    }
}

/// Whether it is a span that is traced, or an event that becomes one.
pub(super) fn are_of(metadata: &Metadata<'_>) -> bool {
    match metadata.is_span() {
        true => metadata.fields().field("otel.kind").is_some(),
        false => metadata.target() == STATEMENTS,
    }
}

struct SpanLayer {
    processor: Arc<Processor>,
    database: DatabaseSystem,
    scope: InstrumentationScope,
}

/// A statement, as sqlx tells it: its first words, and the whole of it where it has more. Values are
/// not in it; they are bound.
#[derive(Default)]
struct Statement {
    beginning: String,
    whole: String,
    rows: u64,
}

impl Visit for Statement {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "summary" => self.beginning = value.to_owned(),
            "db.statement" => self.whole = value.trim().to_owned(),
            _ => {}
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        if field.name() == "rows_returned" {
            self.rows = value;
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn Debug) {}
}

impl SpanLayer {
    /// The span of a statement that is over.
    fn statement(&self, event: &Event<'_>, parent: &Open, seconds: f64) -> Open {
        let mut told = Statement::default();
        event.record(&mut told);
        let text = match told.whole.is_empty() {
            true => told.beginning,
            false => told.whole,
        };
        let mut open = Open::new();
        open.inherit(Some(parent));
        open.kind = SpanKind::Client;
        let took = Duration::try_from_secs_f64(seconds).unwrap_or_default();
        open.start = open.start.checked_sub(took).unwrap_or(open.start);
        let summary = sql::summary(&text);
        open.name = Some(summary.clone());
        let rows = i64::try_from(told.rows).unwrap_or(i64::MAX);
        open.attributes = vec![
            KeyValue::new("db.system.name", self.database.name()),
            KeyValue::new("db.query.summary", summary),
            KeyValue::new("db.query.text", text),
            KeyValue::new("db.response.returned_rows", rows),
        ];
        open
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for SpanLayer {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let (true, Some(span)) = (are_of(attributes.metadata()), context.span(id)) else {
            return;
        };
        let mut open = Open::new();
        attributes.record(&mut open);
        if !open.has_context() {
            let parent = span.parent();
            let extensions = parent.as_ref().map(|parent| parent.extensions());
            open.inherit(extensions.as_ref().and_then(|known| known.get::<Open>()));
        }
        span.extensions_mut().insert(open);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(open) = span.extensions_mut().get_mut::<Open>()
        {
            values.record(open);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        if !are_of(event.metadata()) {
            return;
        }
        let mut elapsed = Elapsed::default();
        event.record(&mut elapsed);
        let (Some(seconds), Some(span)) = (elapsed.0, context.event_span(event)) else {
            return;
        };
        if let Some(parent) = span.extensions().get::<Open>()
            && parent.sampled
        {
            let statement = self.statement(event, parent, seconds);
            let name = statement.called("statement");
            self.processor
                .take(statement.data(name, self.scope.clone()));
        }
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let Some(span) = context.span(&id) else {
            return;
        };
        let open = span.extensions_mut().remove::<Open>();
        if let Some(open) = open.filter(|open| open.sampled) {
            let name = open.called(span.name());
            self.processor.take(open.data(name, self.scope.clone()));
        }
    }
}
