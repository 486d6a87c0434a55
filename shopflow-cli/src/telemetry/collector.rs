//! The way to the collector: OTLP by HTTP or gRPC, in batches, in the background.
//!
//! A collector that is away or hangs loses spans and nothing else: what ends goes into a queue of
//! bounded length, and what does not fit is dropped.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::Context;
use async_trait::async_trait;
use core_kernel::{EventId, chain};
use http_body_util::Full;
use metrics::Counter;
use opentelemetry::KeyValue;
use opentelemetry_http::{Bytes, HttpError, Request, Response};
use opentelemetry_otlp::tonic_types::metadata::MetadataMap;
use opentelemetry_otlp::tonic_types::transport::{Certificate, ClientTlsConfig};
use opentelemetry_otlp::{
    Protocol, SpanExporter, WithExportConfig, WithHttpConfig, WithTonicConfig,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::resource::{ResourceDetector, TelemetryResourceDetector};
use opentelemetry_sdk::runtime::Tokio;
use opentelemetry_sdk::trace::span_processor_with_async_runtime::BatchSpanProcessor;
use opentelemetry_sdk::trace::{BatchConfigBuilder, SpanData, SpanProcessor};
use shopflow_http::{HttpClient, authorities};

use crate::config::{CollectorConfig, TraceConfig, TraceProtocol};

/// Takes spans that have ended. The library's queue tells nobody what it drops, so this one never lets
/// it overflow, and counts what it drops itself.
#[derive(Debug)]
pub(super) struct Processor {
    spans: BatchSpanProcessor<Tokio>,
    queue: Arc<Queue>,
}

/// What waits to be sent.
#[derive(Debug)]
struct Queue {
    waiting: AtomicUsize,
    most: usize,
    /// Whether it has been told that it is full.
    told: AtomicBool,
    lost: Counter,
}

impl Processor {
    /// What takes spans and sends them on.
    pub(super) fn start(config: &TraceConfig) -> anyhow::Result<Self> {
        let lost = metrics::counter!("shopflow_trace_spans_lost_total");
        let batches = config.batches;
        let queue = Arc::new(Queue {
            waiting: AtomicUsize::new(0),
            most: batches.queue,
            told: AtomicBool::new(false),
            lost: lost.clone(),
        });
        let exporter = Watched {
            exporter: exporter(&config.collector)?,
            queue: queue.clone(),
            working: AtomicBool::new(true),
            exported: metrics::counter!("shopflow_trace_spans_exported_total"),
            lost,
        };
        let batches = BatchConfigBuilder::default()
            .with_max_queue_size(batches.queue)
            .with_max_export_batch_size(batches.batch)
            .with_max_concurrent_exports(batches.concurrent)
            .with_scheduled_delay(batches.delay)
            .with_max_export_timeout(batches.timeout)
            .build();
        let mut spans = BatchSpanProcessor::builder(exporter, Tokio)
            .with_batch_config(batches)
            .build();
        spans.set_resource(&resource(config));
        Ok(Self { spans, queue })
    }

    /// Takes a span, if there is room for it.
    pub(super) fn take(&self, span: SpanData) {
        if self.queue.enter() {
            self.spans.on_end(span);
        }
    }

    /// Sends what is left. It waits for its own task in the background, so it must not be called by a
    /// thread that others need.
    pub(super) fn shutdown(&self) -> OTelSdkResult {
        self.spans.shutdown()
    }
}

impl Queue {
    fn enter(&self) -> bool {
        let enters = self.waiting.fetch_add(1, Ordering::Relaxed) < self.most;
        if !enters {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            self.lost.increment(1);
            if !self.told.swap(true, Ordering::Relaxed) {
                let most = self.most;
                tracing::warn!(most, "more spans than the collector takes; some are lost");
            }
        }
        enters
    }

    fn leave(&self, spans: usize) {
        self.waiting.fetch_sub(spans, Ordering::Relaxed);
        self.told.store(false, Ordering::Relaxed);
    }
}

fn resource(config: &TraceConfig) -> Resource {
    let mut resource = Resource::builder_empty().with_attributes([
        KeyValue::new("service.name", config.service_name.clone()),
        KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
        KeyValue::new("service.instance.id", EventId::generate().to_string()),
    ]);
    let sdk = TelemetryResourceDetector.detect();
    for (key, value) in &sdk {
        resource = resource.with_attribute(KeyValue::new(key.clone(), value.clone()));
    }
    for (key, value) in &config.attributes {
        resource = resource.with_attribute(KeyValue::new(key.clone(), value.clone()));
    }
    resource.build()
}

fn exporter(config: &CollectorConfig) -> anyhow::Result<SpanExporter> {
    let built = match config.protocol {
        TraceProtocol::Http => {
            let headers = config.headers.iter().map(|(name, value)| {
                let value = value.to_str().context("OTEL_EXPORTER_OTLP_HEADERS")?;
                Ok((name.to_string(), value.to_owned()))
            });
            let headers: anyhow::Result<_> = headers.collect();
            SpanExporter::builder()
                .with_http()
                .with_http_client(Client(client(config)?, config.timeout))
                .with_protocol(Protocol::HttpBinary)
                .with_endpoint(config.endpoint.clone())
                .with_timeout(config.timeout)
                .with_headers(headers?)
                .build()
        }
        TraceProtocol::Grpc => {
            let metadata = MetadataMap::from_headers(config.headers.clone());
            let exporter = SpanExporter::builder()
                .with_tonic()
                .with_endpoint(config.endpoint.clone())
                .with_timeout(config.timeout)
                .with_metadata(metadata);
            let tls = ClientTlsConfig::new();
            match (is_secure(config), &config.certificate) {
                (true, Some(pem)) => {
                    exporter.with_tls_config(tls.ca_certificate(Certificate::from_pem(pem)))
                }
                (true, None) => exporter.with_tls_config(tls.with_native_roots()),
                (false, _) => exporter,
            }
            .build()
        }
    };
    built.context("OTEL_EXPORTER_OTLP_ENDPOINT")
}

fn is_secure(config: &CollectorConfig) -> bool {
    config.endpoint.starts_with("https:")
}

fn client(config: &CollectorConfig) -> anyhow::Result<HttpClient> {
    Ok(match (is_secure(config), &config.certificate) {
        (true, Some(pem)) => {
            let authorities = authorities(pem).context("OTEL_EXPORTER_OTLP_CERTIFICATE")?;
            HttpClient::trusting(authorities)
        }
        (true, None) => HttpClient::new().context("no certificate authorities")?,
        // One that trusts nobody needs no certificate authorities to be installed.
        (false, _) => HttpClient::local(),
    })
}

/// Our own client, in the library's terms.
#[derive(Debug)]
struct Client(HttpClient, Duration);

#[async_trait]
impl opentelemetry_http::HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (status, body) = self.0.call(request.map(Full::new), self.1).await?;
        Ok(Response::builder().status(status).body(body)?)
    }
}

