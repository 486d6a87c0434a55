//! What every figure says, for `# HELP`. docs/telemetry.md has them with their labels; a test sees to
//! it that none is missing there.

use metrics::Unit;

enum Kind {
    Counter,
    Gauge,
    Seconds,
}

use Kind::{Counter, Gauge, Seconds};

const CATALOG: &[(Kind, &str, &str)] = &[
    (
        Seconds,
        "http_server_request_duration_seconds",
        "How long requests took, by method, route and status",
    ),
    (
        Gauge,
        "http_server_active_requests",
        "Requests that are being worked on",
    ),
    (
        Seconds,
        "db_client_operation_duration_seconds",
        "How long statements took",
    ),
    (
        Gauge,
        "db_client_connection_count",
        "Database connections, by pool and state",
    ),
    (
        Gauge,
        "db_client_connection_max",
        "Database connections at most, by pool",
    ),
    (
        Gauge,
        "shopflow_hash_queue_waiting",
        "Hashes that wait for their turn",
    ),
    (
        Gauge,
        "shopflow_hash_queue_running",
        "Hashes that are being made",
    ),
    (
        Seconds,
        "shopflow_hash_queue_wait_seconds",
        "How long hashes waited for their turn",
    ),
    (
        Seconds,
        "shopflow_hash_duration_seconds",
        "How long hashes took, without waiting",
    ),
    (
        Gauge,
        "shopflow_outbox_waiting",
        "Events that are not yet published",
    ),
    (
        Gauge,
        "shopflow_outbox_oldest_seconds",
        "Age of the oldest of them",
    ),
    (
        Counter,
        "shopflow_events_published_total",
        "Events that the broker confirmed and routed",
    ),
    (
        Counter,
        "shopflow_events_refused_total",
        "Events that the broker did not take; they are tried again",
    ),
    (
        Seconds,
        "shopflow_publish_confirm_seconds",
        "How long batches took until the broker had confirmed them",
    ),
    (
        Seconds,
        "shopflow_event_publish_delay_seconds",
        "How long events took from being made to being confirmed",
    ),
    (
        Gauge,
        "shopflow_broker_connected",
        "1 while the broker takes, or delivers, events",
    ),
    (
        Seconds,
        "shopflow_queue_wait_seconds",
        "How long events lay in their queue, by queue",
    ),
    (
        Counter,
        "shopflow_events_handled_total",
        "Attempts to work on events, by queue and outcome",
    ),
    (
        Gauge,
        "shopflow_queue_waiting",
        "Events in a work queue that nobody has in hand, by queue",
    ),
    (
        Gauge,
        "shopflow_dead_letters",
        "Events that were given up, by work queue",
    ),
    (
        Counter,
        "shopflow_send_attempts_total",
        "Calls of providers, by channel and outcome",
    ),
    (
        Seconds,
        "shopflow_send_duration_seconds",
        "How long calls of providers took, by channel",
    ),
    (
        Seconds,
        "shopflow_delivery_seconds",
        "How long it took from what happened until the provider had taken the message, by channel",
    ),
    (
        Gauge,
        "shopflow_breaker_open",
        "1 while sending, or asking a neighbour, is paused",
    ),
    (
        Gauge,
        "shopflow_credential_expires_seconds",
        "What a token, or a secret in a file, has left",
    ),
    (
        Gauge,
        "shopflow_revocations",
        "Revocations that are kept in memory",
    ),
    (
        Gauge,
        "shopflow_revocations_listening",
        "1 while the database tells of revocations at once",
    ),
    (
        Gauge,
        "shopflow_limits_shared",
        "1 while limits are counted in Redis",
    ),
    (
        Counter,
        "shopflow_limits_fallbacks_total",
        "Decisions on limits that were made without Redis",
    ),
    (
        Counter,
        "shopflow_retention_runs_total",
        "Runs of retention, by outcome",
    ),
    (
        Gauge,
        "shopflow_build_info",
        "Always 1; its label is the version",
    ),
    (
        Counter,
        "shopflow_trace_spans_exported_total",
        "Spans that the collector took",
    ),
    (
        Counter,
        "shopflow_trace_spans_lost_total",
        "Spans that the collector did not take, or that found no room to wait for it",
    ),
];

/// Tells the recorder what it keeps.
pub(super) fn describe() {
    for (kind, name, help) in CATALOG {
        match kind {
            Counter => metrics::describe_counter!(*name, *help),
            Gauge => metrics::describe_gauge!(*name, *help),
            Seconds => metrics::describe_histogram!(*name, Unit::Seconds, *help),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::CATALOG;

    #[test]
    fn every_figure_is_in_the_docs() {
        let docs = include_str!("../../../docs/telemetry.md");
        for (_, name, _) in CATALOG {
            assert!(docs.contains(&format!("`{name}`")), "{name} is missing");
        }
    }
}
