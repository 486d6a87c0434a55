//! One runtime in the background for everything that must outlive a single test.

use std::sync::OnceLock;
use tokio::runtime::{Builder, Runtime};

/// The runtime of proxies, fakes and shared servers. Every `#[tokio::test]` has a runtime of its
/// own that ends with it, and may block its only thread; neither must stop these.
pub(crate) fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("testkit")
            .enable_all()
            .build()
            .expect("the runtime of the test kit starts")
    })
}
