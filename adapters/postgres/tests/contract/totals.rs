//! The totals of long lists.

use core_kernel::{PageRequest, RequestContext, UserId, UserScope};
use core_orders::testing::placed;
use core_orders::{OrderFilter, OrderSort, OrderStore};
use shopflow_postgres::{PgOrderStore, Schema};
use sqlx::PgPool;

use super::database;

/// Enough that a list of them is not counted anew each time.
const MANY: u32 = 10_000;

/// So many orders of one customer from a time before the last minute.
async fn old_orders(pool: &PgPool, user: UserId) {
    let fill = "
        INSERT INTO orders (id, user_id, items, shipping_address, total_amount, created_at, updated_at)
        SELECT gen_random_uuid(), $1, '[]', '{}', 1, at, at
        FROM (SELECT now() - (n + 120) * interval '1 second' AS at
              FROM generate_series(1, $2) AS n) AS made";
    let filled = sqlx::query(fill).bind(user.0).bind(MANY.cast_signed());
    filled.execute(pool).await.unwrap();
}

async fn total(store: &PgOrderStore, scope: UserScope, page: u32) -> u64 {
    let filter = OrderFilter {
        scope,
        status: None,
    };
    let page = PageRequest { page, limit: 20 };
    let listed = store.list(filter, OrderSort::default(), page).await;
    listed.unwrap().total
}

#[tokio::test]
async fn the_total_of_a_long_list_has_every_order_placed_since_it_was_counted() {
    let pool = database(Schema::Orders).await;
    let (store, user) = (PgOrderStore::new(pool.clone()), UserId::generate());
    old_orders(&pool, user).await;
    let many = u64::from(MANY);
    let (ours, all) = (UserScope::One(user), UserScope::All);
    assert_eq!(total(&store, ours, 1).await, many);
    assert_eq!(total(&store, all, 1).await, many);
    let context = RequestContext::generate();
    store.insert(&placed(user), &context).await.unwrap();
    let other = placed(UserId::generate());
    store.insert(&other, &context).await.unwrap();
    for page in [1, 2, 400, 4000] {
        assert_eq!(total(&store, ours, page).await, many + 1, "page {page}");
        assert_eq!(total(&store, all, page).await, many + 2, "page {page}");
    }
}

#[tokio::test]
async fn what_was_counted_of_a_long_list_is_not_counted_again() {
    let pool = database(Schema::Orders).await;
    let (store, user) = (PgOrderStore::new(pool.clone()), UserId::generate());
    old_orders(&pool, user).await;
    let ours = UserScope::One(user);
    assert_eq!(total(&store, ours, 1).await, u64::from(MANY));
    // What nobody does but retention, after years, shows that nothing was counted.
    sqlx::query("DELETE FROM orders")
        .execute(&pool)
        .await
        .unwrap();
    assert_eq!(total(&store, ours, 1).await, u64::from(MANY));
    let fresh = PgOrderStore::new(pool);
    assert_eq!(total(&fresh, ours, 1).await, 0);
}

#[tokio::test]
async fn each_page_of_a_long_list_has_the_orders_of_its_place() {
    let pool = database(Schema::Orders).await;
    let (store, user) = (PgOrderStore::new(pool.clone()), UserId::generate());
    old_orders(&pool, user).await;
    let filter = OrderFilter {
        scope: UserScope::One(user),
        status: None,
    };
    // Counted the first time, and by what was counted then; near the begin, and far from it.
    for (page, descending) in [(1i32, true), (1, true), (3, true), (3, false), (500, true)] {
        let order = if descending { "DESC" } else { "ASC" };
        let ids = format!(
            "SELECT id FROM orders ORDER BY created_at {order}, id {order} OFFSET $1 LIMIT 20"
        );
        let wanted: Vec<uuid::Uuid> = sqlx::query_scalar(sqlx::AssertSqlSafe(ids))
            .bind((page - 1) * 20)
            .fetch_all(&pool)
            .await
            .unwrap();
        let sort = OrderSort {
            descending,
            ..OrderSort::default()
        };
        let request = PageRequest {
            page: page.unsigned_abs(),
            limit: 20,
        };
        let listed = store.list(filter, sort, request).await.unwrap();
        let listed: Vec<uuid::Uuid> = listed.items.iter().map(|order| order.id.0).collect();
        assert_eq!(listed, wanted, "page {page}, {order}");
    }
}
