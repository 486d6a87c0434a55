//! The order service (PRD §4.2).

pub(crate) mod dto;
mod fingerprint;
mod list;
pub(crate) mod openapi;
mod shape;

pub(crate) use dto::{Pagination, Walk};

use std::sync::Arc;

use async_trait::async_trait;
use core_kernel::{
    Caller, Faults, LimitKey, OrderId, RateLimiter, RequestContext, Role, ScopeError,
    TokenVerifier, UserScope, VerifyError, Violation,
};
use core_orders::{
    AccessError, Actor, IdempotencyKey, KeyedRequest, OrderStatus, Orders, PlaceError, Placement,
    StoreError, TransitionError, TransitionFailure,
};
use http::header::LOCATION;
use http::{HeaderValue, Method, StatusCode};

use crate::docs;
use crate::error::ApiError;
use crate::fields;
use crate::limit::{self, Limiter};
use crate::pipeline::Api;
use crate::query::Query;
use crate::reply::{self, Reply};
use crate::request::Inbound;
use crate::route::Route;
use dto::{History, OrderDto, Transitioned};

/// A client's own name for its request (draft-ietf-httpapi-idempotency-key-header).
const KEY: &str = "Idempotency-Key";

/// Tells that an answer was given before.
const REPLAYED: &str = "idempotent-replayed";

/// Its paths.
pub(crate) const ROUTES: [Route; 4] = [
    Route::public("/orders", "GET, HEAD, POST"),
    Route::public("/orders/{id}", "GET, HEAD"),
    Route::public("/orders/{id}/status", "PATCH"),
    Route::public("/orders/{id}/history", "GET, HEAD"),
];

/// The REST side of [`Orders`].
#[derive(Clone)]
pub struct OrdersApi {
    orders: Orders,
    verifier: Arc<dyn TokenVerifier>,
    limiter: Limiter,
}

#[async_trait]
impl Api for OrdersApi {
    async fn respond(&self, request: &mut Inbound) -> Result<Reply, ApiError> {
        if let Some(reply) = docs::respond(&openapi::DOCUMENT, request) {
            return Ok(reply);
        }
        let path = request.path().to_owned();
        let segments: Vec<&str> = path.split('/').skip(1).collect();
        match (request.method(), segments.as_slice()) {
            (&Method::POST, ["orders"]) => self.place(request).await,
            (&Method::GET, ["orders"]) => self.list(request).await,
            (&Method::GET, ["orders", id]) => self.get(request, id).await,
            (&Method::PATCH, ["orders", id, "status"]) => self.transition(request, id).await,
            (&Method::GET, ["orders", id, "history"]) => self.history(request, id).await,
            _ => Err(ApiError::unknown_path()),
        }
    }

    fn route(&self, path: &str) -> Option<Route> {
        Route::find(&ROUTES, path).or_else(|| docs::route(path))
    }
}

impl OrdersApi {
    /// The service on these use cases; tokens are checked by `verifier` on every request.
    #[must_use]
    pub fn new(orders: Orders, verifier: Arc<dyn TokenVerifier>) -> Self {
        Self {
            orders,
            verifier,
            limiter: None,
        }
    }

    /// The same, with a limit on the requests of one user.
    #[must_use]
    pub fn with_limiter(mut self, limiter: Arc<dyn RateLimiter>) -> Self {
        self.limiter = Some(limiter);
        self
    }

    /// Who calls, if they have not called too often. Our own services are not counted.
    async fn caller(&self, request: &Inbound) -> Result<Caller, ApiError> {
        let caller = authenticate(&*self.verifier, request).await?;
        if let Some(user) = caller.user_id() {
            limit::check(&self.limiter, LimitKey::User(user), request).await?;
        }
        Ok(caller)
    }

    async fn place(&self, request: &mut Inbound) -> Result<Reply, ApiError> {
        let caller = self.caller(request).await?;
        Orders::may_place(&caller)?;
        let body = request.json_body().await?;
        let mut faults = Faults::new();
        let key = idempotency_key(request, &mut faults);
        let new = dto::new_order(&fields::object(&body)?, faults)?;
        let placement = match key {
            Some(key) => {
                let fingerprint = fingerprint::of(&body);
                let keyed = KeyedRequest { key, fingerprint };
                let context = &request.context;
                let placing = self.orders.place_once(&caller, new, &keyed, context);
                placing.await?
            }
            None => Placement {
                order: self.orders.place(&caller, new, &request.context).await?,
                replayed: false,
            },
        };
        placed(&placement)
    }

    async fn list(&self, request: &Inbound) -> Result<Reply, ApiError> {
        let caller = self.caller(request).await?;
        let asked = list::Asked::read(&caller, &request.query())?;
        reply::json(StatusCode::OK, &asked.answer(&self.orders).await?)
    }

    async fn get(&self, request: &Inbound, id: &str) -> Result<Reply, ApiError> {
        let caller = self.caller(request).await?;
        let order = self.orders.get(&caller, order_id(id)?).await?;
        reply::json(StatusCode::OK, &OrderDto::from(&order))
    }

    async fn history(&self, request: &Inbound, id: &str) -> Result<Reply, ApiError> {
        let caller = self.caller(request).await?;
        let history = self.orders.history(&caller, order_id(id)?).await?;
        reply::json(StatusCode::OK, &History::from(history.as_slice()))
    }

