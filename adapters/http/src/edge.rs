//! What lies between a service and its callers.

use crate::cors::AllowedOrigins;
use crate::proxies::TrustedProxies;

/// Proxies and pages in front of a service; none by default.
#[derive(Clone, Debug, Default)]
pub struct Edge {
    /// The proxies that tell who the client is (`TRUSTED_PROXIES`).
    pub proxies: TrustedProxies,
    /// The origins whose pages may call (`CORS_ALLOWED_ORIGINS`).
    pub origins: AllowedOrigins,
}
