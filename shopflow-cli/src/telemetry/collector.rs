//! The way to the collector: OTLP by HTTP or gRPC, in batches, in the background.
//!
//! A collector that is away or hangs loses spans and nothing else: what ends goes into a queue of
//! bounded length, and what does not fit is dropped.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context;
use async_trait::async_trait;
use core_kernel::{EventId, chain};
use http_body_util::Full;
use metrics::Counter;
use opentelemetry::KeyValue;
use opentelemetry_http::{Bytes, HttpError, Request, Response};
use opentelemetry_otlp::tonic_types::metadata::MetadataMap;
use opentelemetry_otlp::tonic_types::transport::ClientTlsConfig;
use opentelemetry_otlp::{
    Protocol, SpanExporter, WithExportConfig, WithHttpConfig, WithTonicConfig,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::resource::{ResourceDetector, TelemetryResourceDetector};
use opentelemetry_sdk::runtime::Tokio;
use opentelemetry_sdk::trace::span_processor_with_async_runtime::BatchSpanProcessor;
use opentelemetry_sdk::trace::{SpanData, SpanProcessor};
use shopflow_http::HttpClient;

use crate::config::{TraceConfig, TraceProtocol};

/// Takes spans that have ended.
pub(super) type Processor = BatchSpanProcessor<Tokio>;

/// What takes spans and sends them on.
pub(super) fn processor(config: &TraceConfig) -> anyhow::Result<Processor> {
    let exporter = Watched {
        exporter: exporter(config)?,
        working: AtomicBool::new(true),
        exported: metrics::counter!("shopflow_trace_spans_exported_total"),
        lost: metrics::counter!("shopflow_trace_spans_lost_total"),
    };
    let mut processor = BatchSpanProcessor::builder(exporter, Tokio).build();
    processor.set_resource(&resource(config));
    Ok(processor)
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

fn exporter(config: &TraceConfig) -> anyhow::Result<SpanExporter> {
    let secure = config.endpoint.starts_with("https:");
    let built = match config.protocol {
        TraceProtocol::Http => {
            let headers = config.headers.iter().map(|(name, value)| {
                let value = value.to_str().context("OTEL_EXPORTER_OTLP_HEADERS")?;
                Ok((name.to_string(), value.to_owned()))
            });
            let headers: anyhow::Result<_> = headers.collect();
            let client = match secure {
                true => HttpClient::new().context("no certificate authorities")?,
                // One that trusts nobody needs no certificate authorities to be installed.
                false => HttpClient::local(),
            };
            SpanExporter::builder()
                .with_http()
                .with_http_client(Client(client, config.timeout))
                .with_protocol(Protocol::HttpBinary)
                .with_endpoint(format!(
                    "{}/v1/traces",
                    config.endpoint.trim_end_matches('/')
                ))
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
            match secure {
                true => exporter.with_tls_config(ClientTlsConfig::new().with_native_roots()),
                false => exporter,
            }
            .build()
        }
    };
    built.context("OTEL_EXPORTER_OTLP_ENDPOINT")
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

impl opentelemetry_sdk::trace::SpanExporter for Watched {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len() as u64;
        let done = self.exporter.export(batch).await;
        self.tell(spans, &done);
        done
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}
