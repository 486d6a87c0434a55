//! Connections that stores keep from one statement to the next.

use std::time::Duration;

use core_kernel::{RequestContext, UserId};
use core_orders::OrderStore;
use core_orders::testing::{advance, placed};
use shopflow_postgres::{PgOrderStore, Schema, migrate, pool};
use shopflow_testkit::Proxy;
use sqlx::PgPool;
use tokio::task::JoinSet;

/// The fewest of which some are kept.
const CONNECTIONS: u32 = 10;

async fn few() -> PgPool {
    let url = shopflow_testkit::postgres().await.database().await;
    let pool = pool(&url, CONNECTIONS, "warm").unwrap();
    migrate(&pool, Schema::Orders).await.unwrap();
    pool
}

async fn waiting(pool: &PgPool) -> i64 {
    let waiting = sqlx::query_scalar(
        "SELECT count(*) FROM pg_stat_activity
         WHERE datname = current_database() AND wait_event_type = 'Lock'",
    );
    waiting.fetch_one(pool).await.unwrap()
}

#[tokio::test]
async fn more_statements_than_connections_wait_for_their_turn() {
    let pool = few().await;
    let store = PgOrderStore::new(pool.clone());
    let placed = placed(UserId::generate());
    let context = RequestContext::generate();
    store.insert(&placed, &context).await.unwrap();
    let mut all = JoinSet::new();
    for _ in 0..3 * CONNECTIONS {
        let (store, id) = (store.clone(), placed.order.id);
        all.spawn(async move { store.find(id).await.unwrap().unwrap() });
    }
    for found in all.join_all().await {
        assert_eq!(found, placed.order);
    }
    // And the pool still has one for others.
    pool.begin().await.unwrap().rollback().await.unwrap();
}

#[tokio::test]
async fn a_statement_that_was_given_up_leaves_no_answer_to_the_next() {
    let pool = few().await;
    let store = PgOrderStore::new(pool.clone());
    let (one, other) = (placed(UserId::generate()), placed(UserId::generate()));
    let context = RequestContext::generate();
    for placed in [&one, &other] {
        store.insert(placed, &context).await.unwrap();
    }
    let mut held = pool.begin().await.unwrap();
    let lock = sqlx::query("SELECT FROM orders WHERE id = $1 FOR UPDATE").bind(one.order.id.0);
    lock.execute(&mut *held).await.unwrap();

    let change = advance(one.order.clone(), "confirmed");
    let (slow, of) = (store.clone(), context.clone());
    let given_up = tokio::spawn(async move { slow.commit(&change, &of).await });
    let held_up = async || waiting(&pool).await == 1;
    shopflow_testkit::wait_until("the change waits", Duration::from_secs(10), held_up).await;
    given_up.abort();
    held.rollback().await.unwrap();

    for _ in 0..20 {
        let found = store.find(other.order.id).await.unwrap().unwrap();
        assert_eq!(found, other.order);
    }
}

#[tokio::test]
async fn one_lost_connection_is_enough_to_doubt_the_others() {
    let url = shopflow_testkit::postgres().await.database().await;
    let link = Proxy::for_url(&url);
    let pool = pool(&link.proxied_url(&url), CONNECTIONS, "warm").unwrap();
    migrate(&pool, Schema::Orders).await.unwrap();
    let store = PgOrderStore::new(pool);
    let placed = placed(UserId::generate());
    let context = RequestContext::generate();
    store.insert(&placed, &context).await.unwrap();
    let mut all = JoinSet::new();
    for _ in 0..20 {
        let (store, id) = (store.clone(), placed.order.id);
        all.spawn(async move { store.find(id).await.unwrap() });
    }
    all.join_all().await;
    link.cut();
    link.heal();
    let mut lost = 0;
    for _ in 0..10 {
        lost += usize::from(store.find(placed.order.id).await.is_err());
    }
    // The first finds out; what the pool itself would have trusted is tried after that.
    assert!(lost <= 1, "{lost} statements failed");
}
