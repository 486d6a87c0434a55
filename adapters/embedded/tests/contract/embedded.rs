//! What is SQLite's own: the file, its version, its constraints.

use core_kernel::{EventId, RequestContext, UserId};
use core_notify::testing::draft;
use core_notify::{AttemptOutcome, Channel, Claim, NotificationStore};
use core_orders::OrderStore;
use core_orders::testing::placed;
use shopflow_embedded::{Database, OpenError};
use sqlx::{Connection, SqliteConnection};

/// The file of a database with an order in it, closed again.
async fn with_an_order(folder: &std::path::Path) -> (String, core_kernel::OrderId) {
    let file = folder.join("shopflow.db");
    let database = Database::open(&file).await.unwrap();
    let placed = placed(UserId::generate());
    let context = RequestContext::generate();
    database.orders().insert(&placed, &context).await.unwrap();
    database.close().await;
    (format!("sqlite://{}", file.display()), placed.order.id)
}

#[tokio::test]
async fn what_was_written_is_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let (_, id) = with_an_order(folder.path()).await;
    let again = Database::open(&folder.path().join("shopflow.db"))
        .await
        .unwrap();
    assert!(again.orders().find(id).await.unwrap().is_some());
}

#[tokio::test]
async fn a_file_of_a_newer_version_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let (url, _) = with_an_order(folder.path()).await;
    let mut sql = SqliteConnection::connect(&url).await.unwrap();
    sqlx::query(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         VALUES (9999, 'from the future', true, x'', 0)",
    )
    .execute(&mut sql)
    .await
    .unwrap();
    let refused = Database::open(&folder.path().join("shopflow.db")).await;
    assert!(matches!(refused, Err(OpenError::Newer)), "{refused:?}");
}

#[tokio::test]
async fn who_only_looks_is_told_of_missing_scripts_and_applies_none() {
    let folder = tempfile::tempdir().unwrap();
    let (url, id) = with_an_order(folder.path()).await;
    let file = folder.path().join("shopflow.db");
    let (looking, missing) = Database::look(&file).await.unwrap();
    assert_eq!(missing, Vec::<i64>::new());
    assert!(looking.orders().find(id).await.unwrap().is_some());
    let placed = placed(UserId::generate());
    let context = RequestContext::generate();
    let written = looking.orders().insert(&placed, &context).await;
    assert!(written.is_err(), "{written:?}");
    looking.close().await;

    let mut sql = SqliteConnection::connect(&url).await.unwrap();
    let forgotten = "DELETE FROM _sqlx_migrations WHERE version IN (60, 70)";
    sqlx::query(forgotten).execute(&mut sql).await.unwrap();
    for _ in 0..2 {
        let (looking, missing) = Database::look(&file).await.unwrap();
        assert_eq!(missing, [60, 70]);
        looking.close().await;
    }
    let altered = "UPDATE _sqlx_migrations SET checksum = x'' WHERE version = 50";
    sqlx::query(altered).execute(&mut sql).await.unwrap();
    let refused = Database::look(&file).await.map(drop);
    assert!(
        matches!(refused, Err(OpenError::Migration(_))),
        "{refused:?}"
    );
    assert!(Database::look(&folder.path().join("none")).await.is_err());
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("shopflow.db");
    let text = "a letter to grandmother, longer than the head of a database file ".repeat(20);
    std::fs::write(&file, &text).unwrap();
    let refused = Database::open(&file).await;
    assert!(
        matches!(refused, Err(OpenError::Unusable(_))),
        "{refused:?}"
    );
    assert_eq!(std::fs::read_to_string(&file).unwrap(), text);
}

#[tokio::test]
async fn commits_are_durable_and_readers_do_not_wait() {
    let folder = tempfile::tempdir().unwrap();
    let (url, _) = with_an_order(folder.path()).await;
    let mut sql = SqliteConnection::connect(&url).await.unwrap();
    let mode: String = sqlx::query_scalar("PRAGMA journal_mode")
        .fetch_one(&mut sql)
        .await
        .unwrap();
    assert_eq!(mode, "wal");
}

