//! Orders that are stored once for their key.

use core_kernel::{Clock, OrderId, RequestContext, SystemClock, UserId};
use futures_util::future::join_all;
use jiff::Timestamp;

use super::broker::Capture;
use super::{Fixture, drain};
use crate::once::{Fingerprint, IdempotencyKey, KeyedRequest, Once};
use crate::order::Placed;
use crate::ports::StoreError;
use crate::testing::{new_order, placed, placed_at};

fn request(key: &str, asks_for: u8) -> KeyedRequest {
    KeyedRequest {
        key: IdempotencyKey::parse(key).expect("a good key"),
        fingerprint: Fingerprint([asks_for; 32]),
    }
}

fn at(user: UserId, at: Timestamp) -> Placed {
    let new = new_order(&[(1, "9.99")]).expect("a good order");
    placed_at(new, user, at)
}

async fn insert(fixture: &Fixture, placed: &Placed, request: &KeyedRequest) -> Once {
    let context = RequestContext::generate();
    let once = fixture.store.insert_once(placed, request, &context).await;
    once.expect("an answer")
}

async fn is_stored(fixture: &Fixture, id: OrderId) -> bool {
    let found = fixture.store.find(id).await;
    found.expect("an answer").is_some()
}

async fn waiting(fixture: &Fixture) -> u64 {
    let backlog = fixture.outbox.backlog().await;
    backlog.expect("an answer").waiting
}

/// With a key or without, an order comes with its history and its event; the second with the same
/// key writes nothing, and is told the first.
pub async fn a_key_stores_one_order_and_knows_it_again(fixture: Fixture) {
    let user = UserId::generate();
    let (first, again) = (placed(user), placed(user));
    let request = request("key", 1);
    assert_eq!(insert(&fixture, &first, &request).await, Once::Inserted);
    let id = first.order.id;
    assert_eq!(insert(&fixture, &again, &request).await, Once::Known(id));

    let store = &fixture.store;
    assert_eq!(store.find(id).await.expect("an answer"), Some(first.order));
    let history = store.history(id).await.expect("an answer");
    assert_eq!(history, [first.history]);
    let second = again.order.id;
    assert!(!is_stored(&fixture, second).await);
    assert!(store.history(second).await.expect("an answer").is_empty());
    let broker = Capture::default();
    drain(&*fixture.outbox, &broker).await;
    assert_eq!(broker.types_of(id), ["OrderCreated"]);
    assert!(broker.types_of(second).is_empty());
}

/// A key is one request's.
pub async fn a_key_with_another_request_writes_nothing(fixture: Fixture) {
    let user = UserId::generate();
    insert(&fixture, &placed(user), &request("key", 1)).await;
    let other = placed(user);
    let once = insert(&fixture, &other, &request("key", 2)).await;
    assert_eq!(once, Once::Reused);
    assert!(!is_stored(&fixture, other.order.id).await);
    assert_eq!(waiting(&fixture).await, 1);
}

/// Nobody can take a key from another, or find out that it is taken.
pub async fn a_key_is_its_users_alone(fixture: Fixture) {
    for asks_for in [1, 1, 2] {
        let (placed, request) = (placed(UserId::generate()), request("key", asks_for));
        assert_eq!(insert(&fixture, &placed, &request).await, Once::Inserted);
    }
    assert_eq!(waiting(&fixture).await, 3);
}

/// Order and key are one transaction: an order that cannot be stored leaves its key free.
pub async fn a_refused_order_leaves_its_key_free(fixture: Fixture) {
    let user = UserId::generate();
    let first = placed(user);
    insert(&fixture, &first, &request("one", 1)).await;
    let mut refused = placed(user);
    refused.events = first.events;
    let (request, context) = (request("two", 1), RequestContext::generate());
    let outcome = fixture.store.insert_once(&refused, &request, &context);
    let outcome = outcome.await;
    assert!(matches!(outcome, Err(StoreError::Broken(_))), "{outcome:?}");
    // A server may answer a moment before it lets go of the key.
    let mut once = Once::InFlight;
    for _ in 0..1000 {
        if once != Once::InFlight {
            break;
        }
        once = insert(&fixture, &placed(user), &request).await;
    }
    assert_eq!(once, Once::Inserted);
}

/// However many come at once, one order is made.
pub async fn of_twenty_racing_requests_one_is_stored(fixture: Fixture) {
    let user = UserId::generate();
    let request = request("key", 1);
    let orders: Vec<Placed> = (0..20).map(|_| placed(user)).collect();
    let racers = orders.iter().map(|one| insert(&fixture, one, &request));
    let outcomes = join_all(racers).await;
    let stored: Vec<OrderId> = orders
        .iter()
        .zip(&outcomes)
        .filter_map(|(placed, once)| (*once == Once::Inserted).then_some(placed.order.id))
        .collect();
    let [stored] = stored.as_slice() else {
        panic!("{outcomes:?}");
    };
    for once in &outcomes {
        let fine = match once {
            Once::Inserted | Once::InFlight => true,
            Once::Known(id) => id == stored,
            Once::Reused => false,
        };
        assert!(fine, "{outcomes:?}");
    }
    assert_eq!(waiting(&fixture).await, 1);
    let late = insert(&fixture, &placed(user), &request).await;
    assert_eq!(late, Once::Known(*stored));
}

/// To the microsecond, by the times of the orders; what comes after that is the key's new order.
pub async fn a_key_counts_for_24_hours(fixture: Fixture) {
    let user = UserId::generate();
    let (begin, request) = (SystemClock.now(), request("key", 1));
    let end = begin + IdempotencyKey::LIFETIME;
    let first = at(user, begin);
    insert(&fixture, &first, &request).await;
    let just_before = end - jiff::SignedDuration::from_micros(1);
    let once = insert(&fixture, &at(user, just_before), &request).await;
    assert_eq!(once, Once::Known(first.order.id));
    let second = at(user, end);
    assert_eq!(insert(&fixture, &second, &request).await, Once::Inserted);
    let once = insert(&fixture, &at(user, end), &request).await;
    assert_eq!(once, Once::Known(second.order.id));
}

/// What is pruned is forgotten, a batch at a time; what is younger is not.
pub async fn pruning_forgets_old_keys_and_no_others(fixture: Fixture) {
    let user = UserId::generate();
    let begin = SystemClock.now();
    let old = begin - jiff::SignedDuration::from_hours(1);
    for key in ["a", "b", "c"] {
        insert(&fixture, &at(user, old), &request(key, 1)).await;
    }
    let young = at(user, begin);
    insert(&fixture, &young, &request("d", 1)).await;
    let prune = async |limit| fixture.store.prune_keys(old, limit).await;
    assert_eq!(prune(2).await.expect("an answer"), 2);
    assert_eq!(prune(2).await.expect("an answer"), 1);
    assert_eq!(prune(2).await.expect("an answer"), 0);
    for key in ["a", "b", "c"] {
        let once = insert(&fixture, &at(user, begin), &request(key, 2)).await;
        assert_eq!(once, Once::Inserted);
    }
    let once = insert(&fixture, &at(user, begin), &request("d", 1)).await;
    assert_eq!(once, Once::Known(young.order.id));
}
