//! The use cases. HTTP and the command line both call these, so each exists once.

use std::sync::Arc;

use core_kernel::{
    Caller, Clock, EventId, OrderId, Page, PageRequest, RequestContext, Slice, UserId, Wake,
};

use crate::once::{IdempotencyKey, KeyedRequest, Once, Running};
use crate::order::{Actor, HistoryEntry, NewOrder, Order, Placed, Reason};
use crate::ports::{OrderFilter, OrderPosition, OrderSort, OrderStore, OrderSummary, StoreError};
use crate::state::TransitionError;

/// Why an order cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// No order has this id (404).
    #[error("no such order")]
    NotFound,
    /// It is another customer's (403).
    #[error("the order belongs to another customer")]
    Forbidden,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why an order cannot be placed.
#[derive(Debug, thiserror::Error)]
pub enum PlaceError {
    /// Services order nothing (403).
    #[error("only customers and admins place orders")]
    Forbidden,
    /// The request's key belongs to a request for something else (422).
    #[error("the idempotency key belongs to another request")]
    KeyReused,
    /// The first request with this key is still being worked on (409).
    #[error("a request with this idempotency key is being worked on")]
    InProgress,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why an order cannot be moved.
#[derive(Debug, thiserror::Error)]
pub enum TransitionFailure {
    /// No order has this id (404).
    #[error("no such order")]
    NotFound,
    /// The state machine refuses (400, 409).
    #[error(transparent)]
    Refused(#[from] TransitionError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What a request with a key led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placement {
    /// The order as it was placed.
    pub order: Order,
    /// Whether an earlier request placed it, and this one made nothing.
    pub replayed: bool,
}

/// How often a change that lost a race is decided anew. Each loss means that another change won,
/// and an order has three of them in its life.
const MAX_RACES: usize = 4;

/// Everything that can be done with orders.
#[derive(Clone)]
pub struct Orders {
    store: Arc<dyn OrderStore>,
    relay: Arc<dyn Wake>,
    clock: Arc<dyn Clock>,
    running: Running,
}

impl Orders {
    /// The use cases on this store. `relay` is woken whenever events were committed.
    #[must_use]
    pub fn new(store: Arc<dyn OrderStore>, relay: Arc<dyn Wake>, clock: Arc<dyn Clock>) -> Self {
        Self {
            store,
            relay,
            clock,
            running: Running::default(),
        }
    }

    /// Whether the caller may place orders at all; the user they would be placed for.
    ///
    /// # Errors
    /// `Forbidden` for services.
    pub fn may_place(caller: &Caller) -> Result<UserId, PlaceError> {
        caller.user_id().ok_or(PlaceError::Forbidden)
    }

    /// Places an order for the caller: order, history and `OrderCreated` in one transaction.
    ///
    /// # Errors
    /// `Forbidden` for services, or the store's.
    pub async fn place(
        &self,
        caller: &Caller,
        new: NewOrder,
        context: &RequestContext,
    ) -> Result<Order, PlaceError> {
        let placed = self.decide(Self::may_place(caller)?, caller, new, context);
        self.store.insert(&placed, context).await?;
        Ok(self.told(placed))
    }

    /// Places an order as [`Orders::place`] does, unless the same request placed it before: then
    /// that order comes back as it was placed, and nothing is made. A request that failed placed
    /// nothing, so it may come again with its key.
    ///
    /// # Errors
    /// Those of [`Orders::place`]; `KeyReused` when the key was used for something else within 24
    /// hours, `InProgress` while its first request is being worked on, here or elsewhere.
    pub async fn place_once(
        &self,
        caller: &Caller,
        new: NewOrder,
        request: &KeyedRequest,
        context: &RequestContext,
    ) -> Result<Placement, PlaceError> {
        let user_id = Self::may_place(caller)?;
        let turn = self.running.begin(user_id, &request.key);
        let _turn = turn.ok_or(PlaceError::InProgress)?;
        let placed = self.decide(user_id, caller, new, context);
        let id = match self.store.insert_once(&placed, request, context).await? {
            Once::Inserted => {
                return Ok(Placement {
                    order: self.told(placed),
                    replayed: false,
                });
            }
            Once::Known(id) => id,
            Once::Reused => return Err(PlaceError::KeyReused),
            Once::InFlight => return Err(PlaceError::InProgress),
        };
        let gone = || StoreError::Broken("the order of a known key is gone".into());
        let order = self.store.find(id).await?.ok_or_else(gone)?;
        tracing::info!(order_id = %id, "order told once more");
        Ok(Placement {
            order: order.as_placed(),
            replayed: true,
        })
    }

