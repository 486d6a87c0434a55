//! A span while it is open, by the rules of `adapters/telemetry`.

use std::borrow::Cow;
use std::fmt::Debug;
use std::time::SystemTime;

use core_kernel::{Clock, SystemClock, TraceContext};
use opentelemetry::trace::{
    SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState,
};
use opentelemetry::{InstrumentationScope, Key, KeyValue, Value};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};
use tracing::field::{Field, Visit};

/// A span that has begun.
pub(super) struct Open {
    trace_id: TraceId,
    span_id: SpanId,
    parent_id: SpanId,
    pub(super) sampled: bool,
    pub(super) kind: SpanKind,
    pub(super) name: Option<String>,
    pub(super) start: SystemTime,
    failed: bool,
    pub(super) attributes: Vec<KeyValue>,
}

impl Open {
    pub(super) fn new() -> Self {
        Self {
            trace_id: TraceId::INVALID,
            span_id: SpanId::INVALID,
            parent_id: SpanId::INVALID,
            sampled: true,
            kind: SpanKind::Internal,
            name: None,
            start: now(),
            failed: false,
            attributes: Vec::new(),
        }
    }

    /// Whether it goes with a trace context, which has its ids.
    pub(super) fn has_context(&self) -> bool {
        self.trace_id != TraceId::INVALID
    }

    /// A span that goes with no trace context is a part of the span around it.
    pub(super) fn inherit(&mut self, parent: Option<&Self>) {
        self.span_id = new_span_id();
        match parent {
            Some(parent) => {
                self.trace_id = parent.trace_id;
                self.parent_id = parent.span_id;
                self.sampled = parent.sampled;
            }
            None => self.sampled = false,
        }
    }

    fn take(&mut self, name: &'static str, value: Value) {
        let id = |value: &Value| SpanId::from_hex(&value.as_str()).unwrap_or(SpanId::INVALID);
        match (name, &value) {
            ("trace_id", _) => {
                self.trace_id = TraceId::from_hex(&value.as_str()).unwrap_or(TraceId::INVALID);
            }
            ("span_id", _) => self.span_id = id(&value),
            ("otel.parent_id", _) => self.parent_id = id(&value),
            ("otel.sampled", Value::Bool(sampled)) => self.sampled = *sampled,
            ("otel.kind", _) => self.kind = kind(&value.as_str()),
            ("otel.name", _) => self.name = Some(value.as_str().into_owned()),
            ("otel.start_us", Value::I64(at)) => {
                let at = jiff::Timestamp::from_microsecond(*at);
                self.start = at.map_or(self.start, SystemTime::from);
            }
            _ => self.attribute(name, value),
        }
    }

    fn attribute(&mut self, name: &'static str, value: Value) {
        self.failed |= name == "error.type";
        let key = match name.contains('.') {
            true => Key::from_static_str(name),
            // What log lines have, under our own name.
            false => Key::new(format!("shopflow.{name}")),
        };
        match self.attributes.iter_mut().find(|known| known.key == key) {
            Some(known) => known.value = value,
            None => self.attributes.push(KeyValue::new(key, value)),
        }
    }

    fn text(&self, name: &str) -> Option<Cow<'_, str>> {
        let mut known = self.attributes.iter();
        known.find_map(|one| (one.key.as_str() == name).then(|| one.value.as_str()))
    }

    /// What it is called; of HTTP, method and route, if there is one.
    pub(super) fn called(&self, otherwise: &'static str) -> Cow<'static, str> {
        if let Some(name) = &self.name {
            return name.clone().into();
        }
        let place = self
            .text("http.route")
            .or_else(|| self.text("url.template"));
        match (self.text("http.request.method"), place) {
            (Some(method), Some(place)) => format!("{method} {place}").into(),
            (Some(method), None) => method.into_owned().into(),
            (None, _) => otherwise.into(),
        }
    }

    pub(super) fn data(self, name: Cow<'static, str>, scope: InstrumentationScope) -> SpanData {
        SpanData {
            span_context: SpanContext::new(
                self.trace_id,
                self.span_id,
                TraceFlags::SAMPLED,
                false,
                TraceState::default(),
            ),
            parent_span_is_remote: matches!(self.kind, SpanKind::Server | SpanKind::Consumer),
            parent_span_id: self.parent_id,
            span_kind: self.kind,
            name,
            start_time: self.start,
            end_time: now(),
            attributes: self.attributes,
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status: match self.failed {
                true => Status::error(""),
                false => Status::Unset,
            },
            instrumentation_scope: scope,
        }
    }
}

impl Visit for Open {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.take(field.name(), format!("{value:?}").into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.take(field.name(), value.to_owned().into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.take(field.name(), value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.take(
            field.name(),
            i64::try_from(value).unwrap_or(i64::MAX).into(),
        );
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.take(field.name(), value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.take(field.name(), value.into());
    }
}

fn kind(word: &str) -> SpanKind {
    match word {
        "server" => SpanKind::Server,
        "client" => SpanKind::Client,
        "producer" => SpanKind::Producer,
        "consumer" => SpanKind::Consumer,
        _ => SpanKind::Internal,
    }
}

fn new_span_id() -> SpanId {
    SpanId::from_hex(&TraceContext::root().span_id()).unwrap_or(SpanId::INVALID)
}

fn now() -> SystemTime {
    SystemClock.now().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_called_by_method_and_route() {
        let mut open = Open::new();
        assert_eq!(open.called("request"), "request");
        open.attribute("http.request.method", "GET".into());
        assert_eq!(open.called("request"), "GET");
        open.attribute("http.route", "/orders/{id}".into());
        assert_eq!(open.called("request"), "GET /orders/{id}");
        open.take("otel.name", "other".into());
        assert_eq!(open.called("request"), "other");
    }

    #[test]
    fn an_error_type_makes_a_span_a_failed_one() {
        let mut open = Open::new();
        open.attribute("http.request.method", "GET".into());
        assert!(!open.failed);
        open.attribute("error.type", "503".into());
        assert!(open.failed);
    }
}
