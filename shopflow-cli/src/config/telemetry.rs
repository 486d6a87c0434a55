//! Where traces go, by OpenTelemetry's own variables.

use std::time::Duration;

use core_kernel::Sampling;
use http::{HeaderMap, HeaderName, HeaderValue};
use secrecy::ExposeSecret;
use shopflow_http::is_base_url;

use super::args::TraceArgs;
use super::problems::Problems;
use super::read::{given, or_default, secret};

/// How the collector is talked to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TraceProtocol {
    /// Protobuf by HTTP.
    Http,
    /// gRPC.
    Grpc,
}

/// Which database statements go to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DatabaseSystem {
    Postgres,
    Sqlite,
}

impl DatabaseSystem {
    /// OpenTelemetry's name for it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Postgres => "postgresql",
            Self::Sqlite => "sqlite",
        }
    }
}

/// Where traces go.
#[derive(Clone, Debug)]
pub(crate) struct TraceConfig {
    pub(crate) endpoint: String,
    pub(crate) protocol: TraceProtocol,
    /// Shown to the collector; marked as sensitive.
    pub(crate) headers: HeaderMap,
    pub(crate) timeout: Duration,
    pub(crate) service_name: String,
    /// What else is told of this process.
    pub(crate) attributes: Vec<(String, String)>,
    pub(crate) sampling: Sampling,
    pub(crate) database: DatabaseSystem,
}

impl TraceArgs {
    /// The settings; `None` where nothing is traced. What is wrong is told in any case.
    pub(crate) fn check(
        &self,
        problems: &mut Problems,
        service: &str,
        database: DatabaseSystem,
    ) -> Option<TraceConfig> {
        const TIMEOUT: &str = "OTEL_EXPORTER_OTLP_TIMEOUT";
        const DISABLED: &str = "OTEL_SDK_DISABLED";
        let disabled = or_default(
            problems,
            DISABLED,
            self.otel_sdk_disabled.as_ref(),
            false,
            "true or false",
        );
        let timeout: u32 = or_default(
            problems,
            TIMEOUT,
            self.otel_exporter_otlp_timeout.as_ref(),
            10_000,
            "a number of milliseconds",
        );
        let mut attributes = self.attributes(problems);
        let named = attributes.iter().position(|(key, _)| key == "service.name");
        let named = named.map(|index| attributes.remove(index).1);
        let service_name = given(self.otel_service_name.as_ref()).map(str::to_owned);
        let protocol = self.protocol(problems);
        let headers = self.headers(problems);
        let sampling = self.sampling(problems);
        let endpoint = self.endpoint(problems);
        Some(TraceConfig {
            endpoint: endpoint.filter(|_| !disabled)?,
            protocol,
            headers,
            timeout: Duration::from_millis(timeout.into()),
            service_name: service_name.or(named).unwrap_or_else(|| service.to_owned()),
            attributes,
            sampling,
            database,
        })
    }

    fn endpoint(&self, problems: &mut Problems) -> Option<String> {
        let endpoint = given(self.otel_exporter_otlp_endpoint.as_ref())?;
        if !is_base_url(endpoint) {
            let why = "must be an absolute http or https URL";
            problems.add("OTEL_EXPORTER_OTLP_ENDPOINT", why);
        }
        Some(endpoint.to_owned())
    }

    fn protocol(&self, problems: &mut Problems) -> TraceProtocol {
        match given(self.otel_exporter_otlp_protocol.as_ref()) {
            None | Some("http/protobuf") => TraceProtocol::Http,
            Some("grpc") => TraceProtocol::Grpc,
            Some(_) => {
                let why = "must be http/protobuf or grpc";
                problems.add("OTEL_EXPORTER_OTLP_PROTOCOL", why);
                TraceProtocol::Http
            }
        }
    }

    fn headers(&self, problems: &mut Problems) -> HeaderMap {
        const NAME: &str = "OTEL_EXPORTER_OTLP_HEADERS";
        let text = secret(
            problems,
            NAME,
            self.otel_exporter_otlp_headers.as_ref(),
            self.otel_exporter_otlp_headers_file.as_ref(),
        );
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
                None => problems.add(NAME, PAIRS),
            }
        }
        headers
    }

    fn attributes(&self, problems: &mut Problems) -> Vec<(String, String)> {
        let text = given(self.otel_resource_attributes.as_ref());
        let all = pairs(text.unwrap_or_default()).collect::<Option<Vec<_>>>();
        all.unwrap_or_else(|| {
            problems.add("OTEL_RESOURCE_ATTRIBUTES", PAIRS);
            Vec::new()
        })
    }

    fn sampling(&self, problems: &mut Problems) -> Sampling {
        const ARG: &str = "OTEL_TRACES_SAMPLER_ARG";
        const WANTED: &str = "a share, from 0 to 1";
        let arg = self.otel_traces_sampler_arg.as_ref();
        let share: f64 = or_default(problems, ARG, arg, 1.0, WANTED);
        if !(0.0..=1.0).contains(&share) {
            problems.add(ARG, format!("must be {WANTED}"));
        }
        let (share, heed_caller) = match given(self.otel_traces_sampler.as_ref()) {
            None | Some("parentbased_always_on") => (1.0, true),
            Some("parentbased_always_off") => (0.0, true),
            Some("parentbased_traceidratio") => (share, true),
            Some("always_on") => (1.0, false),
            Some("always_off") => (0.0, false),
            Some("traceidratio") => (share, false),
            Some(_) => {
                let why = "must be always_on, always_off or traceidratio, or one of these with \
                           parentbased_ in front";
                problems.add("OTEL_TRACES_SAMPLER", why);
                (1.0, true)
            }
        };
        Sampling { share, heed_caller }
    }
}

