//! Watching what is published, on either back end.

use super::seen::Published;
use crate::{Database, Message, Tap, wait::PAUSE};
use serde_json::Value;
use sqlx::{Row, SqliteConnection, sqlite::SqliteRow, types::Uuid};
use std::time::{Duration, Instant};

/// All events that are published from now on.
#[derive(Debug)]
pub struct Events(Source);

#[derive(Debug)]
enum Source {
    Tap(Tap),
    /// The outbox keeps what was published.
    Outbox {
        database: Database,
        seen: i64,
    },
}

impl Events {
    pub(super) fn on_broker(tap: Tap) -> Self {
        Self(Source::Tap(tap))
    }

    pub(super) async fn in_outbox(url: &str) -> Self {
        let mut database = Database::open(url).await;
        let published = "SELECT count(*) FROM order_outbox WHERE published_at IS NOT NULL";
        let seen = database.number(published).await;
        Self(Source::Outbox { database, seen })
    }

    /// The next event, or nothing if none comes within `timeout`.
    pub async fn next(&mut self, timeout: Duration) -> Option<Published> {
        let start = Instant::now();
        loop {
            let event = match &mut self.0 {
                Source::Tap(tap) => return tap.next(timeout).await.map(published),
                Source::Outbox { database, seen } => from_outbox(database, seen).await,
            };
            if event.is_some() || start.elapsed() > timeout {
                return event;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// The next `count` events; panics, showing those that came, if `timeout` is over before.
    pub async fn collect(&mut self, count: usize, timeout: Duration) -> Vec<Published> {
        let start = Instant::now();
        let mut events = Vec::new();
        while events.len() < count {
            match self.next(timeout.saturating_sub(start.elapsed())).await {
                Some(event) => events.push(event),
                None => panic!("{} of {count} events came: {events:#?}", events.len()),
            }
        }
        events
    }
}

async fn from_outbox(database: &mut Database, seen: &mut i64) -> Option<Published> {
    let Database::Sqlite(connection) = database else {
        unreachable!("the embedded back end is a file");
    };
    let row = published_after(connection, *seen).await;
    let row = row.unwrap_or_else(|error| panic!("the outbox cannot be read: {error}"))?;
    *seen += 1;
    Some(Published {
        event_type: row.get("event_type"),
        routing_key: row.get("routing_key"),
        message_id: row.get::<Uuid, _>("event_id").to_string(),
        traceparent: row.get("traceparent"),
        tracestate: row.get("tracestate"),
        body: row.get("payload"),
        amqp: None,
    })
}

async fn published_after(
    connection: &mut SqliteConnection,
    seen: i64,
) -> sqlx::Result<Option<SqliteRow>> {
    let published = "SELECT event_type, routing_key, event_id, traceparent, tracestate, payload \
                     FROM order_outbox WHERE published_at IS NOT NULL \
                     ORDER BY published_at, id LIMIT 1 OFFSET ?";
    sqlx::query(published)
        .bind(seen)
        .fetch_optional(connection)
        .await
}

fn published(message: Message) -> Published {
    let header = |name: &str| message.headers.get(name).and_then(Value::as_str);
    Published {
        event_type: message.type_.clone().unwrap_or_default(),
        routing_key: message.routing_key.clone(),
        message_id: message.message_id.clone().unwrap_or_default(),
        traceparent: header("traceparent").unwrap_or_default().to_owned(),
        tracestate: header("tracestate").map(str::to_owned),
        body: String::from_utf8_lossy(&message.body).into_owned(),
        amqp: Some(message),
    }
}
