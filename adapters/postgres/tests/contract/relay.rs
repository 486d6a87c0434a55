//! Relays and their outbox on PostgreSQL: side by side, on a broker that never answers, and after
//! years.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use core_kernel::{
    EventPublisher, Outbox, OutboxMessage, PublishError, RelayError, RequestContext, UserId,
};
use core_orders::OrderStore;
use core_orders::testing::placed;
use shopflow_postgres::{PgOrderStore, PgOutbox, Schema};
use sqlx::PgPool;

use super::database;

struct Takes;

#[async_trait]
impl EventPublisher for Takes {
    async fn ready(&self) -> Result<(), PublishError> {
        Ok(())
    }

    async fn publish(&self, batch: &[OutboxMessage]) -> Result<Vec<bool>, PublishError> {
        Ok(vec![true; batch.len()])
    }
}

/// Has taken the batch and says nothing, for ever.
struct Hangs;

#[async_trait]
impl EventPublisher for Hangs {
    async fn ready(&self) -> Result<(), PublishError> {
        Ok(())
    }

    async fn publish(&self, _: &[OutboxMessage]) -> Result<Vec<bool>, PublishError> {
        std::future::pending().await
    }
}

async fn place(pool: &PgPool, count: usize) {
    let store = PgOrderStore::new(pool.clone());
    for _ in 0..count {
        let placed = placed(UserId::generate());
        let context = RequestContext::generate();
        store.insert(&placed, &context).await.unwrap();
    }
}

async fn count(pool: &PgPool, sql: &'static str) -> i64 {
    sqlx::query_scalar(sql).fetch_one(pool).await.unwrap()
}

#[tokio::test]
async fn a_broker_that_never_answers_holds_no_transaction_open_beyond_its_deadline() {
    let pool = database(Schema::Orders).await;
    place(&pool, 1).await;
    let outbox = PgOutbox::orders(pool.clone());
    let began = Instant::now();
    let pass = outbox.relay(&Hangs, 10).await;
    assert!(matches!(pass, Err(RelayError::Store(_))), "{pass:?}");
    assert!(began.elapsed() < Duration::from_secs(60));
    shopflow_testkit::wait_until("the rows are free", Duration::from_secs(30), async || {
        outbox.relay(&Takes, 10).await.unwrap().published == 1
    })
    .await;
}

#[tokio::test]
async fn pruning_removes_what_was_published_long_ago_and_nothing_else() {
    let pool = database(Schema::Orders).await;
    let outbox = PgOutbox::orders(pool.clone());
    place(&pool, 3).await;
    outbox.relay(&Takes, 10).await.unwrap();
    let age = "UPDATE order_outbox SET published_at = published_at - interval '7 days'";
    sqlx::query(age).execute(&pool).await.unwrap();
    place(&pool, 2).await;
    outbox.relay(&Takes, 1).await.unwrap();
    let until = core_kernel::Clock::now(&core_kernel::SystemClock) - core_kernel::KEEP_PUBLISHED;

    let mut other = pool.begin().await.unwrap();
    sqlx::query(
        "SELECT id FROM order_outbox WHERE published_at IS NOT NULL ORDER BY id LIMIT 1 FOR UPDATE",
    )
    .execute(&mut *other)
    .await
    .unwrap();
    assert_eq!(
        outbox.prune(until, 10).await.unwrap(),
        2,
        "past the other's"
    );
    other.rollback().await.unwrap();
    assert_eq!(outbox.prune(until, 10).await.unwrap(), 1);
    let published = "SELECT count(*) FROM order_outbox WHERE published_at IS NOT NULL";
    assert_eq!(count(&pool, published).await, 1);
    assert_eq!(count(&pool, "SELECT count(*) FROM order_outbox").await, 2);
}
