//! The notification service.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use async_trait::async_trait;
use core_kernel::SystemClock;
use core_notify::{
    Channel, Lane, Lanes, NotificationRetention, Notifications, Notifier, Templates,
};
use shopflow_amqp::{AmqpQueues, Consumer, ConsumerStatus};
use shopflow_http::{AuthClient, HttpClient, NotifyApi, OrdersClient, Readiness};
use shopflow_postgres::{PgNotificationStore, Schema};
use shopflow_ses::SesSender;
use shopflow_twilio::TwilioSender;

use super::database::Database;
use super::measured::Measured;
use super::{lifecycle, listen, queues, retention, secret_file, serve, start};
use crate::config::NotifyConfig;
use crate::lifecycle::Lifecycle;

/// How often the gauges are set.
const GAUGE: Duration = Duration::from_secs(1);

struct Needs {
    database: Database,
    consumer: ConsumerStatus,
}

#[async_trait]
impl Readiness for Needs {
    async fn checks(&self) -> Vec<(&'static str, bool)> {
        vec![
            ("database", self.database.is_ready().await),
            ("broker", self.consumer.is_consuming()),
        ]
    }
}

pub(crate) async fn run(config: NotifyConfig) -> anyhow::Result<()> {
    let (signals, telemetry) = start(&config.http)?;
    let listeners = listen(&config.http).await?;
    let database = Database::open(&config.http, "shopflow notify")?;
    let status = ConsumerStatus::default();
    let needs = Needs {
        database: database.clone(),
        consumer: status.clone(),
    };
    let (mut lifecycle, ops) = lifecycle(&config.http, Arc::new(needs), &telemetry)?;
    database.keep_up_to_date(&mut lifecycle, Schema::Notify);
    let consuming = status.clone();
    queues::tell_connected(&telemetry.figures, move || consuming.is_consuming());

    let client = HttpClient::new().context("no certificate authorities")?;
    let auth_token = secret_file::token(
        &mut lifecycle,
        "AUTH_SERVICE_TOKEN",
        config.peers.auth_token,
    );
    let order_token = secret_file::token(&mut lifecycle, "ORDER_SERVICE_TOKEN", config.order_token);
    let auth = AuthClient::new(client.clone(), &config.peers.auth_url, auth_token)
        .context("AUTH_SERVICE_URL")?;
    let orders = OrdersClient::new(client.clone(), &config.order_url, order_token)
        .context("ORDER_SERVICE_URL")?;
    let email = SesSender::connect(&config.ses_region, &config.ses_from).await;
    let sms = TwilioSender::new(client, &config.twilio_url, &config.twilio)
        .context("TWILIO_AUTH_TOKEN")?;

    let [email_lane, sms_lane] = config.ambiguous.map(|ambiguous| Lane {
        ambiguous,
        ..Lane::default()
    });
    let lanes = Arc::new(Lanes {
        email: email_lane,
        sms: sms_lane,
        ..Lanes::default()
    });
    tell_breakers(&mut lifecycle, lanes.clone());
    let store = Arc::new(PgNotificationStore::new(database.pool.clone()));
    let keeper = store.clone();
    database.tell_connections(&telemetry.figures, move || keeper.kept_connections());
    let archive = retention::archive(config.archive.as_ref())?;
    let data = Arc::new(NotificationRetention {
        store: store.clone(),
        archive,
        purged: Some(Arc::new(auth.clone())),
        batch: NotificationRetention::BATCH,
    });
    retention::schedule(
        &mut lifecycle,
        &database,
        Schema::Notify,
        data,
        &config.http,
    );
    let notifier = Notifier {
        orders: Arc::new(orders),
        contacts: Arc::new(auth.clone()),
        tokens: Arc::new(auth.clone()),
        store: store.clone(),
        email: Arc::new(Measured::new(Channel::Email, email)),
        sms: Arc::new(Measured::new(Channel::Sms, sms)),
        lanes: lanes.clone(),
        templates: Arc::new(Templates::embedded().context("templates")?),
        links: config.links,
        clock: Arc::new(SystemClock),
    };
    let rabbitmq_url = config.peers.rabbitmq_url.expose().to_owned();
    queues::tell_depths(&mut lifecycle, AmqpQueues::new(rabbitmq_url.clone()));
    let consumer = Consumer::new(
        rabbitmq_url,
        Arc::new(notifier),
        Arc::new(SystemClock),
        status,
    );
    let stopping = lifecycle.stopping();
    lifecycle.spawn("consumer", async move { consumer.run(stopping).await });

    let api = NotifyApi::new(Notifications::new(store), Arc::new(auth));
    let running = (lifecycle, signals, telemetry);
    serve(running, listeners, api, ops, &config.http).await
}

/// Keeps the gauge `shopflow_breaker_open`: 1 while sending, or asking a neighbour, is paused.
pub(crate) fn tell_breakers(lifecycle: &mut Lifecycle, lanes: Arc<Lanes>) {
    let mut stopping = lifecycle.stopping();
    lifecycle.spawn("breakers", async move {
        loop {
            for (name, breaker) in [
                ("email", &lanes.email.breaker),
                ("sms", &lanes.sms.breaker),
                ("orders", &lanes.orders),
                ("auth", &lanes.auth),
            ] {
                let open = if breaker.is_open() { 1.0 } else { 0.0 };
                metrics::gauge!("shopflow_breaker_open", "of" => name).set(open);
            }
            tokio::select! {
                () = tokio::time::sleep(GAUGE) => {}
                _ = stopping.wait_for(|stop| *stop) => return,
            }
        }
    });
}
