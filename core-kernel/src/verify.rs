//! What the services need of the auth service on every request.

use async_trait::async_trait;

use crate::{BoxError, Caller, RequestContext};

/// Why a token was not verified.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The auth service refused it (401).
    #[error("the token is not valid")]
    Invalid,
    /// The auth service gave no answer (503).
    #[error("the auth service does not answer")]
    Unavailable(#[source] BoxError),
}

/// Tells who a bearer token belongs to.
#[async_trait]
pub trait TokenVerifier: Send + Sync {
    /// The caller that the token was issued to.
    ///
    /// # Errors
    /// `Invalid` or `Unavailable`.
    async fn verify(&self, token: &str, context: &RequestContext) -> Result<Caller, VerifyError>;
}
