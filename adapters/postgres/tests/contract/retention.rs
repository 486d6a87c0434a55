//! Retention where several instances share a database.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use core_auth::UserPurge;
use core_kernel::{
    Progress, Retained, RetentionError, RetentionLog, RetentionRuns, RunBy, SystemClock, Tally,
};
use jiff::{SignedDuration, Timestamp};
use shopflow_postgres::{PgRetentionLog, PgUserStore, Schema, migrate, pool, schemas};
use sqlx::PgPool;

use super::database;

/// Takes long enough that others come meanwhile.
#[derive(Default)]
struct Slow(AtomicU64);

#[async_trait]
impl Retained for Slow {
    async fn due(&self, _: Timestamp) -> Result<Tally, RetentionError> {
        Ok(Tally::default())
    }

    async fn run(
        &self,
        _: Timestamp,
        _: &RunBy,
        progress: &dyn Progress,
    ) -> Result<(), RetentionError> {
        self.0.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(Duration::from_millis(50)).await;
        progress.made(Tally::default()).await
    }
}

#[tokio::test]
async fn of_many_instances_with_a_schedule_one_runs() {
    let url = shopflow_testkit::postgres().await.database().await;
    migrate(&pool(&url, 2, "first").unwrap(), Schema::Notify)
        .await
        .unwrap();
    let data = Arc::new(Slow::default());
    let instances: Vec<_> = (0..5)
        .map(|_| {
            let pool = pool(&url, 2, "instance").unwrap();
            let log = Arc::new(PgRetentionLog::new(pool, Schema::Notify));
            let runs = RetentionRuns::new(log, data.clone(), Arc::new(SystemClock));
            tokio::spawn(async move {
                let by = RunBy {
                    id: "retention".to_owned(),
                    role: "service",
                };
                runs.run_every(SignedDuration::from_hours(1), &by).await
            })
        })
        .collect();
    let mut ran = 0;
    for instance in instances {
        ran += usize::from(instance.await.unwrap().unwrap().is_some());
    }
    assert_eq!((ran, data.0.load(Ordering::Relaxed)), (1, 1));
}

#[tokio::test]
async fn a_turn_that_is_dropped_is_given_back() {
    let pool = database(Schema::Orders).await;
    let log = PgRetentionLog::new(pool, Schema::Orders);
    drop(log.turn().await.unwrap().unwrap());
    shopflow_testkit::wait_until("the turn is free", Duration::from_secs(10), async || {
        log.turn().await.unwrap().is_some()
    })
    .await;
}

#[tokio::test]
async fn services_that_share_a_database_run_each_on_their_own() {
    let pool = database(Schema::Auth).await;
    migrate(&pool, Schema::Notify).await.unwrap();
    let found = schemas(&pool).await.unwrap();
    assert_eq!(found, [Schema::Auth, Schema::Notify]);
    let [auth, notify] =
        [Schema::Auth, Schema::Notify].map(|schema| PgRetentionLog::new(pool.clone(), schema));
    let turn = auth.turn().await.unwrap();
    assert!(turn.is_some() && notify.turn().await.unwrap().is_some());
    auth.begin("cli:ada", Timestamp::UNIX_EPOCH).await.unwrap();
    assert_eq!(notify.list(10).await.unwrap(), []);
}

/// The database as it was before retention came, with these accounts.
async fn before_retention(pool: &PgPool) {
    for script in [
        include_str!("../../migrations/auth/0001_users.sql"),
        include_str!("../../migrations/auth/0002_changes.sql"),
        include_str!("../../migrations/auth/0003_revocations.sql"),
        "INSERT INTO users (id, email, password_hash, first_name, last_name, is_active, updated_at)
         VALUES ('00000000-0000-4000-8000-000000000001', 'a@example.com', '', 'A', 'A', false,
                 '2026-03-01T00:00:00Z'),
                ('00000000-0000-4000-8000-000000000002', 'b@example.com', '', 'B', 'B', false,
                 '2026-03-01T00:00:00Z'),
                ('00000000-0000-4000-8000-000000000003', 'c@example.com', '', 'C', 'C', true,
                 '2020-01-01T00:00:00Z');
         INSERT INTO user_audit (user_id, action, actor_id, actor_role, at, request_id, trace_id)
         VALUES ('00000000-0000-4000-8000-000000000001', 'deactivated', 'x', 'admin',
                 '2026-02-01T00:00:00Z', 'r', '')",
    ] {
        sqlx::raw_sql(script).execute(pool).await.unwrap();
    }
}

#[tokio::test]
async fn accounts_deactivated_before_count_from_their_audit_or_their_last_change() {
    let url = shopflow_testkit::postgres().await.database().await;
    let pool = pool(&url, 2, "contract").unwrap();
    before_retention(&pool).await;
    sqlx::raw_sql(include_str!("../../migrations/auth/0020_retention.sql"))
        .execute(&pool)
        .await
        .unwrap();
    let users = PgUserStore::new(pool);
    for (at, due) in [
        ("2026-01-31T00:00:00Z", 0),
        ("2026-02-01T00:00:00Z", 1),
        ("2026-02-28T00:00:00Z", 1),
        ("2026-03-01T00:00:00Z", 2),
        ("2030-01-01T00:00:00Z", 2),
    ] {
        let counted = users.due(at.parse().unwrap()).await.unwrap();
        assert_eq!(counted, due, "{at}");
    }
}
