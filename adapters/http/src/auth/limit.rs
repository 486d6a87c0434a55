//! Who is counted at the auth service.

use core_auth::Auth;
use core_kernel::LimitKey;
use http::HeaderName;
use http::header::AUTHORIZATION;

use crate::error::ApiError;
use crate::limit::{Limiter, check};
use crate::request::Inbound;

/// Where a service shows its own token while it asks about a user's.
const SERVICE_AUTHORIZATION: HeaderName = HeaderName::from_static("x-service-authorization");

/// Counts a request by its address, unless one of our own services makes it: those ask for
/// everybody, from a few addresses.
pub(super) async fn of_client(
    limiter: &Limiter,
    auth: &Auth,
    request: &Inbound,
) -> Result<(), ApiError> {
    if limiter.is_none() || is_service(auth, request) {
        return Ok(());
    }
    check(limiter, LimitKey::of_address(request.client()), request).await
}

fn is_service(auth: &Auth, request: &Inbound) -> bool {
    let shows = |header| {
        let token = request.bearer_in(header);
        token.is_ok_and(|token| auth.is_service(token))
    };
    let validates = request.path() == "/auth/validate";
    shows(&AUTHORIZATION) || validates && shows(&SERVICE_AUTHORIZATION)
}
