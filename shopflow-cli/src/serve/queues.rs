//! What waits on the bus, and whether the bus is there.

use std::time::Duration;

use core_notify::{QueueDepths, WORK_QUEUES};

use crate::lifecycle::Lifecycle;
use crate::telemetry::Figures;

/// How often queues are counted. A scrape asks nobody; it tells what was counted last.
const COUNT: Duration = Duration::from_secs(5);

/// Keeps the gauges `shopflow_queue_waiting` and `shopflow_dead_letters`. While the bus is away they
/// stay as they were.
pub(crate) fn tell_depths(lifecycle: &mut Lifecycle, queues: impl QueueDepths + 'static) {
    let mut stopping = lifecycle.stopping();
    lifecycle.spawn("queue depths", async move {
        let gauges = WORK_QUEUES.map(|queue| {
            let waiting = metrics::gauge!("shopflow_queue_waiting", "queue" => queue.name);
            let dead = metrics::gauge!("shopflow_dead_letters", "queue" => queue.name);
            (queue, waiting, dead)
        });
        loop {
            for (queue, waiting, dead) in &gauges {
                // Who consumes tells in the log that the bus is away.
                let Ok(depth) = queues.depth(*queue).await else {
                    break;
                };
                #[expect(clippy::cast_precision_loss, reason = "a gauge is a float")]
                waiting.set(depth.waiting as f64);
                #[expect(clippy::cast_precision_loss, reason = "a gauge is a float")]
                dead.set(depth.dead as f64);
            }
            if tokio::time::timeout(COUNT, stopping.wait_for(|stop| *stop))
                .await
                .is_ok()
            {
                return;
            }
        }
    });
}

/// Has the gauge `shopflow_broker_connected` told whenever figures are asked for.
pub(crate) fn tell_connected(figures: &Figures, connected: impl Fn() -> bool + Send + 'static) {
    let gauge = metrics::gauge!("shopflow_broker_connected");
    figures.at_scrape(move || gauge.set(u8::from(connected())));
}
