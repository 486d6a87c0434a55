//! Where traces go, by OpenTelemetry's own variables.

mod batches;
mod collector;
mod pairs;

use core_kernel::Sampling;

use super::args::TraceArgs;
use super::problems::Problems;
use super::read::{given, or_default};
use batches::Batches;
pub(crate) use collector::{CollectorConfig, TraceProtocol};
use pairs::{PAIRS, pairs};

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

/// Where traces go, and what they tell.
#[derive(Clone, Debug)]
pub(crate) struct TraceConfig {
    pub(crate) collector: CollectorConfig,
    pub(crate) batches: Batches,
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
        let disabled = self.disabled(problems);
        let mut attributes = self.attributes(problems);
        let named = attributes.iter().position(|(key, _)| key == "service.name");
        let named = named.map(|index| attributes.remove(index).1);
        let service_name = given(self.otel_service_name.as_ref()).map(str::to_owned);
        let sampling = self.sampling(problems);
        let batches = self.batches.check(problems);
        let collector = self.collector(problems);
        Some(TraceConfig {
            collector: collector.filter(|_| !disabled)?,
            batches,
            service_name: service_name.or(named).unwrap_or_else(|| service.to_owned()),
            attributes,
            sampling,
            database,
        })
    }

    fn disabled(&self, problems: &mut Problems) -> bool {
        const DISABLED: &str = "OTEL_SDK_DISABLED";
        let disabled = self.otel_sdk_disabled.as_ref();
        let disabled = or_default(problems, DISABLED, disabled, false, "true or false");
        match given(self.otel_traces_exporter.as_ref()) {
            None | Some("otlp") => disabled,
            Some("none") => true,
            Some(_) => {
                problems.add("OTEL_TRACES_EXPORTER", "must be otlp or none");
                disabled
            }
        }
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
        let none = TraceArgs {
            otel_traces_exporter: Some("none".into()),
            ..args()
        };
        assert!(config(&none).unwrap().is_none());
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
        assert_eq!(config.collector.headers["authorization"], "Bearer t0ken");
        assert_eq!(config.collector.headers["x-a"], "b");
        assert!(!format!("{config:?}").contains("t0ken"));
    }

    #[test]
    fn the_paths_of_traces_are_added_to_the_collector_s_url_and_to_no_other() {
        let mut args = args();
        let endpoint = |args: &TraceArgs| config(args).unwrap().unwrap().collector.endpoint;
        assert_eq!(endpoint(&args), "http://collector:4318/v1/traces");
        args.otel_exporter_otlp_protocol = Some("grpc".into());
        assert_eq!(endpoint(&args), "http://collector:4318");
        args.own.otel_exporter_otlp_traces_protocol = Some("http/protobuf".into());
        args.own.otel_exporter_otlp_traces_endpoint = Some("http://tempo:80/otlp".into());
        assert_eq!(endpoint(&args), "http://tempo:80/otlp");
        args.otel_exporter_otlp_endpoint = None;
        assert_eq!(endpoint(&args), "http://tempo:80/otlp");
    }

    #[test]
    fn what_is_set_for_traces_alone_goes_before_what_is_set_for_all() {
        let mut args = args();
        args.otel_exporter_otlp_headers = Some("x-a=all,x-b=all".into());
        args.own.otel_exporter_otlp_traces_headers = Some("x-a=traces".into());
        args.otel_exporter_otlp_timeout = Some("1".into());
        args.own.otel_exporter_otlp_traces_timeout = Some("2".into());
        let collector = config(&args).unwrap().unwrap().collector;
        assert_eq!(collector.headers["x-a"], "traces");
        assert_eq!(collector.headers.len(), 1);
        assert_eq!(collector.timeout.as_millis(), 2);
    }

    #[test]
    fn a_batch_is_never_larger_than_its_queue() {
        let mut args = args();
        args.batches.otel_bsp_max_queue_size = Some("100".into());
        let batches = config(&args).unwrap().unwrap().batches;
        assert_eq!((batches.queue, batches.batch), (100, 100));
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
            (
                wrong(|a| a.otel_traces_exporter = Some("zipkin".into())),
                "OTEL_TRACES_EXPORTER",
            ),
            (
                wrong(|a| a.otel_exporter_otlp_compression = Some("gzip".into())),
                "OTEL_EXPORTER_OTLP_COMPRESSION",
            ),
            (
                wrong(|a| a.own.otel_exporter_otlp_traces_compression = Some("zstd".into())),
                "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION",
            ),
            (
                wrong(|a| a.otel_exporter_otlp_certificate = Some("/nowhere/ca.pem".into())),
                "OTEL_EXPORTER_OTLP_CERTIFICATE",
            ),
            (
                wrong(|a| a.own.otel_exporter_otlp_traces_endpoint = Some("collector".into())),
                "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
            ),
            (
                wrong(|a| a.batches.otel_bsp_max_queue_size = Some("0".into())),
                "OTEL_BSP_MAX_QUEUE_SIZE",
            ),
            (
                wrong(|a| a.batches.otel_bsp_schedule_delay = Some("0".into())),
                "OTEL_BSP_SCHEDULE_DELAY",
            ),
            (
                wrong(|a| a.batches.otel_bsp_max_export_batch_size = Some("4096".into())),
                "OTEL_BSP_MAX_EXPORT_BATCH_SIZE",
            ),
        ] {
            assert!(told.starts_with(&format!("error: {name}: ")), "{told}");
            assert_eq!(told.lines().count(), 1, "{told}");
        }
    }
}
