//! The use cases on a mocked store: the failures and races that real stores seldom give.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use core_kernel::{Caller, OrderId, RequestContext, SystemClock, UserId, Wake};
use core_orders::testing::{advance, new_order, placed};
use core_orders::{
    AccessError, Actor, Fingerprint, IdempotencyKey, KeyedRequest, MockOrderStore, Once, Orders,
    PlaceError, StoreError, TransitionError, TransitionFailure,
};

#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn orders(store: MockOrderStore) -> (Orders, Arc<Wakes>) {
    let wakes = Arc::new(Wakes::default());
    let orders = Orders::new(Arc::new(store), wakes.clone(), Arc::new(SystemClock));
    (orders, wakes)
}

fn admin() -> Actor {
    Actor::from(&Caller::Admin(UserId::generate()))
}

#[tokio::test]
async fn a_placed_order_wakes_the_relay_and_a_failed_one_does_not() {
    let mut store = MockOrderStore::new();
    store.expect_insert().times(1).returning(|_, _| Ok(()));
    store
        .expect_insert()
        .returning(|_, _| Err(StoreError::Unavailable("gone".into())));
    let (orders, wakes) = orders(store);
    let caller = Caller::Customer(UserId::generate());
    let context = RequestContext::generate();

    let new = new_order(&[(1, "9.99")]).unwrap();
    orders.place(&caller, new.clone(), &context).await.unwrap();
    assert_eq!(wakes.0.load(Ordering::SeqCst), 1);
    let failed = orders.place(&caller, new, &context).await;
    assert!(matches!(
        failed,
        Err(PlaceError::Store(StoreError::Unavailable(_)))
    ));
    assert_eq!(wakes.0.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_service_places_no_orders() {
    let (orders, _) = orders(MockOrderStore::new());
    let caller = Caller::Service("notification-service".into());
    let new = new_order(&[(1, "9.99")]).unwrap();
    let refused = orders
        .place(&caller, new, &RequestContext::generate())
        .await;
    assert!(matches!(refused, Err(PlaceError::Forbidden)));
}

fn keyed() -> KeyedRequest {
    KeyedRequest {
        key: IdempotencyKey::parse("key").expect("a good key"),
        fingerprint: Fingerprint([1; 32]),
    }
}

#[tokio::test]
async fn a_known_key_gives_its_order_as_it_was_placed_and_wakes_nobody() {
    let order = placed(UserId::generate()).order;
    let (id, user) = (order.id, order.user_id);
    let confirmed = advance(order.clone(), "confirmed").order;
    let mut store = MockOrderStore::new();
    store
        .expect_insert_once()
        .returning(move |_, _, _| Ok(Once::Known(id)));
    store
        .expect_find()
        .returning(move |_| Ok(Some(confirmed.clone())));
    let (orders, wakes) = orders(store);
    let caller = Caller::Customer(user);
    let new = new_order(&[(1, "9.99")]).unwrap();
    let context = RequestContext::generate();
    let again = orders.place_once(&caller, new, &keyed(), &context).await;
    let again = again.unwrap();
    assert_eq!((again.order, again.replayed), (order, true));
    assert_eq!(wakes.0.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_turn_ends_with_its_request_however_that_ends() {
    let mut store = MockOrderStore::new();
    let mut outcomes = vec![
        Ok(Once::Inserted),
        Ok(Once::InFlight),
        Ok(Once::Reused),
        Err(StoreError::Unavailable("gone".into())),
    ];
    store
        .expect_insert_once()
        .returning(move |_, _, _| outcomes.pop().unwrap());
    let (orders, wakes) = orders(store);
    let caller = Caller::Customer(UserId::generate());
    let context = RequestContext::generate();
    let new = new_order(&[(1, "9.99")]).unwrap();
    let request = keyed();
    let place = async || {
        let placing = orders.place_once(&caller, new.clone(), &request, &context);
        placing.await
    };
    assert!(matches!(place().await, Err(PlaceError::Store(_))));
    assert!(matches!(place().await, Err(PlaceError::KeyReused)));
    assert!(matches!(place().await, Err(PlaceError::InProgress)));
    assert!(!place().await.unwrap().replayed);
    assert_eq!(wakes.0.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn anothers_order_is_forbidden_and_an_unknown_one_not_found() {
    let order = placed(UserId::generate()).order;
    let id = order.id;
    let mut store = MockOrderStore::new();
    store
        .expect_find()
        .returning(move |asked| Ok((asked == id).then(|| order.clone())));
    let (orders, _) = orders(store);
    let other = Caller::Customer(UserId::generate());
    assert!(matches!(
        orders.get(&other, id).await,
        Err(AccessError::Forbidden)
    ));
    let unknown = orders.get(&other, OrderId::generate()).await;
    assert!(matches!(unknown, Err(AccessError::NotFound)));
}

#[tokio::test]
async fn the_loser_of_a_race_sees_what_the_winner_made() {
    let pending = placed(UserId::generate()).order;
    let id = pending.id;
    let confirmed = advance(pending.clone(), "confirmed").order;
    let mut store = MockOrderStore::new();
    store
        .expect_find()
        .times(1)
        .returning(move |_| Ok(Some(pending.clone())));
    store
        .expect_find()
        .returning(move |_| Ok(Some(confirmed.clone())));
    store
        .expect_commit()
        .times(1)
        .returning(|_, _| Err(StoreError::Conflict));
    let (orders, wakes) = orders(store);
    let lost = orders
        .transition(&admin(), id, "confirmed", &RequestContext::generate())
        .await;
    assert!(matches!(
        lost,
        Err(TransitionFailure::Refused(TransitionError::AlreadyIn(_)))
    ));
    assert_eq!(wakes.0.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn only_a_step_with_an_event_wakes_the_relay() {
    let pending = placed(UserId::generate()).order;
    let confirmed = advance(pending.clone(), "confirmed").order;
    let id = pending.id;
    let mut store = MockOrderStore::new();
    store
        .expect_find()
        .times(1)
        .returning(move |_| Ok(Some(pending.clone())));
    store
        .expect_find()
        .returning(move |_| Ok(Some(confirmed.clone())));
    store.expect_commit().returning(|_, _| Ok(()));
    let (orders, wakes) = orders(store);
    let context = RequestContext::generate();
    orders
        .transition(&admin(), id, "confirmed", &context)
        .await
        .unwrap();
    assert_eq!(wakes.0.load(Ordering::SeqCst), 0);
    orders
        .transition(&admin(), id, "shipped", &context)
        .await
        .unwrap();
    assert_eq!(wakes.0.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn an_unknown_word_is_refused_by_the_order_it_was_meant_for() {
    let order = placed(UserId::generate()).order;
    let id = order.id;
    let mut store = MockOrderStore::new();
    store
        .expect_find()
        .returning(move |asked| Ok((asked == id).then(|| order.clone())));
    let (orders, _) = orders(store);
    let context = RequestContext::generate();
    let unknown = orders
        .transition(&admin(), OrderId::generate(), "paid", &context)
        .await;
    assert!(matches!(unknown, Err(TransitionFailure::NotFound)));
    let refused = orders.transition(&admin(), id, "paid", &context).await;
    assert!(matches!(
        refused,
        Err(TransitionFailure::Refused(
            TransitionError::NotAllowed { .. }
        ))
    ));
}
