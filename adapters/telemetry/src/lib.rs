//! The spans and figures that several adapters have in common, so that an event looks the same on
//! every bus.
//!
//! Spans are those of the `tracing` crate, by these rules, which the command's exporter reads:
//!
//! - Fields with a dot in their name are for traces, and log lines do not have them. They are named by
//!   OpenTelemetry's conventions. `otel.name`, `otel.kind` (`server`, `client`, `producer`, `consumer`,
//!   `internal`), `otel.parent_id`, `otel.sampled` and `otel.start_us` (microseconds since 1970) are the
//!   span's own.
//! - A span that goes with a [`core_kernel::TraceContext`] has its ids in `trace_id` and `span_id`. One
//!   without becomes a child of the span around it.
//! - A field `error.type` makes it a failed one.
//! - Spans of the target [`TRACE`] are for traces alone: where nobody traces, they are not made.

pub mod messaging;

/// The target of spans that no log line needs.
pub const TRACE: &str = "shopflow_trace";
