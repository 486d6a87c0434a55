//! Calling the order service.

use std::time::Duration;

use async_trait::async_trait;
use core_kernel::{OrderId, RequestContext};
use core_notify::{OrderDetails, OrderReader, ReadError};

use super::{HttpClient, Peer, ServiceToken, UrlError};

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
        let path = format!("/orders/{id}");
        let place = ("/orders/{id}", path.as_str());
        self.0.read("the order", place, context).await
    }
}
