//! Watching what is published.

use super::{
    message::Message,
    vhost::{Vhost, get},
};
use crate::wait::PAUSE;
use anyhow::{Context, Result};
use lapin::Channel;
use std::time::{Duration, Instant};

/// A test's own view of what is published.
#[derive(Debug)]
pub struct Tap {
    vhost: Vhost,
    queue: String,
    exchange: String,
    routing_key: String,
    channel: Option<Channel>,
}

impl Tap {
    pub(super) fn new(vhost: Vhost, queue: String, exchange: &str, routing_key: &str) -> Self {
        Self {
            vhost,
            queue,
            exchange: exchange.to_owned(),
            routing_key: routing_key.to_owned(),
            channel: None,
        }
    }

    /// Binds it once more, as is needed after a broker was killed: RabbitMQ writes a binding to disk
    /// only some seconds after it has said that it exists.
    pub async fn bind_again(&self) {
        self.vhost
            .bind(&self.exchange, &self.queue, &self.routing_key)
            .await;
    }

    /// The next message, or nothing if none comes within `timeout`. A broker that is down
    /// meanwhile is waited for too.
    pub async fn next(&mut self, timeout: Duration) -> Option<Message> {
        let start = Instant::now();
        loop {
            match self.try_get().await {
                Ok(Some(message)) => return Some(message),
                Ok(None) => {}
                Err(_) => self.channel = None,
            }
            if start.elapsed() > timeout {
                return None;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// The next `count` messages; panics, showing those that came, if `timeout` is over before.
    pub async fn collect(&mut self, count: usize, timeout: Duration) -> Vec<Message> {
        let start = Instant::now();
        let mut messages = Vec::new();
        while messages.len() < count {
            match self.next(timeout.saturating_sub(start.elapsed())).await {
                Some(message) => messages.push(message),
                None => panic!("{} of {count} messages came: {messages:#?}", messages.len()),
            }
        }
        messages
    }

    async fn try_get(&mut self) -> Result<Option<Message>> {
        if self.channel.is_none() {
            self.channel = Some(self.vhost.channel().await?);
        }
        get(self.channel.as_ref().context("set above")?, &self.queue).await
    }
}
