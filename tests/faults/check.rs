//! What must be true once all has been put right.

use std::collections::{HashMap, HashSet};

use shopflow_testkit::wait_until;
use sqlx::PgPool;

use crate::load::Load;
use crate::rig::{Rig, SOON};

const QUEUES: [&str; 2] = ["notifications.order.created", "notifications.order.shipped"];

/// Waits until nothing is under way any more, and compares what customers know with what is stored,
/// published and sent. `poison` dead letters were asked for. A line that sums up.
pub(crate) async fn everything_is_there(rig: &mut Rig, load: &Load, poison: u64) -> String {
    rig.wait_ready().await;
    let pool = PgPool::connect(&rig.database_url).await.unwrap();
    settled(rig, &pool).await;
    orders_are_those_answered(&pool, load).await;
    events_are_one_per_step(&pool, load).await;
    let ambiguous = messages_are_sent_once(rig, &pool).await;
    let dead = depth(rig, ".dlq").await;
    assert_eq!(dead, poison, "dead letters");
    let orders = load.known(|known| known.placed.len());
    let shipped = load.known(|known| known.shipped.len());
    pool.close().await;
    format!("{orders} orders, {shipped} shipped, {ambiguous} ambiguous, {dead} dead letters")
}

async fn number(pool: &PgPool, sql: &'static str) -> i64 {
    sqlx::query_scalar(sql).fetch_one(pool).await.unwrap()
}

async fn depth(rig: &Rig, suffix: &str) -> u64 {
    let mut depth = 0;
    for queue in QUEUES {
        let waiting = rig.vhost.queue_depth(&format!("{queue}{suffix}")).await;
        depth += waiting.expect("the queue is there");
    }
    depth
}

/// Nothing waits in the outbox or in a queue, and every event has its notifications, all sent.
async fn settled(rig: &Rig, pool: &PgPool) {
    let unpublished = "SELECT count(*) FROM order_outbox WHERE published_at IS NULL";
    wait_until("the outbox is empty", SOON, || async {
        number(pool, unpublished).await == 0
    })
    .await;
    let open = "SELECT count(*) FROM order_outbox o JOIN orders d ON d.id = o.subject
        JOIN users u ON u.id = d.user_id WHERE
        (SELECT count(*) FROM notifications n WHERE n.event_id = o.event_id AND n.status = 'sent')
        <> 1 + (u.phone IS NOT NULL)::integer";
    wait_until("every notification is sent", SOON * 3, || async {
        number(pool, open).await == 0
    })
    .await;
    wait_until("the queues are empty", SOON, || async {
        let mut waiting = 0;
        for suffix in ["", ".retry.1s", ".retry.4s", ".retry.16s"] {
            waiting += depth(rig, suffix).await;
        }
        waiting == 0
    })
    .await;
}

/// Every 201 is an order, every order a 201, and no key has two.
async fn orders_are_those_answered(pool: &PgPool, load: &Load) {
    let stored: Vec<String> = sqlx::query_scalar("SELECT id::text FROM orders")
        .fetch_all(pool)
        .await
        .unwrap();
    let stored: HashSet<String> = stored.into_iter().collect();
    load.known(|known| {
        let lost: Vec<_> = known
            .placed
            .keys()
            .filter(|id| !stored.contains(*id))
            .collect();
        assert!(lost.is_empty(), "lost: {lost:?}");
        let doubled: Vec<_> = stored
            .iter()
            .filter(|id| !known.placed.contains_key(*id))
            .collect();
        assert!(doubled.is_empty(), "placed twice: {doubled:?}");
        let keys: HashSet<_> = known.placed.values().collect();
        assert_eq!(keys.len(), known.placed.len(), "one order a key");
    });
}

/// One history entry and, where the PRD has one, one event for each step of each order.
async fn events_are_one_per_step(pool: &PgPool, load: &Load) {
    let (placed, shipped) = load.known(|known| (known.placed.len(), known.shipped.len()));
    let (placed, shipped) = (
        i64::try_from(placed).unwrap(),
        i64::try_from(shipped).unwrap(),
    );
    for (sql, wanted) in [
        ("SELECT count(*) FROM order_history", placed + 2 * shipped),
        (
            "SELECT count(DISTINCT (subject, event_type)) FROM order_outbox",
            placed + shipped,
        ),
        ("SELECT count(*) FROM order_outbox", placed + shipped),
        (
            "SELECT count(*) FROM orders WHERE status = 'shipped'",
            shipped,
        ),
        (
            "SELECT count(*) FROM notifications WHERE channel = 'email'",
            placed + shipped,
        ),
    ] {
        assert_eq!(number(pool, sql).await, wanted, "{sql}");
    }
}

/// Every notification was accepted once; more often only as far as an outcome was unknown. How many
/// were.
async fn messages_are_sent_once(rig: &Rig, pool: &PgPool) -> i64 {
    let mut mails: HashMap<String, i64> = HashMap::new();
    for mail in rig.ses.sent() {
        *mails
            .entry(mail.message.tags["notification_id"].clone())
            .or_default() += 1;
    }
    let rows: Vec<(String, i64)> = sqlx::query_as(
        "SELECT id::text, unknown_outcomes::bigint FROM notifications WHERE channel = 'email'",
    )
    .fetch_all(pool)
    .await
    .unwrap();
    assert_eq!(mails.len(), rows.len(), "a mail for each notification");
    for (id, unknown) in rows {
        let sent = mails.get(&id).copied().unwrap_or_default();
        assert!(sent >= 1, "mail {id} was never sent");
        assert!(sent <= 1 + unknown, "mail {id} was sent {sent} times");
    }
    // Texts carry no id of ours, so they are compared by their number.
    let texts = i64::try_from(rig.twilio.sent().len()).unwrap();
    let wanted = number(
        pool,
        "SELECT count(*) FROM notifications WHERE channel = 'sms'",
    )
    .await;
    let unknown = "SELECT coalesce(sum(unknown_outcomes), 0)::bigint FROM notifications
        WHERE channel = 'sms'";
    let unknown = number(pool, unknown).await;
    assert!(
        (wanted..=wanted + unknown).contains(&texts),
        "{texts} texts for {wanted} notifications, {unknown} of unknown outcome"
    );
    let all = "SELECT coalesce(sum(unknown_outcomes), 0)::bigint FROM notifications";
    number(pool, all).await
}