#[tokio::test]
async fn no_statement_can_break_the_invariants_of_an_order() {
    let folder = tempfile::tempdir().unwrap();
    let (url, _) = with_an_order(folder.path()).await;
    let mut sql = SqliteConnection::connect(&url).await.unwrap();
    for statement in [
        "UPDATE orders SET status = 'lost'",
        // A state has its times and no others.
        "UPDATE orders SET status = 'confirmed'",
        "UPDATE orders SET shipped_at = created_at",
        "UPDATE orders SET status = 'confirmed', shipped_at = created_at",
        // One step at a time, and none back.
        "UPDATE orders SET status = 'shipped', confirmed_at = created_at, shipped_at = created_at",
        "UPDATE orders SET status = 'delivered', confirmed_at = created_at,
                           shipped_at = created_at, delivered_at = created_at",
        // Times follow each other.
        "UPDATE orders SET status = 'confirmed', confirmed_at = created_at - 1",
        "UPDATE orders SET updated_at = created_at - 1",
        "UPDATE orders SET total_amount = '0.00'",
        "UPDATE orders SET total_amount = '-1.00'",
        "UPDATE orders SET items = 'none'",
        "UPDATE orders SET items = '{}'",
        "INSERT INTO orders (id, user_id, status, items, shipping_address, total_amount, currency,
                             created_at, updated_at)
         VALUES (x'00', x'00', 'pending', '[]', '{}', '0', 'USD', 1, 1)",
        "INSERT INTO orders (id, user_id, status, items, shipping_address, total_amount, currency,
                             created_at, updated_at)
         VALUES (x'00', x'00', 'pending', '[]', '{}', '1', 'USD', 1, 0)",
        "UPDATE order_history SET to_status = 'shipped'",
        "INSERT INTO order_history (order_id, from_status, to_status, actor_id, actor_role, at,
                                    request_id, trace_id)
         VALUES (x'00', 'pending', 'shipped', 'a', 'admin', 1, 'r', 't')",
    ] {
        let refused = sqlx::query(statement).execute(&mut sql).await;
        assert!(refused.is_err(), "{statement}");
    }
    let confirm = "UPDATE orders SET status = 'confirmed', confirmed_at = created_at + 5";
    sqlx::query(confirm).execute(&mut sql).await.unwrap();
    for statement in [
        "UPDATE orders SET status = 'pending', confirmed_at = NULL",
        "UPDATE orders SET status = 'shipped', shipped_at = confirmed_at - 1",
        "UPDATE orders SET confirmed_at = NULL",
    ] {
        let refused = sqlx::query(statement).execute(&mut sql).await;
        assert!(refused.is_err(), "{statement}");
    }
}

#[tokio::test]
async fn two_databases_in_memory_share_nothing() {
    let (one, other) = (crate::memory().await, crate::memory().await);
    let placed = placed(UserId::generate());
    let context = RequestContext::generate();
    one.orders().insert(&placed, &context).await.unwrap();
    let id = placed.order.id;
    assert!(one.orders().find(id).await.unwrap().is_some());
    assert!(other.orders().find(id).await.unwrap().is_none());
}

#[tokio::test]
async fn a_claim_that_ended_by_itself_is_a_lost_attempt() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("shopflow.db");
    let store = Database::open(&file).await.unwrap().notifications();
    let url = format!("sqlite://{}", file.display());
    let mut sql = SqliteConnection::connect(&url).await.unwrap();
    let draft = draft(EventId::generate(), UserId::generate(), Channel::Email);
    let drafts = std::slice::from_ref(&draft);
    for number in 1..=3 {
        let claims = match number {
            2 => store.reclaim(draft.event_id, false).await.unwrap(),
            _ => store.enqueue(drafts).await.unwrap(),
        };
        assert!(matches!(claims[0], Claim::Send(_)), "{claims:?}");
        let told = store.attempts(draft.id).await.unwrap();
        let lost: Vec<_> = told
            .iter()
            .map(|one| (one.number, one.outcome, one.ended_at))
            .collect();
        let wanted = (1..number).map(|number| (number, AttemptOutcome::Lost, None));
        assert_eq!(lost, wanted.collect::<Vec<_>>());
        // As 15 s after a crash.
        sqlx::query("UPDATE notifications SET lease_until = 1")
            .execute(&mut sql)
            .await
            .unwrap();
    }
}
