//! The one prepared statement of each floor.

use std::str::FromStr;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, NoTls};
use uuid::Uuid;

/// As many as a service has.
const CONNECTIONS: usize = 20;

/// What an endpoint cannot do without: for writes with their history and their event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Statement {
    /// One order, whole.
    Get,
    /// A page of a customer's orders, and how many there are.
    List,
    /// An order, its history and its event.
    Create,
    /// A new state and its history.
    Patch,
}

impl Statement {
    fn sql(self) -> &'static str {
        match self {
            Self::Get => {
                "SELECT id, user_id, status, items, shipping_address, total_amount, currency, notes,
                        confirmed_at, shipped_at, delivered_at, created_at, updated_at
                 FROM orders WHERE id = $1"
            }
            Self::List => {
                "SELECT id, status, total_amount, currency, created_at,
                        (SELECT count(*) FROM orders WHERE user_id = $1)
                 FROM orders WHERE user_id = $1
                 ORDER BY created_at DESC, id DESC LIMIT 20"
            }
            // As if published, or the service's relay would carry it off.
            Self::Create => {
                "WITH placed AS (
                     INSERT INTO orders (id, user_id, items, shipping_address, total_amount)
                     VALUES ($1, $2, $3::text::jsonb -> 'items',
                             $3::text::jsonb -> 'shipping_address', 112.97)
                 ), logged AS (
                     INSERT INTO order_history (order_id, to_status, actor_id, actor_role, at,
                                                request_id, trace_id)
                     VALUES ($1, 'pending', $2::uuid::text, 'customer', now(), $1::uuid::text,
                             repeat('0', 32))
                 )
                 INSERT INTO order_outbox (event_id, subject, event_type, routing_key, payload,
                                           traceparent, created_at, published_at)
                 VALUES ($1, $1, 'OrderCreated', 'order.created', $3, repeat('0', 55), now(), now())"
            }
            Self::Patch => {
                "WITH moved AS (
                     UPDATE orders SET status = 'confirmed', confirmed_at = now(),
                                       updated_at = now()
                     WHERE id = $1 AND status = 'pending' RETURNING id
                 )
                 INSERT INTO order_history (order_id, from_status, to_status, actor_id, actor_role,
                                            at, request_id, trace_id)
                 SELECT id, 'pending', 'confirmed', id, 'admin', now(), id, repeat('0', 32)
                 FROM moved"
            }
        }
    }
}

/// Connections that have the statement prepared, taken in turn. The driver sends a statement while
/// others are under way on the same connection, so nobody waits for a free one.
pub(crate) struct Database {
    clients: Vec<(Client, tokio_postgres::Statement)>,
    statement: Statement,
    next: AtomicUsize,
    user: Uuid,
}

impl Database {
    pub(crate) async fn open(url: &str, statement: Statement, user: Uuid) -> Self {
        let mut clients = Vec::new();
        for _ in 0..CONNECTIONS {
            let (client, connection) = tokio_postgres::connect(url, NoTls)
                .await
                .expect("the database answers");
            tokio::spawn(connection);
            let prepared = client.prepare(statement.sql()).await;
            clients.push((client, prepared.expect("a statement")));
        }
        Self {
            clients,
            statement,
            next: AtomicUsize::new(0),
            user,
        }
    }

    /// Runs the statement for the order that the path names, or for the one customer.
    pub(crate) async fn run(&self, path: &str, body: &[u8]) {
        let turn = self.next.fetch_add(1, Ordering::Relaxed) % self.clients.len();
        let (client, prepared) = &self.clients[turn];
        let named = || path.split('/').find_map(|part| Uuid::from_str(part).ok());
        let body = std::str::from_utf8(body).unwrap_or_default();
        let (order, fresh);
        let parameters: &[&(dyn ToSql + Sync)] = match self.statement {
            Statement::List => &[&self.user],
            Statement::Create => {
                fresh = Uuid::from_bytes(fastrand::u128(..).to_le_bytes());
                &[&fresh, &self.user, &body]
            }
            Statement::Get | Statement::Patch => {
                order = named().expect("the path names an order");
                &[&order]
            }
        };
        match self.statement {
            Statement::Get | Statement::List => {
                let rows = client.query(prepared, parameters).await;
                assert!(!rows.expect("rows").is_empty(), "no rows");
            }
            Statement::Create | Statement::Patch => {
                let changed = client.execute(prepared, parameters).await;
                assert_eq!(changed.expect("a change"), 1, "nothing changed");
            }
        }
    }
}
