//! What is PostgreSQL's own: migrations that race, constraints, relays side by side, outages.

use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use core_kernel::{
    EventPublisher, OrderId, Outbox, OutboxMessage, PublishError, RequestContext, UserId,
};
use core_orders::testing::{advance, placed};
use core_orders::{OrderStore, Placed, StoreError};
use shopflow_postgres::{PgOrderStore, PgOutbox, Schema, migrate, pool};
use shopflow_testkit::Proxy;

use super::database;

/// Much longer than what is waited for takes.
const SOON: Duration = Duration::from_secs(60);

#[tokio::test]
async fn replicas_that_migrate_together_do_not_race() {
    let url = shopflow_testkit::postgres().await.database().await;
    let replicas: Vec<_> = (0..6)
        .map(|_| {
            let pool = pool(&url, 2, "replica").unwrap();
            tokio::spawn(async move {
                for schema in [Schema::Auth, Schema::Orders, Schema::Notify] {
                    migrate(&pool, schema).await?;
                }
                Ok::<_, shopflow_postgres::MigrateError>(())
            })
        })
        .collect();
    for replica in replicas {
        replica.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_database_that_a_newer_version_migrated_still_serves_the_older() {
    let pool = database(Schema::Orders).await;
    sqlx::query(
        "INSERT INTO shopflow_orders_migrations (version, description, success, checksum, execution_time)
         VALUES (9999, 'from the future', true, '', 0)",
    )
    .execute(&pool)
    .await
    .unwrap();
    migrate(&pool, Schema::Orders).await.unwrap();
}

#[tokio::test]
async fn no_statement_can_break_the_invariants_of_an_order() {
    let pool = database(Schema::Orders).await;
    let order = placed(UserId::generate());
    let store = PgOrderStore::new(pool.clone());
    store
        .insert(&order, &RequestContext::generate())
        .await
        .unwrap();
    let confirm = "UPDATE orders SET status = 'confirmed', confirmed_at = now()";
    let refused = [
        "UPDATE orders SET status = 'lost'",
        // A state has its times and no others.
        "UPDATE orders SET status = 'confirmed'",
        "UPDATE orders SET shipped_at = now()",
        "UPDATE orders SET status = 'confirmed', shipped_at = now()",
        // One step at a time, and none back.
        "UPDATE orders SET status = 'shipped', confirmed_at = now(), shipped_at = now()",
        "UPDATE orders SET status = 'delivered', confirmed_at = now(), shipped_at = now(),
                           delivered_at = now()",
        // Times follow each other.
        "UPDATE orders SET status = 'confirmed', confirmed_at = created_at - interval '1 second'",
        "UPDATE orders SET updated_at = created_at - interval '1 second'",
        "UPDATE orders SET total_amount = 0",
        "UPDATE orders SET total_amount = -1",
        "UPDATE orders SET items = '{}'",
        "UPDATE order_history SET to_status = 'shipped'",
        "UPDATE order_history SET from_status = 'pending', to_status = 'shipped'",
    ];
    for sql in refused {
        assert!(sqlx::query(sql).execute(&pool).await.is_err(), "{sql}");
    }
    sqlx::query(confirm).execute(&pool).await.unwrap();
    for sql in [
        "UPDATE orders SET status = 'pending', confirmed_at = NULL",
        "UPDATE orders SET status = 'shipped', shipped_at = confirmed_at - interval '1 second'",
        "UPDATE orders SET confirmed_at = NULL",
    ] {
        assert!(sqlx::query(sql).execute(&pool).await.is_err(), "{sql}");
    }
}

#[tokio::test]
async fn a_row_that_cannot_be_read_spoils_no_lookup_beside_its_own() {
    let pool = database(Schema::Orders).await;
    let store = PgOrderStore::new(pool.clone());
    let context = RequestContext::generate();
    let (sound, spoiled) = (placed(UserId::generate()), placed(UserId::generate()));
    for order in [&sound, &spoiled] {
        store.insert(order, &context).await.unwrap();
    }
    sqlx::query("UPDATE orders SET items = '[1]' WHERE id = $1")
        .bind(spoiled.order.id.0)
        .execute(&pool)
        .await
        .unwrap();
    let find = |placed: &Placed| store.find(placed.order.id);
    // The first goes alone, and the others together after it.
    let (first, broken, last) = tokio::join!(find(&sound), find(&spoiled), find(&sound));
    for found in [first, last] {
        assert_eq!(found.unwrap().as_ref(), Some(&sound.order));
    }
    assert!(matches!(broken, Err(StoreError::Broken(_))), "{broken:?}");
}

/// Takes everything, slowly enough that several relays are at work at once.
#[derive(Default)]
struct Slow(Mutex<Vec<(OrderId, String)>>);

#[async_trait]
impl EventPublisher for Slow {
    async fn ready(&self) -> Result<(), PublishError> {
        Ok(())
    }

    async fn publish(&self, batch: &[OutboxMessage]) -> Result<Vec<bool>, PublishError> {
        tokio::time::sleep(Duration::from_millis(5)).await;
        let mut taken = self.0.lock().unwrap();
        taken.extend(
            batch
                .iter()
                .map(|m| (OrderId(m.subject), m.event_type.clone())),
        );
        Ok(vec![true; batch.len()])
    }
}

#[tokio::test]
async fn relays_side_by_side_publish_each_event_once_and_in_order() {
    let pool = database(Schema::Orders).await;
    let store = PgOrderStore::new(pool.clone());
    let context = RequestContext::generate();
    for _ in 0..60 {
        let placed = placed(UserId::generate());
        store.insert(&placed, &context).await.unwrap();
        let confirmed = advance(placed.order, "confirmed");
        store.commit(&confirmed, &context).await.unwrap();
        store
            .commit(&advance(confirmed.order, "shipped"), &context)
            .await
            .unwrap();
    }
    let broker = Slow::default();
    let relay = async {
        let outbox = PgOutbox::orders(pool.clone());
        while outbox.backlog().await.unwrap().waiting > 0 {
            outbox.relay(&broker, 7).await.unwrap();
        }
    };
    let relay_too = async {
        let outbox = PgOutbox::orders(pool.clone());
        while outbox.backlog().await.unwrap().waiting > 0 {
            outbox.relay(&broker, 7).await.unwrap();
        }
    };
    tokio::join!(relay, relay_too);
    let taken = broker.0.into_inner().unwrap();
    assert_eq!(taken.len(), 120, "each event once");
    let mut types = std::collections::HashMap::<OrderId, Vec<String>>::new();
    for (order, event_type) in taken {
        types.entry(order).or_default().push(event_type);
    }
    for (order, types) in types {
        assert_eq!(types, ["OrderCreated", "OrderShipped"], "{order}");
    }
}

#[tokio::test]
async fn a_database_that_is_away_is_unavailable_and_comes_back_by_itself() {
    let postgres = shopflow_testkit::postgres().await;
    let url = postgres.database().await;
    let proxy = Proxy::start(&postgres.addr());
    let pool = pool(&proxy.proxied_url(&url), 4, "outage").unwrap();
    migrate(&pool, Schema::Orders).await.unwrap();
    let store = PgOrderStore::new(pool);
    let id = OrderId::generate();
    assert!(store.find(id).await.unwrap().is_none());

    proxy.cut();
    for _ in 0..3 {
        let answer = store.find(id).await;
        assert!(
            matches!(answer, Err(StoreError::Unavailable(_))),
            "{answer:?}"
        );
    }
    proxy.heal();
    shopflow_testkit::wait_until("the store answers", SOON, async || {
        store.find(id).await.is_ok()
    })
    .await;
}

#[tokio::test]
async fn a_connection_that_is_kept_is_known_to_be_idle() {
    let pool = database(Schema::Orders).await;
    let lent = || pool.size() as usize - pool.num_idle();
    // The pool takes a while to take back what made the tables.
    shopflow_testkit::wait_until("the pool has all", SOON, async || lent() == 0).await;
    let store = PgOrderStore::new(pool.clone());
    assert_eq!(store.kept_connections(), 0);
    let order = placed(UserId::generate());
    let done = store.insert(&order, &RequestContext::generate()).await;
    done.unwrap();
    assert_eq!(store.kept_connections(), 1);
    assert_eq!(lent(), 1, "to the pool it is in use");
}
