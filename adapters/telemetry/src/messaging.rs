//! Events on their way (OpenTelemetry's conventions for messaging spans).

use std::collections::HashMap;
use std::sync::LazyLock;
use std::time::Instant;

use core_kernel::{Clock, OutboxMessage, RequestContext, SystemClock, TraceContext};
use core_notify::{Outcome, WORK_QUEUES, WorkQueue};
use jiff::Timestamp;
use metrics::{Counter, Histogram};
use tracing::Span;
use tracing::field::Empty;

use crate::TRACE;

/// How long a batch takes, from handing it over to its last confirm.
static CONFIRM: LazyLock<Histogram> =
    LazyLock::new(|| metrics::histogram!("shopflow_publish_confirm_seconds"));

/// How long an event takes, from being made to being confirmed (PRD §10.1).
static DELAY: LazyLock<Histogram> =
    LazyLock::new(|| metrics::histogram!("shopflow_event_publish_delay_seconds"));

static HANDLED: LazyLock<HashMap<(&str, &str), Counter>> = LazyLock::new(|| {
    let outcomes = |queue: WorkQueue| Outcome::WORDS.map(|outcome| (queue.name, outcome));
    let labels = WORK_QUEUES.into_iter().flat_map(outcomes);
    let counter = |(queue, outcome)| {
        let counter = metrics::counter!(
            "shopflow_events_handled_total", "queue" => queue, "outcome" => outcome);
        ((queue, outcome), counter)
    };
    labels.map(counter).collect()
});

static WAITED: LazyLock<HashMap<&str, Histogram>> = LazyLock::new(|| {
    let histogram = |queue: WorkQueue| {
        let histogram = metrics::histogram!("shopflow_queue_wait_seconds", "queue" => queue.name);
        (queue.name, histogram)
    };
    WORK_QUEUES.into_iter().map(histogram).collect()
});

/// Begins to keep the figures of events that are published, so that they are told before the first.
pub fn expect_publishing() {
    LazyLock::force(&CONFIRM);
    LazyLock::force(&DELAY);
}

/// Begins to keep the figures of events that are worked on, so that they are told before the first.
pub fn expect_work() {
    LazyLock::force(&HANDLED);
    LazyLock::force(&WAITED);
}

/// A batch of events that is being published.
pub struct Publishing<'a> {
    batch: &'a [OutboxMessage],
    spans: Vec<Span>,
    traceparents: Vec<String>,
    begun: Instant,
}

impl<'a> Publishing<'a> {
    /// A batch that goes to the bus `system`, each event to the exchange that `exchange` tells.
    #[must_use]
    pub fn begin(
        system: &'static str,
        exchange: impl Fn(&OutboxMessage) -> &'static str,
        batch: &'a [OutboxMessage],
    ) -> Self {
        let spans = batch
            .iter()
            .map(|event| publish_span(system, exchange(event), event));
        let (spans, traceparents) = spans.unzip();
        Self {
            batch,
            spans,
            traceparents,
            begun: Instant::now(),
        }
    }

    /// The batch, each event with the context (W3C `traceparent`) that its message carries: that of
    /// its own span where it is traced, else that of the request which caused it.
    pub fn events(&self) -> impl Iterator<Item = (&'a OutboxMessage, &str)> {
        let traceparents = self.traceparents.iter().map(String::as_str);
        self.batch.iter().zip(traceparents)
    }

    /// Counts what it took, and tells the spans what was not taken; `None` when nothing is known.
    pub fn end(self, taken: Option<&[bool]>) {
        let Some(taken) = taken else {
            for span in &self.spans {
                span.record("error.type", "no_confirm");
            }
            return;
        };
        CONFIRM.record(self.begun.elapsed().as_secs_f64());
        let now = SystemClock.now();
        for ((event, span), taken) in self.batch.iter().zip(&self.spans).zip(taken) {
            if !taken {
                span.record("error.type", "refused");
            } else if let Some(made) = event.event_id.made_at() {
                DELAY.record(seconds(made, now));
            }
        }
    }
}

/// The clocks of two machines may differ by more than something took.
fn seconds(from: Timestamp, to: Timestamp) -> f64 {
    to.duration_since(from).as_secs_f64().max(0.0)
}

/// A destination by its parts (OpenTelemetry's conventions for RabbitMQ): what is empty, as the default
/// exchange is, is left out, and what is called the same is told once.
struct Destination<'a, const PARTS: usize>([&'a str; PARTS]);

impl<const PARTS: usize> std::fmt::Display for Destination<'_, PARTS> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut last = "";
        for part in self.0 {
            if part.is_empty() || part == last {
                continue;
            }
            if !last.is_empty() {
                f.write_str(":")?;
            }
            f.write_str(part)?;
            last = part;
        }
        Ok(())
    }
}

