//! What the dashboard shows, out of the embedded database.

use async_trait::async_trait;
use core_kernel::BoxError;
use core_notify::DeadLetter;
use shopflow_embedded::Database;
use shopflow_http::{Dashboard, Overview};

pub(crate) struct Glance(pub(crate) Database);

#[async_trait]
impl Dashboard for Glance {
    async fn overview(&self) -> Result<Overview, BoxError> {
        let counts = self.0.counts().await?;
        let orders = counts.orders.into_iter();
        Ok(Overview {
            orders: orders.map(|(status, n)| (status.as_str(), n)).collect(),
            outbox_waiting: counts.outbox_waiting,
            bus_waiting: counts.bus_waiting,
            bus_retrying: counts.bus_retrying,
            dead_letters: counts.dead_letters,
        })
    }

    async fn dead_letters(&self, limit: u32) -> Result<Vec<DeadLetter>, BoxError> {
        Ok(self.0.bus().dead_letters(limit).await?)
    }
}
