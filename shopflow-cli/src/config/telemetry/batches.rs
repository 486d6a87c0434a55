//! How spans are gathered. OpenTelemetry's library reads these variables too, but passes over what is
//! wrong with them, and panics or hoards without end at a zero.

use std::num::NonZeroU32;
use std::time::Duration;

use super::super::args::BatchArgs;
use super::super::problems::Problems;
use super::super::read::{given, or_default};

/// How spans are gathered before they are sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Batches {
    /// How many may wait.
    pub(crate) queue: usize,
    /// How many are sent at once; at most `queue`.
    pub(crate) batch: usize,
    /// How many batches are sent at the same time.
    pub(crate) concurrent: usize,
    /// How long spans are gathered.
    pub(crate) delay: Duration,
    /// How long sending a batch may take, with its repetitions.
    pub(crate) timeout: Duration,
}

/// A number that must not be zero.
pub(super) fn number(
    problems: &mut Problems,
    name: &'static str,
    value: Option<&String>,
    default: u32,
    wanted: &str,
) -> u32 {
    let default = NonZeroU32::new(default).unwrap_or(NonZeroU32::MIN);
    or_default(problems, name, value, default, wanted).get()
}

/// What a time is to be.
pub(super) const TIME: &str = "a number of milliseconds, above 0";

impl BatchArgs {
    pub(super) fn check(&self, problems: &mut Problems) -> Batches {
        const BATCH: &str = "OTEL_BSP_MAX_EXPORT_BATCH_SIZE";
        let mut read = |name, value: &Option<String>, default, wanted| {
            number(problems, name, value.as_ref(), default, wanted)
        };
        let spans = "a number of spans, above 0";
        let queue = read(
            "OTEL_BSP_MAX_QUEUE_SIZE",
            &self.otel_bsp_max_queue_size,
            2048,
            spans,
        );
        let batch = read(BATCH, &self.otel_bsp_max_export_batch_size, 512, spans);
        let concurrent = read(
            "OTEL_BSP_MAX_CONCURRENT_EXPORTS",
            &self.otel_bsp_max_concurrent_exports,
            1,
            "a number of batches, above 0",
        );
        let delay = read(
            "OTEL_BSP_SCHEDULE_DELAY",
            &self.otel_bsp_schedule_delay,
            5000,
            TIME,
        );
        let timeout = read(
            "OTEL_BSP_EXPORT_TIMEOUT",
            &self.otel_bsp_export_timeout,
            30_000,
            TIME,
        );
        if batch > queue && given(self.otel_bsp_max_export_batch_size.as_ref()).is_some() {
            let why = format!("must be at most OTEL_BSP_MAX_QUEUE_SIZE, which is {queue}");
            problems.add(BATCH, why);
        }
        Batches {
            queue: queue as usize,
            batch: batch.min(queue) as usize,
            concurrent: concurrent as usize,
            delay: Duration::from_millis(delay.into()),
            timeout: Duration::from_millis(timeout.into()),
        }
    }
}