fn publish_span(system: &'static str, exchange: &str, event: &OutboxMessage) -> (Span, String) {
    let cause = TraceContext::parse(&event.traceparent, event.tracestate.as_deref());
    let own = cause.map(|cause| cause.child());
    let id = |of: fn(&TraceContext) -> String| own.as_ref().map(of);
    let span = tracing::info_span!(
        target: TRACE,
        "publish",
        otel.name = %format_args!("publish {exchange}:{}", event.routing_key),
        trace_id = id(TraceContext::trace_id),
        span_id = id(TraceContext::span_id),
        otel.kind = "producer",
        otel.parent_id = own.as_ref().and_then(TraceContext::parent_id),
        otel.sampled = own.as_ref().is_some_and(TraceContext::is_sampled),
        messaging.system = system,
        messaging.operation.name = "publish",
        messaging.operation.type = "send",
        messaging.destination.name = %Destination([exchange, &event.routing_key]),
        messaging.rabbitmq.destination.routing_key = event.routing_key,
        messaging.message.id = %event.event_id,
        error.type = Empty,
    );
    match own {
        Some(own) if !span.is_disabled() => (span, own.traceparent()),
        _ => (span, event.traceparent.clone()),
    }
}

/// An event that came out of its queue.
#[derive(Clone, Copy, Debug)]
pub struct Arrival<'a> {
    /// OpenTelemetry's name for the bus.
    pub system: &'static str,
    /// Where it lay.
    pub queue: WorkQueue,
    /// The exchange and the routing key by which it came there.
    pub route: (&'a str, &'a str),
    /// Which attempt it is, from 1.
    pub attempt: u32,
    /// What caused it, as its message tells.
    pub cause: Option<&'a TraceContext>,
    /// When it was published, if it came here straight from there.
    pub published_at: Option<Timestamp>,
    /// What the work on it is known by.
    pub context: &'a RequestContext,
}

impl Arrival<'_> {
    /// The span of the work on it, whose ids belong to every log line: at this level it is there
    /// whatever is filtered out. How long it waited before is counted, and a span of its own beside
    /// this one.
    #[must_use]
    pub fn begin(&self) -> Span {
        self.tell_wait();
        let Self { queue, context, .. } = self;
        let trace = &context.trace;
        let (exchange, key) = self.route;
        tracing::error_span!(
            "event",
            request_id = %context.request_id,
            trace_id = %trace.trace_id(),
            span_id = %trace.span_id(),
            order_id = Empty,
            queue = queue.name,
            attempt = self.attempt,
            otel.name = %format_args!("process {}", queue.name),
            otel.kind = "consumer",
            otel.parent_id = trace.parent_id(),
            otel.sampled = trace.is_sampled(),
            messaging.system = self.system,
            messaging.operation.name = "process",
            messaging.operation.type = "process",
            messaging.destination.name = %Destination([exchange, key, queue.name]),
            messaging.rabbitmq.destination.routing_key = key,
            messaging.message.id = %context.request_id,
            error.type = Empty,
        )
    }

    fn tell_wait(&self) {
        let Some(published_at) = self.published_at else {
            return;
        };
        if let Some(histogram) = WAITED.get(self.queue.name) {
            histogram.record(seconds(published_at, SystemClock.now()));
        }
        let Some(wait) = self.cause.map(TraceContext::child) else {
            return;
        };
        // It is made when the wait is over, and ends at once.
        drop(tracing::info_span!(
            target: TRACE,
            "wait",
            otel.name = %format_args!("wait {}", self.queue.name),
            otel.kind = "internal",
            otel.start_us = published_at.as_microsecond(),
            trace_id = %wait.trace_id(),
            span_id = %wait.span_id(),
            otel.parent_id = wait.parent_id(),
            otel.sampled = wait.is_sampled(),
            messaging.system = self.system,
            messaging.destination.name = self.queue.name,
        ));
    }
}

/// Counts what a handler made of an event of `queue`, whose span is the current one.
pub fn handled(queue: WorkQueue, outcome: &Outcome) {
    if let Some(counter) = HANDLED.get(&(queue.name, outcome.word())) {
        counter.increment(1);
    }
    match outcome {
        Outcome::Dead { class, .. } => {
            Span::current().record("error.type", *class);
        }
        Outcome::Retry { .. } => {
            Span::current().record("error.type", "retry");
        }
        Outcome::Done | Outcome::Held | Outcome::Wait { .. } => {}
    }
}

/// The one line of the work on an event, when it ends. Who writes the log knows what the databases
/// took of it and fills that in.
pub fn worked_on(begun: Instant) {
    let ms = begun.elapsed().as_secs_f64() * 1000.0;
    tracing::info!(ms, db_ms = Empty, queries = Empty, "event worked on");
}

#[cfg(test)]
mod tests {
    use super::Destination;

    #[test]
    fn a_destination_has_no_empty_part_and_none_twice() {
        let named = |parts: [&str; 3]| Destination(parts).to_string();
        assert_eq!(named(["events", "key", "work"]), "events:key:work");
        assert_eq!(named(["", "work", "work"]), "work");
        assert_eq!(named(["events", "", ""]), "events");
    }
}