    fn decide(
        &self,
        user_id: UserId,
        caller: &Caller,
        new: NewOrder,
        context: &RequestContext,
    ) -> Placed {
        Order::place(
            OrderId::generate(),
            user_id,
            new,
            EventId::generate(),
            Actor::from(caller),
            context,
            self.clock.now(),
        )
    }

    /// The order, once it is stored: its event can go out.
    fn told(&self, placed: Placed) -> Order {
        self.relay.wake();
        tracing::info!(order_id = %placed.order.id, "order placed");
        placed.order
    }

    /// Forgets idempotency keys whose time is over, `limit` at most; how many they were.
    ///
    /// # Errors
    /// The store's.
    pub async fn forget_keys(&self, limit: u32) -> Result<u64, StoreError> {
        let forgotten = IdempotencyKey::forgotten(self.clock.now());
        self.store.prune_keys(forgotten, limit).await
    }

    /// One order, if the caller may see it (PRD §4.2).
    ///
    /// # Errors
    /// `NotFound`, `Forbidden` for another customer's, or the store's.
    pub async fn get(&self, caller: &Caller, id: OrderId) -> Result<Order, AccessError> {
        let order = self.store.find(id).await?.ok_or(AccessError::NotFound)?;
        if !caller.may_read(order.user_id) {
            return Err(AccessError::Forbidden);
        }
        Ok(order)
    }

    /// One page of orders. The filter's scope was resolved by [`core_kernel::UserScope::resolve`].
    ///
    /// # Errors
    /// The store's.
    pub async fn list(
        &self,
        filter: OrderFilter,
        sort: OrderSort,
        page: PageRequest,
    ) -> Result<Page<OrderSummary>, StoreError> {
        self.store.list(filter, sort, page).await
    }

    /// Up to `limit` orders that come after a position in their list. The filter's scope was resolved
    /// as for [`Orders::list`].
    ///
    /// # Errors
    /// The store's.
    pub async fn list_after(
        &self,
        filter: OrderFilter,
        after: OrderPosition,
        limit: u32,
    ) -> Result<Slice<OrderSummary>, StoreError> {
        self.store.list_after(filter, after, limit).await
    }

    /// An order's history, oldest first, if the caller may see the order.
    ///
    /// # Errors
    /// Those of [`Orders::get`].
    pub async fn history(
        &self,
        caller: &Caller,
        id: OrderId,
    ) -> Result<Vec<HistoryEntry>, AccessError> {
        self.get(caller, id).await?;
        Ok(self.store.history(id).await?)
    }

    /// Moves an order one step (PRD §6). `to` is the word that was asked for; who may ask is
    /// checked before. Of two racing calls one wins, the other sees the order as the first left it.
    ///
    /// # Errors
    /// `NotFound`, `Refused` by the state machine, or the store's.
    pub async fn transition(
        &self,
        actor: &Actor,
        id: OrderId,
        to: &str,
        context: &RequestContext,
    ) -> Result<Order, TransitionFailure> {
        self.transition_because(actor, id, to, None, context).await
    }

    /// The same, with a reason that the history keeps.
    ///
    /// # Errors
    /// Those of [`Orders::transition`].
    pub async fn transition_because(
        &self,
        actor: &Actor,
        id: OrderId,
        to: &str,
        reason: Option<&Reason>,
        context: &RequestContext,
    ) -> Result<Order, TransitionFailure> {
        let mut races = 0;
        loop {
            let order = self
                .store
                .find(id)
                .await?
                .ok_or(TransitionFailure::NotFound)?;
            let at = self.clock.now().max(order.updated_at);
            let mut change = order.advance(to, EventId::generate(), actor.clone(), context, at)?;
            change.history.reason = reason.cloned();
            match self.store.commit(&change, context).await {
                Ok(()) => {
                    if !change.events.is_empty() {
                        self.relay.wake();
                    }
                    tracing::info!(order_id = %id, from = %change.from, to, "order moved");
                    return Ok(change.order);
                }
                Err(StoreError::Conflict) if races < MAX_RACES => races += 1,
                Err(error) => return Err(error.into()),
            }
        }
    }
}
