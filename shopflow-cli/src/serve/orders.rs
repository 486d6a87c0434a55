//! The order service.

use std::sync::Arc;

use anyhow::Context;
use async_trait::async_trait;
use core_kernel::{Limit, SystemClock};
use core_orders::{OrderRetention, Orders};
use shopflow_amqp::AmqpPublisher;
use shopflow_http::{AuthClient, HttpClient, OrdersApi, Readiness};
use shopflow_postgres::{PgOrderStore, PgOutbox, Schema};

use super::database::Database;
use super::limits::Limits;
use super::relay::{Relay, RelayWake};
use super::{lifecycle, listen, prune, queues, retention, secret_file, serve, start};
use crate::config::OrdersConfig;

struct Needs {
    database: Database,
    publisher: Arc<AmqpPublisher>,
}

#[async_trait]
impl Readiness for Needs {
    async fn checks(&self) -> Vec<(&'static str, bool)> {
        vec![
            ("database", self.database.is_ready().await),
            ("broker", self.publisher.is_connected()),
        ]
    }
}

pub(crate) async fn run(config: OrdersConfig) -> anyhow::Result<()> {
    let (signals, telemetry) = start(&config.http)?;
    let listeners = listen(&config.http).await?;
    let database = Database::open(&config.http, "shopflow orders")?;
    let publisher = Arc::new(AmqpPublisher::orders(
        config.peers.rabbitmq_url.expose().to_owned(),
    ));
    let needs = Needs {
        database: database.clone(),
        publisher: publisher.clone(),
    };
    let (mut lifecycle, ops) = lifecycle(&config.http, Arc::new(needs), &telemetry)?;
    database.keep_up_to_date(&mut lifecycle, Schema::Orders);
    let connected = publisher.clone();
    queues::tell_connected(&telemetry.figures, move || connected.is_connected());

    let token = secret_file::token(
        &mut lifecycle,
        "AUTH_SERVICE_TOKEN",
        config.peers.auth_token,
    );
    let client = HttpClient::new().context("no certificate authorities")?;
    let verifier =
        AuthClient::new(client, &config.peers.auth_url, token).context("AUTH_SERVICE_URL")?;

    let wake = RelayWake::default();
    let outbox = Arc::new(PgOutbox::orders(database.pool.clone()));
    let relay = Relay {
        outbox: outbox.clone(),
        publisher: publisher.clone(),
        wake: wake.clone(),
    };
    // The relay goes on until the last request is answered: that one's event goes out too.
    let served = lifecycle.served();
    lifecycle.spawn("relay", async move {
        relay.run(served).await;
        publisher.close().await;
    });

    let store = Arc::new(PgOrderStore::new(database.pool.clone()));
    let keeper = store.clone();
    database.tell_connections(&telemetry.figures, move || keeper.kept_connections());
    let data = Arc::new(OrderRetention(store.clone()));
    retention::schedule(
        &mut lifecycle,
        &database,
        Schema::Orders,
        data,
        &config.http,
    );
    let orders = Orders::new(store, Arc::new(wake), Arc::new(SystemClock));
    prune::keys(&mut lifecycle, orders.clone());
    prune::events(&mut lifecycle, outbox, Arc::new(SystemClock));
    let limits = Limits::new(&mut lifecycle, config.redis)?;
    let api = api(orders, verifier, config.rate_limit, &limits);
    let running = (lifecycle, signals, telemetry);
    serve(running, listeners, api, ops, &config.http).await
}

/// The service with its limit, if it has one.
pub(crate) fn api(
    orders: Orders,
    verifier: AuthClient,
    per_minute: Option<u32>,
    limits: &Limits,
) -> OrdersApi {
    let api = OrdersApi::new(orders, Arc::new(verifier));
    match per_minute {
        Some(requests) => api.with_limiter(limits.limiter(Limit::per_minute("orders", requests))),
        None => api,
    }
}
