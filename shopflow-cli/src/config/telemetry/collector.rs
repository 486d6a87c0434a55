//! The collector. What is set for traces alone goes before what is set for all that OTLP carries.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use secrecy::ExposeSecret;
use shopflow_http::{authorities, is_base_url};

use super::super::args::TraceArgs;
use super::super::problems::Problems;
use super::super::read::{given, secret};
use super::batches::{TIME, number};
use super::pairs::{PAIRS, pairs};

/// How the collector is talked to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TraceProtocol {
    /// Protobuf by HTTP.
    Http,
    /// gRPC.
    Grpc,
}

/// The collector.
#[derive(Clone, Debug)]
pub(crate) struct CollectorConfig {
    /// Where spans are sent: the whole URL, or for gRPC the server's.
    pub(crate) endpoint: String,
    pub(crate) protocol: TraceProtocol,
    /// Shown to the collector; marked as sensitive.
    pub(crate) headers: HeaderMap,
    pub(crate) timeout: Duration,
    /// The authorities by which it is known (PEM); those of the system when `None`.
    pub(crate) certificate: Option<Vec<u8>>,
}

/// A setting, of traces or else of all.
type Setting<'a> = (&'static str, Option<&'a String>);

fn either<'a>(own: Setting<'a>, general: Setting<'a>) -> Setting<'a> {
    match given(own.1) {
        Some(_) => own,
        None => general,
    }
}

impl TraceArgs {
    /// The collector, if one is named.
    pub(super) fn collector(&self, problems: &mut Problems) -> Option<CollectorConfig> {
        let protocol = self.protocol(problems);
        let headers = self.headers(problems);
        let timeout = self.timeout(problems);
        let certificate = self.certificate(problems);
        self.compression(problems);
        let endpoint = self.endpoint(problems, protocol)?;
        Some(CollectorConfig {
            endpoint,
            protocol,
            headers,
            timeout,
            certificate,
        })
    }

    fn endpoint(&self, problems: &mut Problems, protocol: TraceProtocol) -> Option<String> {
        const OWN: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
        let general = self.otel_exporter_otlp_endpoint.as_ref();
        let own = self.own.otel_exporter_otlp_traces_endpoint.as_ref();
        let (name, endpoint) = either((OWN, own), ("OTEL_EXPORTER_OTLP_ENDPOINT", general));
        let endpoint = given(endpoint)?;
        if !is_base_url(endpoint) {
            problems.add(name, "must be an absolute http or https URL");
        }
        let whole = name == OWN || protocol == TraceProtocol::Grpc;
        Some(match whole {
            true => endpoint.to_owned(),
            false => format!("{}/v1/traces", endpoint.trim_end_matches('/')),
        })
    }

    fn protocol(&self, problems: &mut Problems) -> TraceProtocol {
        let general = self.otel_exporter_otlp_protocol.as_ref();
        let own = self.own.otel_exporter_otlp_traces_protocol.as_ref();
        let (name, protocol) = either(
            ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", own),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", general),
        );
        match given(protocol) {
            None | Some("http/protobuf") => TraceProtocol::Http,
            Some("grpc") => TraceProtocol::Grpc,
            Some(_) => {
                problems.add(name, "must be http/protobuf or grpc");
                TraceProtocol::Http
            }
        }
    }

    fn headers(&self, problems: &mut Problems) -> HeaderMap {
        let own = (
            "OTEL_EXPORTER_OTLP_TRACES_HEADERS",
            self.own.otel_exporter_otlp_traces_headers.as_ref(),
            self.own.otel_exporter_otlp_traces_headers_file.as_ref(),
        );
        let general = (
            "OTEL_EXPORTER_OTLP_HEADERS",
            self.otel_exporter_otlp_headers.as_ref(),
            self.otel_exporter_otlp_headers_file.as_ref(),
        );
        let has_own = given(own.1).or(given(own.2)).is_some();
        let (name, value, file) = if has_own { own } else { general };
        let text = secret(problems, name, value, file);
        let text = text.as_ref().map(|text| text.value.expose_secret());
        let mut headers = HeaderMap::new();
        for pair in pairs(text.unwrap_or_default()) {
            let header = pair.and_then(|(name, value)| {
                let name = HeaderName::try_from(name).ok()?;
                let mut value = HeaderValue::try_from(value).ok()?;
                value.set_sensitive(true);
                Some((name, value))
            });
            match header {
                Some((name, value)) => drop(headers.insert(name, value)),
                None => problems.add(name, PAIRS),
            }
        }
        headers
    }

    fn timeout(&self, problems: &mut Problems) -> Duration {
        let general = self.otel_exporter_otlp_timeout.as_ref();
        let own = self.own.otel_exporter_otlp_traces_timeout.as_ref();
        let (name, timeout) = either(
            ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", own),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", general),
        );
        Duration::from_millis(number(problems, name, timeout, 10_000, TIME).into())
    }

    fn certificate(&self, problems: &mut Problems) -> Option<Vec<u8>> {
        let general = self.otel_exporter_otlp_certificate.as_ref();
        let own = self.own.otel_exporter_otlp_traces_certificate.as_ref();
        let (name, file) = either(
            ("OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE", own),
            ("OTEL_EXPORTER_OTLP_CERTIFICATE", general),
        );
        let file = given(file)?;
        let pem = std::fs::read(file).map_err(|error| format!("{file} cannot be read: {error}"));
        let pem = problems.take(name, pem)?;
        problems.take(name, authorities(&pem))?;
        Some(pem)
    }

    fn compression(&self, problems: &mut Problems) {
        let general = self.otel_exporter_otlp_compression.as_ref();
        let own = self.own.otel_exporter_otlp_traces_compression.as_ref();
        let (name, compression) = either(
            ("OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", own),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", general),
        );
        if given(compression).is_some_and(|compression| compression != "none") {
            problems.add(name, "must be none: spans are sent as they are");
        }
    }
}
