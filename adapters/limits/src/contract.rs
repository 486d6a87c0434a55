//! What every limiter and every brake promises, here in memory.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use core_auth::LoginThrottle;
use core_auth::testing::throttle;
use core_kernel::testing::contract;
use core_kernel::{Limit, RateLimiter};

use crate::ticks::millis;
use crate::ticks::testing::Manual;
use crate::{MemoryLimiter, MemoryThrottle};

#[derive(Default)]
struct InMemory(Manual);

#[async_trait]
impl contract::Fixture for InMemory {
    fn limiter(&self, limit: Limit) -> Arc<dyn RateLimiter> {
        Arc::new(MemoryLimiter::with_ticks(limit, Arc::new(self.0.clone())))
    }

    async fn pass(&self, time: Duration) {
        self.0.advance(millis(time));
    }
}

struct Brake {
    throttle: Arc<MemoryThrottle>,
    ticks: Manual,
}

#[async_trait]
impl throttle::Fixture for Brake {
    fn throttle(&self) -> Arc<dyn LoginThrottle> {
        self.throttle.clone()
    }

    async fn pass(&self, time: Duration) {
        self.ticks.advance(millis(time));
    }
}

async fn limits() -> InMemory {
    InMemory::default()
}

async fn brake() -> Brake {
    let ticks = Manual::default();
    let throttle = Arc::new(MemoryThrottle::with_ticks(Arc::new(ticks.clone())));
    Brake { throttle, ticks }
}

core_kernel::rate_limiter_contract!(limits);
core_auth::login_throttle_contract!(brake);
