//! The promises of the ports, each a test of its own, on the store of this example.

use std::sync::Arc;

use core_kernel::SystemClock;
use core_orders::testing::contract::Fixture;
use shopflow_example_custom_store::MemoryStore;

/// A fresh store for each promise. A database would get a fresh schema or file here.
async fn fixture() -> Fixture {
    let store = Arc::new(MemoryStore::new(Arc::new(SystemClock)));
    Fixture {
        store: store.clone(),
        outbox: store,
    }
}

core_orders::order_store_contract!(fixture);
