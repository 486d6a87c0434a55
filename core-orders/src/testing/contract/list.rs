//! Of lists of orders by page.

use std::collections::HashSet;
use std::time::Duration;

use core_kernel::{PageRequest, UserId, UserScope};
use jiff::Timestamp;

use super::{Fixture, commit, insert, one};
use crate::order::Order;
use crate::ports::{OrderFilter, OrderSort, OrderSummary, SortField};
use crate::state::OrderStatus;
use crate::testing::{advance_at, new_order, placed_at};

/// The filter is by owner and by state.
pub async fn a_list_holds_only_what_passes_the_filter(fixture: Fixture) {
    let mine = one(&fixture).await.order;
    one(&fixture).await;
    let count = async |scope, status| {
        let filter = OrderFilter { scope, status };
        let page = fixture
            .store
            .list(filter, OrderSort::default(), PageRequest::default())
            .await
            .expect("an answer");
        page.total
    };
    let own = UserScope::One(mine.user_id);
    assert_eq!(count(own, None).await, 1);
    assert_eq!(count(own, Some(OrderStatus::Pending)).await, 1);
    assert_eq!(count(own, Some(OrderStatus::Shipped)).await, 0);
    assert!(count(UserScope::All, None).await >= 2);
}

/// Orders of one user, in every state, whose order differs with what they are sorted by. Two each
/// were placed at the same time and two cost the same, so that ties are there to break.
pub(super) async fn many(fixture: &Fixture, count: u8) -> (OrderFilter, Vec<Order>) {
    let user = UserId::generate();
    let mut orders = Vec::new();
    for number in 0..count {
        let after = |seconds| Timestamp::UNIX_EPOCH + Duration::from_secs(seconds);
        // From 7.00 to 11.00, so that text would sort otherwise than numbers.
        let price = format!("{}.00", 7 + (count - number) / 2);
        let new = new_order(&[(1, &price)]).expect("a good order");
        let placed = placed_at(new, user, after(u64::from(number / 2)));
        insert(&*fixture.store, &placed).await;
        let mut order = placed.order;
        let steps = ["confirmed", "shipped", "delivered"];
        for to in steps.into_iter().take(usize::from(number % 4)) {
            let change = advance_at(order, to, after(u64::from(200 - number)));
            commit(&*fixture.store, &change).await;
            order = change.order;
        }
        orders.push(order);
    }
    let filter = OrderFilter {
        scope: UserScope::One(user),
        status: None,
    };
    (filter, orders)
}

/// Ties break by id, so each order is on exactly one page.
pub async fn pages_neither_repeat_nor_skip(fixture: Fixture) {
    let (filter, _) = many(&fixture, 7).await;
    let sort = OrderSort {
        by: SortField::Status,
        descending: true,
    };
    let mut seen = HashSet::new();
    for page in 1..=3 {
        let page = fixture
            .store
            .list(filter, sort, PageRequest { page, limit: 3 })
            .await
            .expect("an answer");
        assert_eq!(page.total, 7);
        seen.extend(page.items.into_iter().map(|order| order.id));
    }
    assert_eq!(seen.len(), 7);
}

/// Past the last page there is nothing, and the total is still told.
pub async fn a_page_beyond_the_end_is_empty_and_knows_the_total(fixture: Fixture) {
    let (filter, _) = many(&fixture, 2).await;
    let page = PageRequest {
        page: u32::MAX,
        limit: 100,
    };
    let page = fixture
        .store
        .list(filter, OrderSort::default(), page)
        .await
        .expect("an answer");
    assert_eq!((page.items.len(), page.total), (0, 2));
}

/// Each field sorts, ties by id, and backwards is the exact reverse.
pub async fn every_sort_field_sorts_both_ways(fixture: Fixture) {
    let (filter, mut orders) = many(&fixture, 8).await;
    let fields = [
        SortField::CreatedAt,
        SortField::UpdatedAt,
        SortField::TotalAmount,
        SortField::Status,
    ];
    for by in fields {
        orders.sort_by(|a, b| {
            match by {
                SortField::CreatedAt => a.created_at.cmp(&b.created_at),
                SortField::UpdatedAt => a.updated_at.cmp(&b.updated_at),
                SortField::TotalAmount => a.total_amount.cmp(&b.total_amount),
                SortField::Status => a.status().as_str().cmp(b.status().as_str()),
            }
            .then(a.id.cmp(&b.id))
        });
        let mut expected: Vec<OrderSummary> = orders.iter().map(summary).collect();
        for descending in [false, true] {
            let page = fixture
                .store
                .list(filter, OrderSort { by, descending }, PageRequest::default())
                .await
                .expect("an answer");
            assert_eq!(page.items, expected, "{by:?}, descending: {descending}");
            expected.reverse();
        }
    }
}

fn summary(order: &Order) -> OrderSummary {
    OrderSummary {
        id: order.id,
        status: order.status(),
        total_amount: order.total_amount,
        currency: order.currency,
        created_at: order.created_at,
        updated_at: order.updated_at,
    }
}
