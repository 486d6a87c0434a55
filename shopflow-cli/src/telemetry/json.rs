//! One JSON object a line and event: its own fields, and those of the spans around it, side by side.

use std::fmt::Debug;
use std::io::Write as _;
use std::ops::Range;

use core_kernel::{Clock, SystemClock};
use serde::Serialize;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::registry::LookupSpan;

use super::levels::Levels;
use super::work::DatabaseWork;

/// Writes the lines. It looks at the levels by itself: a filter around it would look the span up each
/// time that one is entered or left, and there is nothing to do then.
pub(super) struct JsonLog<W> {
    to: W,
    levels: Levels,
}

impl<W> JsonLog<W> {
    pub(super) fn new(to: W, levels: Levels) -> Self {
        Self { to, levels }
    }
}

/// Whose words those are that come by the `log` crate.
const LOG_TARGET: &str = "log.target";

/// The target of all that comes by it.
const LOG: &str = "log";

/// The name of a field in the log; none if it is for traces alone.
fn name(field: &Field) -> Option<&'static str> {
    match field.name() {
        LOG_TARGET => Some("target"),
        name if name.contains('.') => None,
        name => Some(name),
    }
}

/// Appends a value as JSON; one that is none, such as infinity, becomes null.
fn append<T: Serialize + ?Sized>(text: &mut Vec<u8>, value: &T) {
    let begin = text.len();
    if serde_json::to_writer(&mut *text, value).is_err() {
        text.truncate(begin);
        text.extend_from_slice(b"null");
    }
}

/// The fields of a span, as JSON already, since many lines repeat them. What is recorded again counts
/// as it was last.
struct Fields {
    text: Vec<u8>,
    known: Vec<(&'static str, Range<usize>)>,
}

impl Fields {
    /// With room for what a request has.
    fn new() -> Self {
        Self {
            text: Vec::with_capacity(192),
            known: Vec::with_capacity(8),
        }
    }

    fn put<T: Serialize + ?Sized>(&mut self, field: &Field, value: &T) {
        let Some(name) = name(field) else {
            return;
        };
        let begin = self.text.len();
        append(&mut self.text, value);
        let range = begin..self.text.len();
        match self.known.iter_mut().find(|(known, _)| *known == name) {
            Some((_, old)) => *old = range,
            None => self.known.push((name, range)),
        }
    }
}

/// A line while it is written. What is said twice is said as it was first.
struct Line {
    text: Vec<u8>,
    said: Vec<&'static str>,
}

impl Line {
    fn begin() -> Self {
        Self {
            text: Vec::with_capacity(512),
            said: Vec::with_capacity(16),
        }
    }

    /// Begins a field, unless it was said already.
    fn key(&mut self, name: &'static str) -> Option<&mut Vec<u8>> {
        if self.said.contains(&name) {
            return None;
        }
        let before: &[u8] = if self.said.is_empty() { b"{\"" } else { b",\"" };
        self.said.push(name);
        for part in [before, name.as_bytes(), b"\":"] {
            self.text.extend_from_slice(part);
        }
        Some(&mut self.text)
    }

    fn put<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) {
        if let Some(text) = self.key(name) {
            append(text, value);
        }
    }

    fn put_field<T: Serialize + ?Sized>(&mut self, field: &Field, value: &T) {
        if let Some(name) = name(field) {
            self.put(name, value);
        }
    }
}

/// Both take what is recorded the same way.
macro_rules! visit {
    ($type:ty, $put:ident) => {
        impl Visit for $type {
            fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
                self.$put(field, &format_args!("{value:?}"));
            }

            fn record_str(&mut self, field: &Field, value: &str) {
                self.$put(field, value);
            }

            fn record_f64(&mut self, field: &Field, value: f64) {
                self.$put(field, &value);
            }

            fn record_i64(&mut self, field: &Field, value: i64) {
                self.$put(field, &value);
            }

            fn record_u64(&mut self, field: &Field, value: u64) {
                self.$put(field, &value);
            }

            fn record_bool(&mut self, field: &Field, value: bool) {
                self.$put(field, &value);
            }
        }
    };
}

visit!(Fields, put);
visit!(Line, put_field);

impl<S, W> Layer<S> for JsonLog<W>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'w> MakeWriter<'w> + 'static,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if !self.levels.have(attributes.metadata()) {
            return;
        }
        let mut fields = Fields::new();
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
        let metadata = event.metadata();
        // What comes by the `log` crate was looked at by its own target before it became an event.
        if metadata.target() != LOG && !self.levels.have(metadata) {
            return;
        }
        let mut line = Line::begin();
        line.put("timestamp", &format_args!("{:.6}", SystemClock.now()));
        line.put("level", metadata.level().as_str());
        // The message comes first among the fields.
        event.record(&mut line);
        let wants_work = metadata.fields().field("queries").is_some();
        for span in context.event_scope(event).into_iter().flatten() {
            let extensions = span.extensions();
            if wants_work && let Some(work) = extensions.get::<DatabaseWork>() {
                line.put("db_ms", &work.milliseconds());
                line.put("queries", &work.queries());
            }
            if let Some(Fields { text, known }) = extensions.get::<Fields>() {
                for (name, range) in known {
                    if let Some(line) = line.key(name) {
                        line.extend_from_slice(&text[range.clone()]);
                    }
                }
            }
        }
        line.put("target", metadata.target());
        line.text.extend_from_slice(b"}\n");
        // A log that cannot be written cannot tell so.
        let _ = self.to.make_writer().write_all(&line.text);
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What is written of what is told, at these levels.
    fn written(levels: &str, tell: impl FnOnce()) -> String {
        let written = Written::default();
        let to = { written.clone() };
        let log = JsonLog::new(move || to.clone(), Levels::new(levels));
        tracing::subscriber::with_default(tracing_subscriber::registry().with(log), tell);
        let bytes = written.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn a_line_below_its_level_is_not_written() {
        let both = written("info,one=debug", || {
            tracing::debug!(target: "one", "of one");
            tracing::debug!(target: "other", "of another");
        });
        assert!(
            both.contains("of one") && !both.contains("of another"),
            "{both}"
        );
    }

    #[test]
    fn what_comes_by_the_log_crate_was_let_through_by_its_own_target() {
        let line = written("info,one=debug", || {
            tracing::event!(target: "log", tracing::Level::DEBUG, log.target = "one", "by the log crate");
        });
        assert!(line.contains(r#""target":"one""#), "{line}");
    }
}
