//! One virtual host, and what a test looks at or breaks in it.

use super::{
    message::{Message, to_table},
    rabbitmq::{Access, RabbitMq},
    tap::Tap,
};
use crate::{Client, process::unique_name, runtime::runtime};
use anyhow::{Context, Result, ensure};
use http::Method;
use lapin::{
    BasicProperties, Channel, Confirmation, Connection, ConnectionProperties, ErrorKind,
    options::{
        BasicAckOptions, BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions,
        QueueBindOptions, QueueDeclareOptions, QueueDeleteOptions,
    },
    types::FieldTable,
};
use serde_json::{Value, json};
use std::{fmt, sync::Arc, time::Duration};
use tokio::sync::Mutex;

/// A virtual host of its own, with a connection for looking into it that leads past all proxies
/// and comes back after a restart of the broker.
#[derive(Clone, Debug)]
pub struct Vhost(Arc<Inner>);

struct Inner {
    name: String,
    url: String,
    management: Client,
    /// For taking the host away, when the test's own runtime may be gone; where it does not go with
    /// its broker.
    after_all: Option<Client>,
    connection: Mutex<Option<Connection>>,
    addr: String,
    /// Keeps its broker running, where others are on it as well.
    _broker: Option<Arc<RabbitMq>>,
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Inner").field(&self.name).finish()
    }
}

/// On a broker that is not ours its queues would go on to cost memory and time, more with every test.
/// One of ours is given up instead: RabbitMQ 3.10 may be broken by the deletion of queues that
/// dead-letter at least once. Their workers die of it, and when two have done so at once their
/// supervisor gives up, and no such queue is made any more.
impl Drop for Inner {
    fn drop(&mut self) {
        let Some(management) = self.after_all.take() else {
            return;
        };
        let path = format!("/api/vhosts/{}", self.name);
        runtime().spawn(async move {
            let delete = management.request(Method::DELETE, &path, &[], "");
            // A broker that is gone has taken it along.
            let _ = delete.await;
        });
    }
}

pub(super) async fn create(access: &Access, delete: bool, broker: Option<Arc<RabbitMq>>) -> Vhost {
    let name = unique_name("shopflow_test");
    let mut url = access.amqp.clone();
    url.path = format!("/{name}");
    let vhost = Vhost(Arc::new(Inner {
        url: url.to_string(),
        management: access.management(),
        after_all: delete.then(|| access.management()),
        connection: Mutex::new(None),
        addr: access.amqp.host_port.clone(),
        _broker: broker,
        name,
    }));
    vhost
        .manage("PUT", &format!("/api/vhosts/{}", vhost.name()), &json!({}))
        .await;
    let everything = json!({ "configure": ".*", "write": ".*", "read": ".*" });
    let permissions = format!("/api/permissions/{}/{}", vhost.name(), access.user);
    vhost.manage("PUT", &permissions, &everything).await;
    vhost
}

