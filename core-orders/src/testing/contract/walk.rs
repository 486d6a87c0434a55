//! Lists that are walked from place to place.

use core_kernel::{OrderId, PageRequest, UserScope};
use jiff::Timestamp;

use super::list::many;
use super::{Fixture, advance, commit, insert};
use crate::ports::{OrderFilter, OrderPosition, OrderSort, OrderSummary, SortField};
use crate::state::OrderStatus;
use crate::testing::{new_order, placed_at};

const FIELDS: [SortField; 4] = [
    SortField::CreatedAt,
    SortField::UpdatedAt,
    SortField::TotalAmount,
    SortField::Status,
];

/// The list as its pages have it.
async fn whole(fixture: &Fixture, filter: OrderFilter, sort: OrderSort) -> Vec<OrderSummary> {
    let page = PageRequest {
        page: 1,
        limit: 100,
    };
    let page = fixture.store.list(filter, sort, page).await;
    page.expect("an answer").items
}

async fn after(
    fixture: &Fixture,
    filter: OrderFilter,
    position: OrderPosition,
    limit: u32,
) -> (Vec<OrderSummary>, bool) {
    let slice = fixture.store.list_after(filter, position, limit).await;
    let slice = slice.expect("an answer");
    (slice.items, slice.more)
}

/// From each order on, the rest of the list follows, in steps of any length, ties and all.
pub async fn a_walk_meets_every_order_once_in_every_sort(fixture: Fixture) {
    let (filter, orders) = many(&fixture, 8).await;
    for by in FIELDS {
        for descending in [false, true] {
            let sort = OrderSort { by, descending };
            let list = whole(&fixture, filter, sort).await;
            assert_eq!(list.len(), orders.len());
            for (index, order) in list.iter().enumerate() {
                let rest = &list[index + 1..];
                let position = sort.position_of(order);
                for limit in [1, 3, 100] {
                    let (items, more) = after(&fixture, filter, position, limit).await;
                    let limit = usize::try_from(limit).expect("a few");
                    assert_eq!(items, rest[..limit.min(rest.len())], "{sort:?} {index}");
                    assert_eq!(more, rest.len() > limit, "{sort:?} {index}");
                }
            }
        }
    }
}

/// Another customer's orders and those in another state are not met.
pub async fn a_walk_keeps_to_its_filter(fixture: Fixture) {
    let (mine, _) = many(&fixture, 8).await;
    many(&fixture, 8).await;
    let shipped = OrderFilter {
        status: Some(OrderStatus::Shipped),
        ..mine
    };
    let everybody = OrderFilter {
        scope: UserScope::All,
        status: Some(OrderStatus::Shipped),
    };
    let sort = OrderSort::default();
    for (filter, count) in [(mine, 8), (shipped, 2), (everybody, 4)] {
        for sort in FIELDS.map(|by| OrderSort { by, ..sort }) {
            let list = whole(&fixture, filter, sort).await;
            assert_eq!(list.len(), count);
            let (rest, more) = after(&fixture, filter, sort.position_of(&list[0]), 100).await;
            assert_eq!((&*rest, more), (&list[1..], false), "{filter:?} {sort:?}");
        }
    }
}

/// What is placed meanwhile moves nothing; and the order that a walk stopped at need not be where it
/// was.
pub async fn a_walk_is_not_upset_by_orders_that_come_and_go(fixture: Fixture) {
    let (filter, orders) = many(&fixture, 8).await;
    let sort = OrderSort {
        by: SortField::UpdatedAt,
        descending: true,
    };
    let list = whole(&fixture, filter, sort).await;
    let (stop, rest) = (&list[3], &list[4..]);
    let position = sort.position_of(stop);
    // One that is newer than all, and the order at the stop, which is now the newest.
    let UserScope::One(user) = filter.scope else {
        panic!("{filter:?}");
    };
    let new = new_order(&[(1, "1.00")]).expect("a good order");
    insert(
        &*fixture.store,
        &placed_at(
            new,
            user,
            Timestamp::UNIX_EPOCH + jiff::SignedDuration::from_hours(1),
        ),
    )
    .await;
    let at_the_stop = orders.into_iter().find(|order| order.id == stop.id);
    let order = at_the_stop.expect("one of them");
    if let Some(next) = order.status().next() {
        commit(&*fixture.store, &advance(order, next.as_str())).await;
    }
    let (items, _) = after(&fixture, filter, position, 100).await;
    assert_eq!(items, rest);
    let nobody = OrderPosition {
        id: OrderId::generate(),
        ..position
    };
    let (items, _) = after(&fixture, filter, nobody, 100).await;
    assert!(items.ends_with(&rest[1..]), "{items:?}");
}
