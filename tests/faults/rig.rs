//! The whole of ShopFlow, two of each service that works, on servers of its own.

use std::time::Duration;

use shopflow_testkit::{
    FakeSes, FakeTwilio, JWT_SECRET, Postgres, PrivatePostgres, PrivateRabbitMq, RabbitMq, Vhost,
};

use crate::node::{Node, service_token};

/// Long enough for a loaded machine; what is waited for usually takes milliseconds.
pub(crate) const SOON: Duration = Duration::from_secs(60);

/// Where orders are placed.
pub(crate) const ORDERS: [usize; 2] = [1, 2];

pub(crate) struct Rig {
    // Before what they need, so that they are gone when that goes.
    pub(crate) nodes: Vec<Node>,
    pub(crate) postgres: PrivatePostgres,
    pub(crate) broker: PrivateRabbitMq,
    pub(crate) vhost: Vhost,
    pub(crate) ses: FakeSes,
    pub(crate) twilio: FakeTwilio,
    pub(crate) database_url: String,
}

impl Rig {
    /// Everything, ready. The clock of one order service is five minutes slow, and that of one
    /// notification service as much fast.
    pub(crate) async fn start() -> Self {
        let (postgres, broker) = (Postgres::private().await, RabbitMq::private().await);
        let (vhost, database_url) = (broker.vhost().await, postgres.database().await);
        let (ses, twilio) = (FakeSes::start(), FakeTwilio::start());
        let database = |node: Node| node.linked("the database", "DATABASE_URL", &database_url);
        let on_broker = |node: Node| node.linked("the broker", "RABBITMQ_URL", vhost.url());

        let auth = on_broker(database(Node::new("auth", "auth"))).with("JWT_SECRET", JWT_SECRET);
        let auth_url = auth.url();
        let known = |node: Node, subject: &str| {
            node.linked("auth", "AUTH_SERVICE_URL", &auth_url)
                .with("AUTH_SERVICE_TOKEN", service_token(subject))
        };
        let orders = ["orders a", "orders b"].map(|name| {
            known(
                on_broker(database(Node::new(name, "orders"))),
                "order-service",
            )
        });
        let order_urls = [orders[0].url(), orders[1].url()];
        let [orders_a, orders_b] = orders;
        let notify = |name, order_url: &str| {
            let node = on_broker(database(Node::new(name, "notify")));
            known(node, "notification-service")
                .linked("orders", "ORDER_SERVICE_URL", order_url)
                .with("ORDER_SERVICE_TOKEN", service_token("notification-service"))
                .linked("SES", "AWS_ENDPOINT_URL", ses.endpoint())
                .linked("Twilio", "TWILIO_API_BASE_URL", twilio.endpoint())
                .with("AWS_SES_REGION", "us-east-1")
                .with("AWS_SES_FROM_EMAIL", "noreply@shopflow.example")
                .with("AWS_ACCESS_KEY_ID", "test")
                .with("AWS_SECRET_ACCESS_KEY", "test")
                .with("TWILIO_ACCOUNT_SID", "AC00000000000000000000000000000000")
                .with("TWILIO_AUTH_TOKEN", "twilio-token")
                .with("TWILIO_FROM_NUMBER", "+15550001234")
        };
        let nodes = vec![
            auth,
            orders_a,
            orders_b.off_by("-300s"),
            notify("notify a", &order_urls[0]),
            notify("notify b", &order_urls[1]).off_by("+300s"),
        ];
        let mut rig = Self {
            nodes,
            postgres,
            broker,
            vhost,
            ses,
            twilio,
            database_url,
        };
        for node in &mut rig.nodes {
            node.launch();
        }
        rig.wait_ready().await;
        rig
    }

    pub(crate) async fn wait_ready(&self) {
        for node in &self.nodes {
            node.wait_ready().await;
        }
    }
}
