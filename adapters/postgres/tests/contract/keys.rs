//! Idempotency keys on PostgreSQL: requests to several instances at once, and calls that die.

use std::time::Duration;

use core_kernel::{RequestContext, UserId};
use core_orders::testing::placed;
use core_orders::{Fingerprint, IdempotencyKey, KeyedRequest, Once, OrderStore};
use shopflow_postgres::PgOrderStore;
use sqlx::{PgPool, Postgres, Transaction};

use super::database;
use shopflow_postgres::Schema;

fn request() -> KeyedRequest {
    KeyedRequest {
        key: IdempotencyKey::parse("key").unwrap(),
        fingerprint: Fingerprint([1; 32]),
    }
}

async fn insert(pool: &PgPool, user: UserId) -> Result<Once, core_orders::StoreError> {
    let store = PgOrderStore::new(pool.clone());
    let context = RequestContext::generate();
    store.insert_once(&placed(user), &request(), &context).await
}

/// Holds the row of the user's key, so that the first request with it gets no further.
async fn hold(pool: &PgPool, user: UserId) -> Transaction<'static, Postgres> {
    let mut held = pool.begin().await.unwrap();
    sqlx::query(
        "INSERT INTO order_keys (user_id, key, fingerprint, order_id, created_at)
         VALUES ($1, 'key', $2, $1, now())",
    )
    .bind(user.0)
    .bind(vec![2_u8; 32])
    .execute(&mut *held)
    .await
    .unwrap();
    held
}

/// Waits until a request waits for the row.
async fn is_held(pool: &PgPool) {
    shopflow_testkit::wait_until("a request waits", Duration::from_secs(10), async || {
        let waiting: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM pg_stat_activity
             WHERE datname = current_database() AND wait_event_type = 'Lock'",
        )
        .fetch_one(pool)
        .await
        .unwrap();
        waiting == 1
    })
    .await;
}

async fn orders(pool: &PgPool) -> i64 {
    let count = sqlx::query_scalar("SELECT count(*) FROM orders");
    count.fetch_one(pool).await.unwrap()
}

#[tokio::test]
async fn while_one_instance_works_on_a_key_another_is_told_so_at_once() {
    let pool = database(Schema::Orders).await;
    let user = UserId::generate();
    let held = hold(&pool, user).await;
    let first = tokio::spawn({
        let pool = pool.clone();
        async move { insert(&pool, user).await }
    });
    is_held(&pool).await;
    let told = tokio::time::timeout(Duration::from_secs(10), insert(&pool, user));
    let told = told.await.expect("it does not wait for the first");
    assert_eq!(told.unwrap(), Once::InFlight);
    let other = insert(&pool, UserId::generate()).await.unwrap();
    assert_eq!(other, Once::Inserted, "another user's key is another key");

    held.rollback().await.unwrap();
    assert_eq!(first.await.unwrap().unwrap(), Once::Inserted);
    assert!(matches!(insert(&pool, user).await, Ok(Once::Known(_))));
    assert_eq!(orders(&pool).await, 2);
}

#[tokio::test]
async fn a_key_that_is_recorded_while_a_request_waits_for_it_is_found() {
    let pool = database(Schema::Orders).await;
    let user = UserId::generate();
    let held = hold(&pool, user).await;
    let late = tokio::spawn({
        let pool = pool.clone();
        async move { insert(&pool, user).await }
    });
    is_held(&pool).await;
    // The row that is committed now is younger than the statement that waits for it.
    held.commit().await.unwrap();
    assert_eq!(late.await.unwrap().unwrap(), Once::Reused);
    assert_eq!(orders(&pool).await, 0);
}

#[tokio::test]
async fn a_call_that_dies_leaves_its_key_free() {
    let pool = database(Schema::Orders).await;
    let user = UserId::generate();
    let held = hold(&pool, user).await;
    let first = tokio::spawn({
        let pool = pool.clone();
        async move { insert(&pool, user).await }
    });
    is_held(&pool).await;
    sqlx::query(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE datname = current_database() AND wait_event_type = 'Lock'",
    )
    .execute(&pool)
    .await
    .unwrap();
    assert!(first.await.unwrap().is_err());
    // The client learns of it a moment before the server has let go of everything.
    shopflow_testkit::wait_until("the lock is free", Duration::from_secs(10), async || {
        let locks = "SELECT count(*) FROM pg_locks JOIN pg_database d ON d.oid = database
                     WHERE locktype = 'advisory' AND datname = current_database()";
        let held: i64 = sqlx::query_scalar(locks).fetch_one(&pool).await.unwrap();
        held == 0
    })
    .await;
    held.rollback().await.unwrap();
    assert_eq!(insert(&pool, user).await.unwrap(), Once::Inserted);
    assert_eq!(orders(&pool).await, 1);
}

#[tokio::test]
async fn pruning_leaves_alone_what_another_is_pruning() {
    let pool = database(Schema::Orders).await;
    let store = PgOrderStore::new(pool.clone());
    let placed = placed(UserId::generate());
    let (request, context) = (request(), RequestContext::generate());
    let once = store.insert_once(&placed, &request, &context).await;
    assert_eq!(once.unwrap(), Once::Inserted);

    let mut other = pool.begin().await.unwrap();
    sqlx::query("SELECT key FROM order_keys FOR UPDATE")
        .execute(&mut *other)
        .await
        .unwrap();
    let until = placed.order.created_at;
    assert_eq!(store.prune_keys(until, 10).await.unwrap(), 0);
    other.rollback().await.unwrap();
    assert_eq!(store.prune_keys(until, 10).await.unwrap(), 1);
}