impl Vhost {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The AMQP URL.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.0.url
    }

    /// `host:port` for AMQP, for a [`Proxy`](crate::Proxy).
    #[must_use]
    pub fn addr(&self) -> &str {
        &self.0.addr
    }

    /// A client of the management API, for what has no method here.
    #[must_use]
    pub fn management(&self) -> &Client {
        &self.0.management
    }

    /// How many messages wait in a queue, without those delivered but not yet acknowledged;
    /// nothing if there is no such queue. Asked by AMQP, because the management API's figures are
    /// seconds old.
    pub async fn queue_depth(&self, queue: &str) -> Option<u64> {
        let channel = must(self.channel().await);
        let passive = QueueDeclareOptions {
            passive: true,
            ..Default::default()
        };
        match channel
            .queue_declare(queue.into(), passive, FieldTable::default())
            .await
        {
            Ok(queue) => Some(queue.message_count().into()),
            Err(error) if is_not_found(&error) => None,
            Err(error) => panic!("queue {queue} cannot be looked at: {error}"),
        }
    }

    /// Takes one message out of a queue, if there is one.
    pub async fn get(&self, queue: &str) -> Option<Message> {
        must(get(&must(self.channel().await), queue).await)
    }

    /// Takes all waiting messages out of a queue.
    pub async fn drain(&self, queue: &str) -> Vec<Message> {
        let channel = must(self.channel().await);
        let mut messages = Vec::new();
        while let Some(message) = must(get(&channel, queue).await) {
            messages.push(message);
        }
        messages
    }

    /// Publishes a persistent JSON message; panics unless the broker confirms it and some queue
    /// takes it.
    pub async fn publish(
        &self,
        exchange: &str,
        routing_key: &str,
        body: impl AsRef<[u8]>,
        message_id: Option<&str>,
        type_: Option<&str>,
        headers: &[(&str, Value)],
    ) {
        let mut properties = BasicProperties::default()
            .with_content_type("application/json".into())
            .with_delivery_mode(2)
            .with_headers(to_table(headers));
        if let Some(id) = message_id {
            properties = properties.with_message_id(id.into());
        }
        if let Some(type_) = type_ {
            properties = properties.with_type(type_.into());
        }
        let publish = async {
            let channel = self.channel().await?;
            channel
                .confirm_select(ConfirmSelectOptions::default())
                .await?;
            let options = BasicPublishOptions {
                mandatory: true,
                ..Default::default()
            };
            let (exchange, key) = (exchange.into(), routing_key.into());
            let body = body.as_ref();
            let confirm = channel
                .basic_publish(exchange, key, options, body, properties)
                .await?;
            let confirmation = confirm.await?;
            ensure!(
                matches!(confirmation, Confirmation::Ack(None)),
                "the broker says {confirmation:?}"
            );
            Ok(())
        };
        must(
            publish
                .await
                .with_context(|| format!("publishing {routing_key} to {exchange}")),
        );
    }

    /// Declares a durable queue; `arguments` such as `[("x-max-length", 1.into())]`.
    pub async fn declare_queue(&self, queue: &str, arguments: &[(&str, Value)]) {
        let channel = must(self.channel().await);
        let declared = channel.queue_declare(
            queue.into(),
            QueueDeclareOptions::durable(),
            to_table(arguments),
        );
        must(declared.await.with_context(|| format!("declaring {queue}")));
    }

    /// Deletes a queue with all that is in it.
    pub async fn delete_queue(&self, queue: &str) {
        let channel = must(self.channel().await);
        let deleted = channel.queue_delete(queue.into(), QueueDeleteOptions::default());
        must(deleted.await.with_context(|| format!("deleting {queue}")));
    }

    /// Binds a queue to an exchange.
    pub async fn bind(&self, exchange: &str, queue: &str, routing_key: &str) {
        let channel = must(self.channel().await);
        let (options, arguments) = (QueueBindOptions::default(), FieldTable::default());
        let bound = channel.queue_bind(
            queue.into(),
            exchange.into(),
            routing_key.into(),
            options,
            arguments,
        );
        must(
            bound
                .await
                .with_context(|| format!("binding {queue} to {exchange}")),
        );
    }

    /// Removes a binding, so that messages get lost or come back as unroutable.
    pub async fn unbind(&self, exchange: &str, queue: &str, routing_key: &str) {
        let channel = must(self.channel().await);
        let arguments = FieldTable::default();
        let unbound =
            channel.queue_unbind(queue.into(), exchange.into(), routing_key.into(), arguments);
        must(
            unbound
                .await
                .with_context(|| format!("unbinding {queue} from {exchange}")),
        );
    }

    /// Sets a policy on the queues whose names match `pattern`, such as
    /// `{"max-length": 0, "overflow": "reject-publish"}`.
    pub async fn set_policy(&self, policy: &str, pattern: &str, definition: &Value) {
        let body = json!({ "pattern": pattern, "definition": definition, "apply-to": "queues" });
        self.manage(
            "PUT",
            &format!("/api/policies/{}/{policy}", self.name()),
            &body,
        )
        .await;
    }

    /// Removes a policy.
    pub async fn delete_policy(&self, policy: &str) {
        let path = format!("/api/policies/{}/{policy}", self.name());
        self.manage("DELETE", &path, &json!({})).await;
    }

    /// Copies all that is published to an exchange from now on, and matches the routing key, into
    /// a queue of the test's own. The exchange must exist.
    pub async fn bind_tap(&self, exchange: &str, routing_key: &str) -> Tap {
        // Durable and not exclusive, so that it survives a restart of the broker.
        let queue = unique_name("tap");
        self.declare_queue(&queue, &[]).await;
        let tap = Tap::new(self.clone(), queue, exchange, routing_key);
        tap.bind_again().await;
        tap
    }

    async fn manage(&self, method: &str, path: &str, body: &Value) {
        let method: Method = method.parse().expect("a method of our own");
        let json = [("content-type", "application/json")];
        let management = self.management();
        let send = || management.request(method.clone(), path, &json, body.to_string());
        let answer = match send().await {
            Ok(answer) => answer,
            // A broker that had only just booted was seen to hang up. All of these may be repeated.
            Err(_) => must(send().await),
        };
        let (status, text) = (answer.status, answer.text());
        assert!(status < 300, "{path}: {status} {text}");
    }

    /// A new channel for each task, because an error closes the channel it came on.
    pub(super) async fn channel(&self) -> Result<Channel> {
        let mut connection = self.0.connection.lock().await;
        if let Some(connection) = &*connection
            && connection.status().connected()
            && let Ok(channel) = connection.create_channel().await
        {
            return Ok(channel);
        }
        let connection = connection.insert(connect(&self.0.url).await?);
        Ok(connection.create_channel().await?)
    }
}

/// On the kit's runtime, so that the connection depends on no test's runtime.
pub(super) async fn connect(url: &str) -> Result<Connection> {
    let url = url.to_owned();
    let connect = async move { Connection::connect(&url, ConnectionProperties::default()).await };
    let connection = tokio::time::timeout(Duration::from_secs(10), runtime().spawn(connect));
    Ok(connection.await.context("RabbitMQ does not answer")???)
}

/// Takes one message out of a queue, if there is one.
pub(super) async fn get(channel: &Channel, queue: &str) -> Result<Option<Message>> {
    let message = channel
        .basic_get(queue.into(), BasicGetOptions::default())
        .await?;
    let Some(message) = message else {
        return Ok(None);
    };
    channel
        .basic_ack(message.delivery.delivery_tag, BasicAckOptions::default())
        .await?;
    Ok(Some(Message::from_amqp(message)))
}

fn is_not_found(error: &lapin::Error) -> bool {
    matches!(error.kind(), ErrorKind::ProtocolError(error) if error.get_id() == 404)
}

fn must<T>(result: Result<T>) -> T {
    result.unwrap_or_else(|error| panic!("{error:#}"))
}