const PAIRS: &str = "must be key=value pairs, comma-separated and percent-encoded";

/// The pairs of a list such as `a=1,b=two%20words` (W3C Baggage, as OpenTelemetry's variables are
/// written); `None` in place of what is none.
fn pairs(text: &str) -> impl Iterator<Item = Option<(String, String)>> {
    let parts = text.split(',').map(str::trim);
    parts.filter(|part| !part.is_empty()).map(|part| {
        let (name, value) = part.split_once('=')?;
        let name = name.trim();
        (!name.is_empty()).then_some(())?;
        Some((name.to_owned(), decoded(value.trim())?))
    })
}

fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let (byte, after) = match (first, after) {
            (b'%', [high, low, after @ ..]) => {
                let digits = [*high, *low];
                let digits = std::str::from_utf8(&digits).ok()?;
                (u8::from_str_radix(digits, 16).ok()?, after)
            }
            (byte, after) => (*byte, after),
        };
        bytes.push(byte);
        rest = after;
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(args: &TraceArgs) -> Result<Option<TraceConfig>, Problems> {
        let mut problems = Problems::default();
        let config = args.check(&mut problems, "order-service", DatabaseSystem::Postgres);
        problems.finish(Some(config))
    }

    fn args() -> TraceArgs {
        TraceArgs {
            otel_exporter_otlp_endpoint: Some("http://collector:4318".into()),
            ..TraceArgs::default()
        }
    }

    #[test]
    fn without_an_endpoint_nothing_is_traced() {
        assert!(config(&TraceArgs::default()).unwrap().is_none());
        let disabled = TraceArgs {
            otel_sdk_disabled: Some("true".into()),
            ..args()
        };
        assert!(config(&disabled).unwrap().is_none());
        assert!(config(&args()).unwrap().is_some());
    }

    #[test]
    fn the_name_of_the_service_is_its_own_unless_another_is_given() {
        let mut args = args();
        let name = |args: &TraceArgs| config(args).unwrap().unwrap().service_name;
        assert_eq!(name(&args), "order-service");
        args.otel_resource_attributes = Some("service.name=orders,zone=a".into());
        assert_eq!(name(&args), "orders");
        args.otel_service_name = Some("shop".into());
        assert_eq!(name(&args), "shop");
        let attributes = config(&args).unwrap().unwrap().attributes;
        assert_eq!(attributes, [("zone".to_owned(), "a".to_owned())]);
    }

    #[test]
    fn headers_are_decoded_and_not_shown() {
        let args = TraceArgs {
            otel_exporter_otlp_headers: Some("authorization=Bearer%20t0ken, x-a = b".into()),
            ..args()
        };
        let config = config(&args).unwrap().unwrap();
        assert_eq!(config.headers["authorization"], "Bearer t0ken");
        assert_eq!(config.headers["x-a"], "b");
        assert!(!format!("{config:?}").contains("t0ken"));
    }

    #[test]
    fn what_cannot_be_is_told() {
        let wrong = |change: fn(&mut TraceArgs)| {
            let mut args = args();
            change(&mut args);
            config(&args).unwrap_err().to_string()
        };
        for (told, name) in [
            (
                wrong(|a| a.otel_exporter_otlp_endpoint = Some("collector".into())),
                "OTEL_EXPORTER_OTLP_ENDPOINT",
            ),
            (
                wrong(|a| a.otel_exporter_otlp_protocol = Some("http/json".into())),
                "OTEL_EXPORTER_OTLP_PROTOCOL",
            ),
            (
                wrong(|a| a.otel_exporter_otlp_headers = Some("novalue".into())),
                "OTEL_EXPORTER_OTLP_HEADERS",
            ),
            (
                wrong(|a| a.otel_exporter_otlp_timeout = Some("soon".into())),
                "OTEL_EXPORTER_OTLP_TIMEOUT",
            ),
            (
                wrong(|a| a.otel_resource_attributes = Some("=x".into())),
                "OTEL_RESOURCE_ATTRIBUTES",
            ),
            (
                wrong(|a| a.otel_traces_sampler = Some("some".into())),
                "OTEL_TRACES_SAMPLER",
            ),
            (
                wrong(|a| a.otel_traces_sampler_arg = Some("2".into())),
                "OTEL_TRACES_SAMPLER_ARG",
            ),
            (
                wrong(|a| a.otel_sdk_disabled = Some("perhaps".into())),
                "OTEL_SDK_DISABLED",
            ),
        ] {
            assert!(told.starts_with(&format!("error: {name}: ")), "{told}");
            assert_eq!(told.lines().count(), 1, "{told}");
        }
    }
}
