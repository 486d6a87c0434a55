//! The contract suites of all cores on SQLite, in a file and in memory, and what only the embedded
//! adapter promises.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on says where it stopped"
)]

mod bus;
mod embedded;
mod inbox;
mod retention;

use shopflow_embedded::Database;

/// The suites on databases that `$open` makes.
macro_rules! suites {
    ($open:path) => {
        mod orders {
            use std::sync::Arc;

            async fn fixture() -> core_orders::testing::contract::Fixture {
                let database = $open().await;
                core_orders::testing::contract::Fixture {
                    store: Arc::new(database.orders()),
                    outbox: Arc::new(database.outbox()),
                }
            }

            core_orders::order_store_contract!(fixture);

            async fn trail() -> core_orders::testing::trail::Fixture {
                let database = $open().await;
                core_orders::testing::trail::Fixture {
                    trail: Arc::new(database.orders()),
                    store: Arc::new(database.orders()),
                    outbox: Arc::new(database.outbox()),
                }
            }

            core_orders::order_trail_contract!(trail);

            async fn ledger() -> core_orders::testing::ledger::Fixture {
                let database = $open().await;
                core_orders::testing::ledger::Fixture {
                    ledger: Arc::new(database.orders()),
                    store: Arc::new(database.orders()),
                    outbox: Arc::new(database.outbox()),
                }
            }

            core_orders::order_ledger_contract!(ledger);
        }

        mod auth {
            use std::sync::Arc;

            async fn fixture() -> core_auth::testing::contract::Fixture {
                let database = $open().await;
                core_auth::testing::contract::Fixture {
                    users: Arc::new(database.users()),
                    sessions: Arc::new(database.sessions()),
                    one_time: Arc::new(database.one_time_tokens()),
                    outbox: Arc::new(database.outbox()),
                }
            }

            core_auth::auth_store_contract!(fixture);
        }

        mod notify {
            use std::sync::Arc;

            async fn fixture() -> core_notify::testing::contract::Fixture {
                Arc::new($open().await.notifications())
            }

            core_notify::notification_store_contract!(fixture);

            async fn ledger() -> core_notify::testing::ledger::Fixture {
                let database = $open().await;
                core_notify::testing::ledger::Fixture {
                    ledger: Arc::new(database.notifications()),
                    store: Arc::new(database.notifications()),
                }
            }

            core_notify::notification_ledger_contract!(ledger);
        }

        mod dead_letter_log {
            use std::sync::Arc;

            async fn fixture() -> core_notify::testing::dead_letter_log::Fixture {
                Arc::new($open().await.bus())
            }

            core_notify::dead_letter_log_contract!(fixture);
        }

        mod letting_go {
            use std::sync::Arc;

            async fn log() -> core_kernel::retention_contract::Fixture {
                let database = $open().await;
                [(); 2].map(|()| Arc::new(database.retention_log("auth")) as _)
            }

            core_kernel::retention_log_contract!(log);

            async fn users() -> core_auth::testing::retention::Fixture {
                let database = $open().await;
                core_auth::testing::retention::Fixture {
                    purge: Arc::new(database.users()),
                    users: Arc::new(database.users()),
                    sessions: Arc::new(database.sessions()),
                }
            }

            core_auth::user_purge_contract!(users);

            async fn orders() -> core_orders::testing::retention::Fixture {
                let database = $open().await;
                core_orders::testing::retention::Fixture {
                    ages: Arc::new(database.orders()),
                    store: Arc::new(database.orders()),
                }
            }

            core_orders::order_ages_contract!(orders);

            async fn notifications() -> core_notify::testing::retention::Fixture {
                let database = $open().await;
                core_notify::testing::retention::Fixture {
                    retirement: Arc::new(database.notifications()),
                    store: Arc::new(database.notifications()),
                }
            }

            core_notify::notification_retirement_contract!(notifications);
        }
    };
}

mod in_a_file {
    suites!(crate::file);
}

mod in_memory {
    suites!(crate::memory);
}

/// A fresh database in a file of its own, which goes when the process does.
async fn file() -> Database {
    let folder = tempfile::tempdir().unwrap().keep();
    Database::open(&folder.join("shopflow.db")).await.unwrap()
}

async fn memory() -> Database {
    Database::in_memory().await.unwrap()
}