    async fn transition(&self, request: &mut Inbound, id: &str) -> Result<Reply, ApiError> {
        let caller = self.caller(request).await?;
        if caller.role() != Role::Admin {
            return Err(ApiError::forbidden("Only admins move orders."));
        }
        let body = request.json_body().await?;
        let to = dto::status(&fields::object(&body)?)?;
        let actor = Actor::from(&caller);
        let order = self
            .orders
            .transition(&actor, order_id(id)?, &to, &request.context)
            .await?;
        reply::json(StatusCode::OK, &Transitioned::from(&order))
    }
}

/// The client's name for its request, if it gave one; its fault is added to `faults`.
fn idempotency_key(request: &Inbound, faults: &mut Faults) -> Option<IdempotencyKey> {
    let mut given = request.headers().get_all(KEY).into_iter();
    let first = given.next()?;
    let key = match (first.to_str(), given.next()) {
        (Ok(text), None) => IdempotencyKey::parse(text),
        (Ok(_), Some(_)) => Err(Violation::new("repeated", "must be given once")),
        (Err(_), _) => Err(Violation::new(
            "format",
            "must have visible ASCII characters only",
        )),
    };
    key.map_err(|violation| faults.add_header(KEY, violation))
        .ok()
}

/// The answer to whoever placed an order: the same, to the byte, however often it is given. It is
/// made of nothing that changes later.
fn placed(placement: &Placement) -> Result<Reply, ApiError> {
    let order = &placement.order;
    log_order(order.id);
    let mut reply = reply::json(StatusCode::CREATED, &OrderDto::from(order))?;
    let location = HeaderValue::try_from(format!("/orders/{}", order.id));
    let location = location.map_err(|error| ApiError::internal(error.into()))?;
    reply.headers_mut().insert(LOCATION, location);
    if placement.replayed {
        let replayed = HeaderValue::from_static("true");
        reply.headers_mut().insert(REPLAYED, replayed);
    }
    Ok(reply)
}

/// Who calls, as the auth service says (PRD §8.1).
pub(crate) async fn authenticate(
    verifier: &dyn TokenVerifier,
    request: &Inbound,
) -> Result<Caller, ApiError> {
    let token = request.bearer()?;
    let context: &RequestContext = &request.context;
    verifier
        .verify(token, context)
        .await
        .map_err(|error| match error {
            VerifyError::Invalid => ApiError::invalid_token(),
            VerifyError::Unavailable(_) => ApiError::unavailable(error.into()),
        })
}

/// Whose things a list holds: 403 comes before the other faults, 400 with them.
pub(crate) fn scope(
    caller: &Caller,
    query: &Query,
    faults: &mut Faults,
) -> Result<UserScope, ApiError> {
    let before = faults.as_slice().len();
    let requested = query.user_scope(faults);
    if faults.as_slice().len() > before {
        // Faulty, so it is refused in any case; the scope does not matter any more.
        return Ok(UserScope::All);
    }
    match UserScope::resolve(caller, requested) {
        Ok(scope) => Ok(scope),
        Err(ScopeError::Forbidden) => Err(ApiError::forbidden("You may only list your own.")),
        Err(error @ ScopeError::Required) => {
            faults.add_parameter("user_id", Violation::new("required", error.to_string()));
            Ok(UserScope::All)
        }
    }
}

/// The id in a path, which the log lines of the request have from now on.
fn order_id(text: &str) -> Result<OrderId, ApiError> {
    let id = text.parse().map_err(|_| unknown_order())?;
    log_order(id);
    Ok(id)
}

fn log_order(id: OrderId) {
    tracing::Span::current().record("order_id", tracing::field::display(id));
}

fn unknown_order() -> ApiError {
    ApiError::not_found("There is no order with this id.")
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            // A change that lost its race again and again: the client may well try once more.
            StoreError::Conflict | StoreError::Unavailable(_) => Self::unavailable(error.into()),
            StoreError::Broken(_) => Self::internal(error.into()),
        }
    }
}

impl From<AccessError> for ApiError {
    fn from(error: AccessError) -> Self {
        match error {
            AccessError::NotFound => unknown_order(),
            AccessError::Forbidden => Self::forbidden("The order belongs to another customer."),
            AccessError::Store(error) => error.into(),
        }
    }
}

impl From<PlaceError> for ApiError {
    fn from(error: PlaceError) -> Self {
        match error {
            PlaceError::Forbidden => Self::forbidden("Only customers and admins place orders."),
            PlaceError::KeyReused => Self::idempotency_key_reused(),
            PlaceError::InProgress => Self::request_in_progress(),
            PlaceError::Store(error) => error.into(),
        }
    }
}

impl From<TransitionFailure> for ApiError {
    fn from(error: TransitionFailure) -> Self {
        match error {
            TransitionFailure::NotFound => unknown_order(),
            TransitionFailure::Store(error) => error.into(),
            TransitionFailure::Refused(refused) => {
                let (TransitionError::AlreadyIn(from) | TransitionError::NotAllowed { from, .. }) =
                    &refused;
                let allowed: Vec<_> = from.next().map(OrderStatus::as_str).into_iter().collect();
                let hint = match allowed.first() {
                    Some(next) => format!("The next state can only be {next}."),
                    None => "No state follows.".to_owned(),
                };
                match &refused {
                    TransitionError::AlreadyIn(_) => Self::already_in_state(
                        format!("The order is {from} already. {hint}"),
                        allowed,
                    ),
                    TransitionError::NotAllowed { .. } => {
                        Self::invalid_transition(format!("The order is {from}. {hint}"), allowed)
                    }
                }
            }
        }
    }
}
