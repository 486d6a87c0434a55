//! What is logged of each module.

use std::sync::Arc;

use arc_swap::ArcSwap;
use tracing::Metadata;
use tracing::subscriber::Interest;
use tracing_subscriber::filter::{LevelFilter, ParseError, Targets};
use tracing_subscriber::layer::{Context, Filter};

/// Libraries whose finest logs would show credentials and whole messages, and spans that no log line
/// needs. A filter of their own overrides this.
const QUIET: &str = "lapin=info,aws_smithy_runtime=info,aws_smithy_runtime_api=info,\
    aws_sdk_sesv2=info,aws_config=info,hyper=info,hyper_util=info,h2=info,tonic=info,tower=info,\
    opentelemetry=info,opentelemetry_sdk=info,opentelemetry_otlp=info,sqlx=info,shopflow_trace=off";

/// Whether a text is a log level or a list of filters.
///
/// # Errors
/// What it should be.
pub(crate) fn check_level(text: &str) -> Result<(), &'static str> {
    const WANTED: &str =
        "must be error, warn, info, debug, trace, off, or filters such as info,sqlx=debug";
    // A bare word that is no level would be taken for a module, and silence all others.
    let known = |part: &str| match part.trim() {
        "" => false,
        part => part.contains('=') || part.parse::<LevelFilter>().is_ok(),
    };
    if text.split(',').all(known) && parse(text).is_ok() {
        Ok(())
    } else {
        Err(WANTED)
    }
}

/// What is logged of each module. It is looked at for every line and changed once in a blue moon, so
/// looking takes no lock: all processors would write to it.
#[derive(Clone)]
pub(super) struct Levels(Arc<ArcSwap<Targets>>);

impl Levels {
    /// A level or filters that were checked.
    pub(super) fn new(level: &str) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(targets(level))))
    }

    /// From now on, these.
    pub(super) fn set(&self, level: &str) {
        self.0.store(Arc::new(targets(level)));
        // Who tells something remembers whether anybody wanted it.
        tracing::callsite::rebuild_interest_cache();
    }

    /// Whether a line of this kind is logged, or a span's fields are.
    pub(super) fn have(&self, metadata: &Metadata<'_>) -> bool {
        let targets = self.0.load();
        targets.would_enable(metadata.target(), metadata.level())
    }
}

fn parse(level: &str) -> Result<Targets, ParseError> {
    // People put spaces behind commas.
    let parts: Vec<&str> = level.split(',').map(str::trim).collect();
    format!("{QUIET},{}", parts.join(",")).parse()
}

fn targets(level: &str) -> Targets {
    parse(level).expect("checked with the configuration, or when it was read again")
}

impl<S> Filter<S> for Levels {
    fn enabled(&self, metadata: &Metadata<'_>, context: &Context<'_, S>) -> bool {
        Filter::<S>::enabled(&**self.0.load(), metadata, context)
    }

    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        Filter::<S>::callsite_enabled(&**self.0.load(), metadata)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Filter::<S>::max_level_hint(&**self.0.load())
    }
}

#[cfg(test)]
mod tests {
    use super::check_level;

    #[test]
    fn a_level_is_a_level_or_filters() {
        for good in ["info", "off", "info,sqlx=debug", "warn,shopflow_http=trace"] {
            assert_eq!(check_level(good), Ok(()), "{good}");
        }
        for bad in ["verbose", "info,loud", "", "shopflow=loud"] {
            assert!(check_level(bad).is_err(), "{bad}");
        }
    }
}
