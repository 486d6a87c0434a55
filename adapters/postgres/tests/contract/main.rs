//! The contract suites of all three cores on PostgreSQL, and what only PostgreSQL promises.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on says where it stopped"
)]

mod attempts;
mod keys;
mod postgres;
mod relay;
mod retention;
mod revocations;
mod totals;
mod warm;

use std::sync::Arc;

use shopflow_postgres::{
    PgDeadLetterLog, PgNotificationStore, PgOneTimeStore, PgOrderStore, PgOutbox, PgRetentionLog,
    PgSessionStore, PgUserStore, Schema, migrate, pool,
};
use sqlx::PgPool;

/// A fresh database with one service's tables.
async fn database(schema: Schema) -> PgPool {
    let url = shopflow_testkit::postgres().await.database().await;
    let pool = pool(&url, 20, "contract").unwrap();
    migrate(&pool, schema).await.unwrap();
    pool
}

mod orders {
    use super::*;

    async fn fixture() -> core_orders::testing::contract::Fixture {
        let pool = database(Schema::Orders).await;
        core_orders::testing::contract::Fixture {
            store: Arc::new(PgOrderStore::new(pool.clone())),
            outbox: Arc::new(PgOutbox::orders(pool)),
        }
    }

    core_orders::order_store_contract!(fixture);

    async fn trail() -> core_orders::testing::trail::Fixture {
        let pool = database(Schema::Orders).await;
        core_orders::testing::trail::Fixture {
            trail: Arc::new(PgOrderStore::new(pool.clone())),
            store: Arc::new(PgOrderStore::new(pool.clone())),
            outbox: Arc::new(PgOutbox::orders(pool)),
        }
    }

    core_orders::order_trail_contract!(trail);

    async fn ledger() -> core_orders::testing::ledger::Fixture {
        let pool = database(Schema::Orders).await;
        core_orders::testing::ledger::Fixture {
            ledger: Arc::new(PgOrderStore::new(pool.clone())),
            store: Arc::new(PgOrderStore::new(pool.clone())),
            outbox: Arc::new(PgOutbox::orders(pool)),
        }
    }

    core_orders::order_ledger_contract!(ledger);
}

mod auth {
    use super::*;

    async fn fixture() -> core_auth::testing::contract::Fixture {
        let pool = database(Schema::Auth).await;
        core_auth::testing::contract::Fixture {
            users: Arc::new(PgUserStore::new(pool.clone())),
            sessions: Arc::new(PgSessionStore::new(pool.clone())),
            one_time: Arc::new(PgOneTimeStore::new(pool.clone())),
            outbox: Arc::new(PgOutbox::users(pool)),
        }
    }

    core_auth::auth_store_contract!(fixture);
}

mod notify {
    use super::*;

    async fn fixture() -> core_notify::testing::contract::Fixture {
        Arc::new(PgNotificationStore::new(database(Schema::Notify).await))
    }

    core_notify::notification_store_contract!(fixture);

    async fn ledger() -> core_notify::testing::ledger::Fixture {
        let pool = database(Schema::Notify).await;
        core_notify::testing::ledger::Fixture {
            ledger: Arc::new(PgNotificationStore::new(pool.clone())),
            store: Arc::new(PgNotificationStore::new(pool)),
        }
    }

    core_notify::notification_ledger_contract!(ledger);
}

mod letting_go {
    use super::*;

    async fn log() -> core_kernel::retention_contract::Fixture {
        let pool = database(Schema::Auth).await;
        [(); 2].map(|()| Arc::new(PgRetentionLog::new(pool.clone(), Schema::Auth)) as _)
    }

    core_kernel::retention_log_contract!(log);

    async fn users() -> core_auth::testing::retention::Fixture {
        let pool = database(Schema::Auth).await;
        core_auth::testing::retention::Fixture {
            purge: Arc::new(PgUserStore::new(pool.clone())),
            users: Arc::new(PgUserStore::new(pool.clone())),
            sessions: Arc::new(PgSessionStore::new(pool)),
        }
    }

    core_auth::user_purge_contract!(users);

    async fn orders() -> core_orders::testing::retention::Fixture {
        let pool = database(Schema::Orders).await;
        core_orders::testing::retention::Fixture {
            ages: Arc::new(PgOrderStore::new(pool.clone())),
            store: Arc::new(PgOrderStore::new(pool)),
        }
    }

    core_orders::order_ages_contract!(orders);

    async fn notifications() -> core_notify::testing::retention::Fixture {
        let pool = database(Schema::Notify).await;
        core_notify::testing::retention::Fixture {
            retirement: Arc::new(PgNotificationStore::new(pool.clone())),
            store: Arc::new(PgNotificationStore::new(pool)),
        }
    }

    core_notify::notification_retirement_contract!(notifications);
}

mod dead_letter_log {
    use super::*;

    async fn fixture() -> core_notify::testing::dead_letter_log::Fixture {
        let pool = database(Schema::Notify).await;
        Arc::new(PgDeadLetterLog::new(pool))
    }

    core_notify::dead_letter_log_contract!(fixture);
}
