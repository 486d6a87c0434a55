//! What a service has for itself: its database, its place on the broker.

use std::sync::Arc;
use std::time::Duration;

use core_kernel::{Clock, Outbox, SystemClock, chain};
use jiff::SignedDuration;
use shopflow_amqp::topology;
use shopflow_postgres::{Drift, PgOutbox, Schema, drift, pool};
use shopflow_redis::Redis;
use sqlx::PgPool;

use super::clock::compare;
use super::verdict::{Finding, PATIENCE, bounded, fail, late, ok, warn};
use crate::config::{DatabaseConfig, RedisConfig, Secret};

/// An event that waits longer is not on its way any more.
const STUCK: f64 = 60.0;

pub(super) async fn database(config: &DatabaseConfig, schema: Schema) -> Vec<Finding> {
    const ADVICE: &str = "is PostgreSQL running, and DATABASE_URL right?";
    let check = async {
        let pool = match pool(config.url.expose(), 1, "shopflow doctor") {
            Ok(pool) => pool,
            Err(error) => return vec![fail("database", error.to_string(), ADVICE)],
        };
        let before = SystemClock.now();
        // A fresh connection takes its time, so the clock is asked for a second time.
        match shopflow_postgres::clock(&pool).await {
            Ok(_) => {}
            // The pool has as much patience, and either may come to its end first.
            Err(sqlx::Error::PoolTimedOut) => return vec![fail("database", late(), ADVICE)],
            Err(error) => return vec![fail("database", chain(&error), ADVICE)],
        }
        let took = SystemClock.now().duration_since(before).as_millis();
        let mut all = vec![ok("database", format!("answers after {took} ms"))];
        let before = SystemClock.now();
        if let Ok(theirs) = shopflow_postgres::clock(&pool).await {
            let cut = SignedDuration::ZERO;
            all.push(compare("database clock", theirs, before, cut));
        }
        all.push(tables(&pool, schema).await);
        all.extend(outbox(&pool, schema).await);
        all
    };
    bounded("database", ADVICE, check).await
}

/// Versions of scripts, as people read them.
pub(super) fn list(versions: &[i64]) -> String {
    let versions = versions.iter().map(ToString::to_string);
    versions.collect::<Vec<_>>().join(", ")
}

/// The scripts that were applied against those that this program has.
async fn tables(pool: &PgPool, schema: Schema) -> Finding {
    let (name, service) = ("schema", schema.name());
    let migrate = format!("run: shopflow migrate {service}");
    match drift(pool, schema).await {
        Err(error) => {
            let code = error
                .as_database_error()
                .and_then(sqlx::error::DatabaseError::code);
            match code.as_deref() {
                Some("42P01") => fail(name, format!("there are no tables of {service}"), migrate),
                _ => fail(name, chain(&error), migrate),
            }
        }
        Ok(Drift {
            missing,
            unknown,
            broken,
        }) => match (&*missing, &*unknown, &*broken) {
            ([], [], []) => ok(name, "is that of this program"),
            (_, _, [_, ..]) => fail(
                name,
                format!("scripts {} were applied with other contents", list(&broken)),
                "restore the database, or the program that made it",
            ),
            ([_, ..], _, _) => {
                let what = format!("scripts {} are not applied yet", list(&missing));
                fail(name, what, migrate)
            }
            _ => warn(
                name,
                format!("scripts {} are of a newer program", list(&unknown)),
                "bring this one up to date",
            ),
        },
    }
}

async fn outbox(pool: &PgPool, schema: Schema) -> Option<Finding> {
    let outbox: Arc<dyn Outbox> = match schema {
        Schema::Auth => Arc::new(PgOutbox::users(pool.clone())),
        Schema::Orders => Arc::new(PgOutbox::orders(pool.clone())),
        Schema::Notify => return None,
    };
    Some(waiting(&*outbox).await)
}

/// Events that should have gone out.
pub(super) async fn waiting(outbox: &dyn Outbox) -> Finding {
    let name = "outbox";
    match outbox.backlog().await {
        Ok(backlog) if backlog.oldest_seconds > STUCK => {
            let age = SignedDuration::from_secs_f64(backlog.oldest_seconds.floor());
            let what = format!("{} events wait, one for {age:#}", backlog.waiting);
            warn(name, what, "see: shopflow outbox list")
        }
        Ok(backlog) => ok(name, format!("{} events wait", backlog.waiting)),
        Err(error) => fail(name, chain(&error), "mend the database first"),
    }
}

pub(super) async fn broker(url: &Secret) -> Vec<Finding> {
    const ADVICE: &str = "is RabbitMQ running, and RABBITMQ_URL right?";
    let check = async {
        let found = match topology::inspect(url.expose()).await {
            Ok(found) => found,
            Err(error) => return vec![fail("broker", chain(&*error), ADVICE)],
        };
        let mut all = vec![ok("broker", "answers")];
        if found.is_empty() {
            let what = "exchanges and queues are as this program declares them";
            all.push(ok("topology", what));
        }
        all.extend(found.into_iter().map(|one| match one.differs {
            Some(differs) => fail(
                "topology",
                format!("{} is another: {differs}", one.name),
                "drain and delete it; the next service that starts declares it anew",
            ),
            None => warn(
                "topology",
                format!("{} is not there", one.name),
                "the next service that starts declares it",
            ),
        }));
        all
    };
    bounded("broker", ADVICE, check).await
}

/// Limits are counted without it, so it is nothing to fail for.
pub(super) async fn redis(config: &RedisConfig) -> Vec<Finding> {
    const ADVICE: &str = "until it answers each instance counts alone";
    let check = async {
        let patience = config.patience.min(Duration::from_secs(1));
        let redis = Redis::new(config.url.expose(), patience);
        let answers = match redis {
            Ok(redis) => redis.connect().await,
            Err(_) => false,
        };
        vec![match answers {
            true => ok("redis", "answers"),
            false => warn("redis", "does not answer, or cannot be written", ADVICE),
        }]
    };
    let found = tokio::time::timeout(PATIENCE, check).await;
    found.unwrap_or_else(|_| vec![warn("redis", "does not answer", ADVICE)])
}