/// An exporter that counts, and tells once when it stops working and once when it works again.
#[derive(Debug)]
struct Watched {
    exporter: SpanExporter,
    queue: Arc<Queue>,
    working: AtomicBool,
    exported: Counter,
    lost: Counter,
}

impl Watched {
    fn tell(&self, spans: u64, done: &OTelSdkResult) {
        match done {
            Ok(()) => {
                self.exported.increment(spans);
                if !self.working.swap(true, Ordering::Relaxed) {
                    tracing::info!("the collector takes spans again");
                }
            }
            Err(error) => {
                self.lost.increment(spans);
                if self.working.swap(false, Ordering::Relaxed) {
                    let error = chain(error);
                    tracing::warn!(error, "the collector takes no spans; they are lost");
                }
            }
        }
    }
}

/// A batch on its way; lost if it is given up there, as the library does after a while.
struct Unsent<'a> {
    spans: u64,
    lost: &'a Counter,
}

impl Unsent<'_> {
    /// How many they are, of whom somebody knows now what came of them.
    fn settled(mut self) -> u64 {
        std::mem::take(&mut self.spans)
    }
}

impl Drop for Unsent<'_> {
    fn drop(&mut self) {
        self.lost.increment(self.spans);
    }
}

impl opentelemetry_sdk::trace::SpanExporter for Watched {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        self.queue.leave(batch.len());
        let unsent = Unsent {
            spans: batch.len() as u64,
            lost: &self.lost,
        };
        let done = self.exporter.export(batch).await;
        self.tell(unsent.settled(), &done);
        done
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}
