//! `shopflow outbox list|flush`: events on their way to the broker.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use core_kernel::{
    Clock, EventPublisher, Outbox, RelayError, SystemClock, WaitingEvent, wire_time,
};
use jiff::SignedDuration;
use serde_json::{Value, json};
use shopflow_amqp::AmqpPublisher;
use shopflow_postgres::{PgOutbox, Schema, schemas};
use tokio::time::Instant;

use super::output::{json, listing, note, say};
use super::place::{Data, Place, failed};
use crate::Failure;
use crate::cli::{OutboxCommand, OutboxFlushArgs, OutboxListArgs, Output};
use crate::config::{Problems, Secret};
use crate::dev::Folder;
use crate::serve::block_on;
use crate::serve::relay::{Relay, RelayWake};

/// How long a `shopflow dev` that runs on the folder may take. It looks once a second.
const BY_ANOTHER: Duration = Duration::from_secs(5);

/// One outbox with its name.
struct Named {
    service: &'static str,
    outbox: Arc<dyn Outbox>,
}

pub(crate) fn run(command: &OutboxCommand) -> Result<(), Failure> {
    block_on(async {
        match command {
            OutboxCommand::List(args) => list(args).await,
            OutboxCommand::Flush(args) => flush(args).await,
        }
    })
}

/// The outboxes that are there. A folder has one for both services.
async fn outboxes(data: &Data) -> Result<Vec<Named>, Failure> {
    let pool = match data {
        Data::Folder(database) => {
            let outbox = Arc::new(database.outbox());
            let service = "dev";
            return Ok(vec![Named { service, outbox }]);
        }
        Data::Server(pool) => pool,
    };
    let found = schemas(pool).await.context("DATABASE_URL")?;
    let outboxes = found.iter().filter_map(|schema| {
        let outbox: Arc<dyn Outbox> = match schema {
            Schema::Auth => Arc::new(PgOutbox::users(pool.clone())),
            Schema::Orders => Arc::new(PgOutbox::orders(pool.clone())),
            Schema::Notify => return None,
        };
        let service = schema.name();
        Some(Named { service, outbox })
    });
    let outboxes: Vec<Named> = outboxes.collect();
    match outboxes.is_empty() {
        false => Ok(outboxes),
        true => {
            Err(anyhow!("DATABASE_URL has no outbox: it is neither of auth nor of orders").into())
        }
    }
}

impl Named {
    fn failed(&self, error: RelayError) -> Failure {
        Failure::Failed(anyhow::Error::new(error).context(failed(self.service)))
    }
}

async fn list(args: &OutboxListArgs) -> Result<(), Failure> {
    let mut problems = Problems::default();
    let place = args.place.check(&mut problems);
    let data = problems.finish(place)?.open("shopflow outbox", 2).await?;
    let (mut rows, mut data_rows, mut more) = (Vec::new(), Vec::new(), false);
    let (now, limit) = (SystemClock.now(), args.limit as usize);
    for named in outboxes(&data).await? {
        // One more tells whether others follow. To count them all takes long when many wait.
        let events = named.outbox.waiting(args.limit.saturating_add(1)).await;
        let events = events.map_err(|error| named.failed(error))?;
        more |= events.len() > limit;
        for event in events.iter().take(limit) {
            rows.push(vec![
                event.event_id.to_string(),
                event.event_type.clone(),
                event.subject.to_string(),
                age(now.duration_since(event.since)),
                event.refusals.to_string(),
            ]);
            data_rows.push(json_of(event));
        }
    }
    let more = more.then_some("more wait; see --limit");
    let head = ["EVENT", "TYPE", "SUBJECT", "AGE", "REFUSALS"];
    listing(args.output.output, &head, rows, data_rows, more)
}

/// In whole seconds, `1m 5s`.
fn age(age: SignedDuration) -> String {
    format!("{:#}", SignedDuration::from_secs(age.as_secs()))
}

fn json_of(event: &WaitingEvent) -> Value {
    json!({
        "event_id": event.event_id,
        "type": event.event_type,
        "subject": event.subject,
        "waiting_since": wire_time::format(event.since),
        "refusals": event.refusals,
    })
}

async fn flush(args: &OutboxFlushArgs) -> Result<(), Failure> {
    let mut problems = Problems::default();
    let place = args.place.check(&mut problems);
    let broker = match &place {
        Some(Place::Server(_)) => args.broker.required(&mut problems),
        _ => None,
    };
    let place = problems.finish(place)?;
    // A folder has one relay at a time; while its lock is held, this is it.
    let lock = match &place {
        Place::Server(_) => None,
        Place::Folder(folder) => {
            Folder::database_in(folder)?;
            Some(Folder::open(folder))
        }
    };
    let data = place.open("shopflow outbox", 2).await?;
    let (mut published, mut waiting) = (0, 0);
    for named in outboxes(&data).await? {
        let flushed = match &lock {
            Some(Err(_)) => by_another(&named).await,
            _ => {
                let relay = Relay {
                    outbox: named.outbox.clone(),
                    publisher: publisher(&data, &named, broker.as_ref()),
                    wake: RelayWake::default(),
                };
                relay.flush().await
            }
        };
        published += flushed.map_err(|error| named.failed(error))?;
        let backlog = named.outbox.backlog().await;
        waiting += backlog.map_err(|error| named.failed(error))?.waiting;
    }
    match args.output.output {
        Output::Json => json(&json!({ "published": published, "waiting": waiting }))?,
        Output::Table => say(&format!("{published} published"))?,
    }
    match waiting {
        0 => Ok(()),
        waiting => Err(anyhow!("{waiting} still wait; see: shopflow outbox list").into()),
    }
}

fn publisher(data: &Data, named: &Named, broker: Option<&Secret>) -> Arc<dyn EventPublisher> {
    let url = broker.map(|url| url.expose().to_owned());
    let url = url.unwrap_or_default();
    match data {
        Data::Folder(database) => Arc::new(database.bus()),
        Data::Server(_) if named.service == Schema::Auth.name() => {
            Arc::new(AmqpPublisher::users(url))
        }
        Data::Server(_) => Arc::new(AmqpPublisher::orders(url)),
    }
}

/// Where `shopflow dev` runs, its relay publishes.
async fn by_another(named: &Named) -> Result<u64, RelayError> {
    note("shopflow dev runs on this folder, and publishes by itself");
    let before = named.outbox.backlog().await?.waiting;
    named.outbox.hurry().await?;
    let deadline = Instant::now() + BY_ANOTHER;
    let mut left = before;
    while left > 0 && Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(50)).await;
        left = named.outbox.backlog().await?.waiting;
    }
    Ok(before.saturating_sub(left))
}
