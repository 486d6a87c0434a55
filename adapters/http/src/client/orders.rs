//! Calling the order service.

use std::time::Duration;

use async_trait::async_trait;
use core_kernel::{OrderId, RequestContext};
use core_notify::{OrderDetails, OrderReader, ReadError};
use http::{Method, StatusCode};

use super::{HttpClient, Peer, ServiceToken, UrlError, unusable};

/// The order service, as the others see it.
#[derive(Clone, Debug)]
pub struct OrdersClient(Peer);

impl OrdersClient {
    /// How long an answer may take: its own check at auth may take two seconds.
    pub const TIMEOUT: Duration = Duration::from_secs(5);

    /// The service at `base_url`, to which we show `token`.
    ///
    /// # Errors
    /// When the URL is none.
    pub fn new(client: HttpClient, base_url: &str, token: ServiceToken) -> Result<Self, UrlError> {
        Ok(Self(Peer::new(client, base_url, Self::TIMEOUT, token)?))
    }
}

#[async_trait]
impl OrderReader for OrdersClient {
    /// `GET /orders/{id}` with our own token (PRD §7.2).
    async fn order(
        &self,
        id: OrderId,
        context: &RequestContext,
    ) -> Result<OrderDetails, ReadError> {
        const WHO: &str = "the order";
        let own = self
            .0
            .own()
            .map_err(|error| ReadError::Away(WHO, error.into()))?;
        let path = format!("/orders/{id}");
        let answer = self.0.call(Method::GET, &path, own, None, context).await;
        match answer.map_err(|error| ReadError::Away(WHO, error.into()))? {
            (StatusCode::OK, body) => {
                serde_json::from_slice(&body).map_err(|error| ReadError::Broken(WHO, error.into()))
            }
            (status, _) => Err(unusable(WHO, status)),
        }
    }
}
