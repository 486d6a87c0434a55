//! One JSON object a line and event: its own fields, and those of the spans around it, side by side.

use std::fmt::{Debug, Write as _};
use std::io::Write as _;

use core_kernel::{Clock, SystemClock};
use serde_json::Value;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::registry::LookupSpan;

use super::logs::LogTo;
use super::work::DatabaseWork;

/// Writes the lines.
pub(super) struct JsonLog(LogTo);

impl JsonLog {
    pub(super) fn new(to: LogTo) -> Self {
        Self(to)
    }
}

/// The fields of a span or an event, without those that are for traces.
#[derive(Default)]
struct Fields(Vec<(&'static str, Value)>);

/// Whose words those are that come by the `log` crate.
const LOG_TARGET: &str = "log.target";

impl Fields {
    fn put(&mut self, field: &Field, value: impl Into<Value>) {
        let name = match field.name() {
            LOG_TARGET => "target",
            name if name.contains('.') => return,
            name => name,
        };
        let value = value.into();
        match self.0.iter_mut().find(|(known, _)| *known == name) {
            Some((_, old)) => *old = value,
            None => self.0.push((name, value)),
        }
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if !field.name().contains('.') {
            self.put(field, format!("{value:?}"));
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value);
    }
}

/// A line while it is written. What is said twice is said as it was first.
struct Line {
    text: String,
    said: Vec<&'static str>,
}

impl Line {
    fn put(&mut self, name: &'static str, value: &Value) {
        if self.said.contains(&name) {
            return;
        }
        self.said.push(name);
        let comma = if self.text.len() > 1 { "," } else { "" };
        // Writing to a String cannot fail.
        let _ = write!(self.text, "{comma}\"{name}\":{value}");
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for JsonLog {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(fields);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(fields) = span.extensions_mut().get_mut::<Fields>()
        {
            values.record(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut own = Fields::default();
        event.record(&mut own);
        let mut line = Line {
            text: String::with_capacity(512),
            said: Vec::with_capacity(16),
        };
        line.text.push('{');
        let now = format!("{:.6}", SystemClock.now());
        line.put("timestamp", &now.into());
        line.put("level", &event.metadata().level().as_str().into());
        if let Some((name, message)) = own.0.iter().find(|(name, _)| *name == "message") {
            line.put(name, message);
        }
        for (name, value) in &own.0 {
            line.put(name, value);
        }
        let wants_work = event.metadata().fields().field("queries").is_some();
        for span in context.event_scope(event).into_iter().flatten() {
            let extensions = span.extensions();
            if wants_work && let Some(work) = extensions.get::<DatabaseWork>() {
                line.put("db_ms", &work.milliseconds().into());
                line.put("queries", &work.queries().into());
            }
            for (name, value) in extensions.get::<Fields>().into_iter().flat_map(|f| &f.0) {
                line.put(name, value);
            }
        }
        line.put("target", &event.metadata().target().into());
        line.text.push_str("}\n");
        // A log that cannot be written cannot tell so.
        let mut to = self.0;
        let _ = to.write_all(line.text.as_bytes());
    }
}
