//! What every count of orders by age promises. Run it on an adapter with
//! [`order_ages_contract!`](crate::order_ages_contract).

use std::sync::Arc;

use core_kernel::{Clock, RequestContext, SystemClock, UserId};
use jiff::SignedDuration;

use super::{new_order, placed_at};
use crate::ports::OrderStore;
use crate::retention::OrderAges;

/// The count under test, and the store of the same orders.
#[derive(Clone)]
pub struct Fixture {
    /// The count.
    pub ages: Arc<dyn OrderAges>,
    /// Orders.
    pub store: Arc<dyn OrderStore>,
}

/// Makes one `#[tokio::test]` of each promise. `$fixture` is an `async fn() -> Fixture`.
#[macro_export]
macro_rules! order_ages_contract {
    ($fixture:path) => {
        #[tokio::test]
        async fn orders_are_counted_that_were_placed_before_a_time() {
            let fixture = $fixture().await;
            $crate::testing::retention::orders_are_counted_that_were_placed_before_a_time(fixture)
                .await;
        }
    };
}

/// The time itself is not before it.
pub async fn orders_are_counted_that_were_placed_before_a_time(fixture: Fixture) {
    let at = SystemClock.now();
    for second in 0..3 {
        let new = new_order(&[(1, "1.00")]).expect("an order");
        let at = at + SignedDuration::from_secs(second);
        let placed = placed_at(new, UserId::generate(), at);
        let context = RequestContext::generate();
        fixture
            .store
            .insert(&placed, &context)
            .await
            .expect("an insert");
    }
    for (second, count) in [(0, 0), (1, 1), (2, 2), (3, 3)] {
        let before = at + SignedDuration::from_secs(second);
        let counted = fixture.ages.placed_before(before).await;
        assert_eq!(counted.expect("a count"), count);
    }
}
