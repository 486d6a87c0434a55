//! Orders that pile up while the broker is away.

use std::time::{Duration, Instant};

use shopflow_testkit::wait_until;
use sqlx::PgPool;

use crate::load::Load;
use crate::rig::Rig;
use crate::{ALONE, Plan, check};

/// More orders a second than are answered, so that customers order as fast as they can.
const FLAT_OUT: u32 = 10_000;

/// New orders a second while the backlog drains.
const STEADY: u32 = 20;

const LAST: &str = "SELECT coalesce(max(id), 0) FROM order_outbox";

/// What is left of the backlog: events that were not published, or whose mail was not sent.
const LEFT: &str = "SELECT count(*) FROM order_outbox o
    WHERE o.id <= $1 AND NOT EXISTS (
        SELECT 1 FROM notifications n
        WHERE n.event_id = o.event_id AND n.channel = 'email' AND n.status = 'sent')";

#[tokio::test(flavor = "multi_thread")]
#[expect(
    clippy::print_stdout,
    reason = "the figures are for docs/reliability.md"
)]
async fn a_backlog_drains_while_new_orders_are_taken() {
    let _alone = ALONE.lock().await;
    let plan = Plan::read();
    let size = plan.backlog;
    let mut rig = Rig::start().await;
    let load = Load::start(&rig, FLAT_OUT).await;
    rig.broker.kill();
    load.resume();
    load.reaches(usize::try_from(size).unwrap()).await;
    load.goes_at(STEADY);
    let pool = PgPool::connect(&rig.database_url).await.unwrap();
    let last: i64 = sqlx::query_scalar(LAST).fetch_one(&pool).await.unwrap();
    assert!(last >= i64::try_from(size).unwrap(), "a backlog: {last}");
    rig.broker.start().await;

    let (begun, before) = (Instant::now(), load.answered());
    load.longest_wait();
    load.flows_again(before, plan.recovers).await;
    wait_until("the backlog is gone", Duration::from_secs(1800), || async {
        let left = sqlx::query_scalar(LEFT).bind(last).fetch_one(&pool).await;
        let left: i64 = left.unwrap();
        left == 0
    })
    .await;
    let (took, new) = (begun.elapsed(), load.answered() - before);
    pool.close().await;
    load.pause().await;
    // With those that were under way.
    let longest = load.longest_wait();
    assert!(longest <= plan.recovers, "an order waited {longest:?}");
    let report = check::everything_is_there(&mut rig, &load, 0).await;
    println!(
        "backlog of {last} events drained in {took:.1?}, {new} new orders meanwhile, \
         the longest answered after {longest:.1?}: {report}"
    );
}
