//! The auth service.

use std::sync::Arc;

use async_trait::async_trait;
use core_auth::{
    Accounts, Auth, AuthSettings, Keys, Mailbox, PasswordCrypto, PurgedUsers, Revocations,
    ScryptParams, SessionStore, UserRetention, UserStore,
};
use core_kernel::{Limit, SystemClock};
use shopflow_amqp::AmqpPublisher;
use shopflow_hashing::BlockingHasher;
use shopflow_http::{AuthApi, Readiness};
use shopflow_postgres::{PgOneTimeStore, PgOutbox, PgSessionStore, PgUserStore, Schema};

use super::database::Database;
use super::limits::Limits;
use super::relay::{Relay, RelayWake};
use super::revocations::{self, News};
use super::{audit, lifecycle, listen, prune, queues, retention, secret_file, serve, start};
use crate::config::{AuthConfig, PolicyConfig};
use crate::lifecycle::Lifecycle;
use crate::telemetry::Telemetry;

/// Memory that hashes may take together.
const HASH_MEMORY: u64 = 256 * 1024 * 1024;

struct Needs(Database);

#[async_trait]
impl Readiness for Needs {
    async fn checks(&self) -> Vec<(&'static str, bool)> {
        vec![("database", self.0.is_ready().await)]
    }
}

pub(crate) async fn run(config: AuthConfig) -> anyhow::Result<()> {
    let (signals, telemetry) = start(&config.http)?;
    let listeners = listen(&config.http).await?;
    let database = Database::open(&config.http, "shopflow auth")?;
    let users = Arc::new(PgUserStore::new(database.pool.clone()));
    let sessions = Arc::new(PgSessionStore::new(database.pool.clone()));
    let relay = RelayWake::default();
    let mailbox = Mailbox {
        tokens: Arc::new(PgOneTimeStore::new(database.pool.clone())),
        relay: Arc::new(relay.clone()),
    };
    let parallel = parallel_hashes(config.policy.scrypt);
    let accounts = accounts(users.clone(), config.policy, parallel);
    let needs = Needs(database.clone());
    let (mut lifecycle, ops) = lifecycle(&config.http, Arc::new(needs), &telemetry)?;
    let keeper = users.clone();
    database.tell_connections(&telemetry.figures, move || keeper.kept_connections());
    let keys = secret_file::keys(&mut lifecycle, config.keys)?;
    let news = News::default();
    revocations::hear(&mut lifecycle, database.pool.clone(), news.clone());
    let auth = auth(
        &mut lifecycle,
        accounts,
        sessions,
        mailbox,
        keys,
        config.policy,
        news,
    );
    match config.rabbitmq_url {
        Some(url) => publish(&mut lifecycle, &telemetry, &database, url.expose(), relay),
        None => warn_without_broker(config.policy),
    }
    database.keep_up_to_date(&mut lifecycle, Schema::Auth);
    let data = Arc::new(UserRetention(users.clone()));
    retention::schedule(&mut lifecycle, &database, Schema::Auth, data, &config.http);
    let limits = Limits::new(&mut lifecycle, config.redis)?;
    let purged = PurgedUsers(users.clone());
    let api = limited(&mut lifecycle, auth, users, config.policy, &limits).with_purged(purged);
    let running = (lifecycle, signals, telemetry);
    serve(running, listeners, api, ops, &config.http).await
}

fn warn_without_broker(policy: PolicyConfig) {
    tracing::warn!("RABBITMQ_URL is not set: mails with one-time tokens do not go out");
    if policy.require_verified_email {
        tracing::warn!("REQUIRE_VERIFIED_EMAIL is set: nobody new can log in");
    }
}

/// Carries the requests for mails to the broker. It is no part of readiness: without it everything
/// else works, and they wait.
fn publish(
    lifecycle: &mut Lifecycle,
    telemetry: &Telemetry,
    database: &Database,
    url: &str,
    wake: RelayWake,
) {
    let publisher = Arc::new(AmqpPublisher::users(url.to_owned()));
    let connected = publisher.clone();
    queues::tell_connected(&telemetry.figures, move || connected.is_connected());
    let outbox = Arc::new(PgOutbox::users(database.pool.clone()));
    prune::events(lifecycle, outbox.clone(), Arc::new(SystemClock));
    let relay = Relay {
        outbox,
        publisher: publisher.clone(),
        wake,
    };
    let served = lifecycle.served();
    lifecycle.spawn("relay", async move {
        relay.run(served).await;
        publisher.close().await;
    });
}

/// The use cases of accounts on this store, with at most `parallel` hashes at once.
pub(crate) fn accounts(
    users: Arc<dyn UserStore>,
    policy: PolicyConfig,
    parallel: usize,
) -> Accounts {
    let crypto = PasswordCrypto::new(policy.scrypt);
    let hasher = BlockingHasher::new(crypto, parallel, policy.hash_max_wait);
    Accounts::new(users, Arc::new(hasher), Arc::new(SystemClock))
}

/// All use cases of the service, with what they keep in memory being fed.
pub(crate) fn auth(
    lifecycle: &mut Lifecycle,
    accounts: Accounts,
    sessions: Arc<dyn SessionStore>,
    mailbox: Mailbox,
    keys: Keys,
    policy: PolicyConfig,
    news: News,
) -> Auth {
    let settings = AuthSettings {
        refresh_grace: policy.refresh_grace,
        email_verification: policy.email_verification,
        require_verified_email: policy.require_verified_email,
    };
    let revoked = Arc::new(Revocations::default());
    revocations::feed(lifecycle, sessions.clone(), revoked.clone(), news);
    let auth = Auth::new(accounts, sessions, mailbox, keys, revoked, settings);
    prune::tokens(lifecycle, auth.clone());
    auth
}

/// The service with its limits: so many requests of one address in a minute, if any.
pub(crate) fn limited(
    lifecycle: &mut Lifecycle,
    auth: Auth,
    users: Arc<dyn UserStore>,
    policy: PolicyConfig,
    limits: &Limits,
) -> AuthApi {
    let Some(requests) = policy.rate_limit else {
        return AuthApi::new(auth);
    };
    let audit = audit::queue(lifecycle, users);
    let limiter = limits.limiter(Limit::per_minute("auth", requests));
    AuthApi::new(auth.with_throttle(limits.throttle(), audit)).with_limiter(limiter)
}

/// As many as there are cores, and no more than fit.
fn parallel_hashes(params: ScryptParams) -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let fit = usize::try_from(HASH_MEMORY / params.memory()).unwrap_or(usize::MAX);
    cores.min(fit).max(1)
}
