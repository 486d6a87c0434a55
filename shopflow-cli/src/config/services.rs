//! The settings that services share, and those of the order service, checked.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use jiff::SignedDuration;
use shopflow_http::{Edge, is_base_url};

use super::args::{
    AuthPlaceArgs, BrokerArgs, DatabaseArgs, HttpArgs, LogArgs, NotifyPlaceArgs, OrdersArgs,
    PeerArgs,
};
use super::limits::RedisConfig;
use super::problems::Problems;
use super::read::{
    ReadSecret, Secret, any_given, check, given, or_default, required, required_secret, secret,
};
use super::telemetry::{DatabaseSystem, TraceConfig};
use crate::telemetry;

/// Where the data is.
#[derive(Clone, Debug)]
pub(crate) struct DatabaseConfig {
    pub(crate) url: Secret,
    pub(crate) max_connections: u32,
}

/// How logs look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
}

/// What is logged.
#[derive(Clone, Debug)]
pub(crate) struct LogConfig {
    pub(crate) level: String,
    /// Where the level is read again, if anywhere.
    pub(crate) level_file: Option<PathBuf>,
    pub(crate) format: LogFormat,
}

/// What every service has.
#[derive(Clone, Debug)]
pub(crate) struct HttpConfig {
    pub(crate) address: SocketAddr,
    pub(crate) grace: Duration,
    pub(crate) migrate: bool,
    /// How often retention runs by itself, if it does.
    pub(crate) retention: Option<SignedDuration>,
    pub(crate) edge: Edge,
    pub(crate) log: LogConfig,
    /// Where traces go, if anywhere.
    pub(crate) traces: Option<TraceConfig>,
    /// Where the operators' side listens by itself, if it does.
    pub(crate) metrics_address: Option<SocketAddr>,
    pub(crate) database: DatabaseConfig,
}

/// How the auth service and the broker are reached.
#[derive(Clone, Debug)]
pub(crate) struct PeerConfig {
    pub(crate) auth_url: String,
    pub(crate) auth_token: Secret,
    pub(crate) rabbitmq_url: Secret,
}

/// The order service.
#[derive(Clone, Debug)]
pub(crate) struct OrdersConfig {
    /// Requests of one user in a minute, if they are limited.
    pub(crate) rate_limit: Option<u32>,
    /// Where it is counted, if it is and replicas count together.
    pub(crate) redis: Option<RedisConfig>,
    pub(crate) peers: PeerConfig,
    pub(crate) http: HttpConfig,
}

impl DatabaseArgs {
    /// For who can do without it.
    pub(crate) fn optional(&self, problems: &mut Problems) -> Option<DatabaseConfig> {
        any_given([&self.database_url, &self.database_url_file]).then(|| self.check(problems))?
    }

    pub(crate) fn check(&self, problems: &mut Problems) -> Option<DatabaseConfig> {
        let url = required_secret(
            problems,
            "DATABASE_URL",
            self.database_url.as_ref(),
            self.database_url_file.as_ref(),
        );
        let url = check(problems, "DATABASE_URL", url, |url| {
            shopflow_postgres::check_url(url.expose())
        });
        let max_connections = or_default(
            problems,
            "DATABASE_MAX_CONNECTIONS",
            self.database_max_connections.as_ref(),
            20,
            "a whole number from 1",
        );
        if max_connections < 1 {
            problems.add("DATABASE_MAX_CONNECTIONS", "must be a whole number from 1");
        }
        Some(DatabaseConfig {
            url: url?,
            max_connections,
        })
    }
}

impl AuthPlaceArgs {
    /// The database of auth, where it is not the one that is known already.
    pub(crate) fn check(&self, problems: &mut Problems) -> Option<DatabaseConfig> {
        let (url, file) = (&self.auth_database_url, &self.auth_database_url_file);
        other(problems, "AUTH_DATABASE_URL", url, file)
    }
}

impl NotifyPlaceArgs {
    /// The database of notify, where it is not the one that is known already.
    pub(crate) fn check(&self, problems: &mut Problems) -> Option<DatabaseConfig> {
        let (url, file) = (&self.notify_database_url, &self.notify_database_url_file);
        other(problems, "NOTIFY_DATABASE_URL", url, file)
    }
}

fn other(
    problems: &mut Problems,
    name: &'static str,
    value: &Option<String>,
    file: &Option<String>,
) -> Option<DatabaseConfig> {
    let url = secret(problems, name, value.as_ref(), file.as_ref());
    let url = check(problems, name, url, |url| {
        shopflow_postgres::check_url(url.expose())
    })?;
    Some(DatabaseConfig {
        url,
        max_connections: 2,
    })
}

impl HttpArgs {
    pub(super) fn check(
        &self,
        problems: &mut Problems,
        service: &str,
        default_port: u16,
    ) -> Option<HttpConfig> {
        let port = or_default(
            problems,
            "PORT",
            self.port.as_ref(),
            default_port,
            "a port number, 0 to 65535",
        );
        let ip = or_default(
            problems,
            "BIND_ADDRESS",
            self.bind_address.as_ref(),
            IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            "an IP address",
        );
        let grace = or_default(
            problems,
            "SHUTDOWN_GRACE_SECONDS",
            self.shutdown_grace_seconds.as_ref(),
            30,
            "a number of whole seconds",
        );
        let migrate = or_default(
            problems,
            "MIGRATE_ON_START",
            self.migrate_on_start.as_ref(),
            true,
            "true or false",
        );
        let metrics_address = given(self.metrics_port.as_ref()).map(|_| {
            const NAME: &str = "METRICS_PORT";
            const WANTED: &str = "a port number, 0 to 65535, and not that of PORT";
            let own: u16 = or_default(problems, NAME, self.metrics_port.as_ref(), 0, WANTED);
            if own == port && own != 0 {
                problems.add(NAME, format!("must be {WANTED}"));
            }
            SocketAddr::new(ip, own)
        });
        Some(HttpConfig {
            address: SocketAddr::new(ip, port),
            metrics_address,
            traces: self
                .traces
                .check(problems, service, DatabaseSystem::Postgres),
            grace: Duration::from_secs(grace),
            migrate,
            retention: self.retention(problems),
            edge: self.edge.check(problems),
            log: self.log.check(problems, "info", LogFormat::Json),
            database: self.database.check(problems)?,
        })
    }
}

impl LogArgs {
    pub(crate) fn check(
        &self,
        problems: &mut Problems,
        default_level: &str,
        default_format: LogFormat,
    ) -> LogConfig {
        let (level, file) = (self.log_level.as_ref(), self.log_level_file.as_ref());
        // Nothing secret, but read by the same rules.
        let level = secret(problems, "LOG_LEVEL", level, file);
        let level_file = level.as_ref().and_then(|level| level.file.clone());
        let level = level.map_or_else(
            || default_level.to_owned(),
            |level| level.expose().to_owned(),
        );
        problems.take("LOG_LEVEL", telemetry::check_level(&level));
        let format = match self.log_format.as_deref().map(str::trim) {
            None | Some("") => default_format,
            Some("json") => LogFormat::Json,
            Some("text") => LogFormat::Text,
            Some(_) => {
                problems.add("LOG_FORMAT", "must be json or text");
                default_format
            }
        };
        LogConfig {
            level,
            level_file,
            format,
        }
    }
}

impl BrokerArgs {
    /// For who can do without it.
    pub(crate) fn optional(&self, problems: &mut Problems) -> Option<Secret> {
        self.check(problems, secret)
    }

    /// For who cannot.
    pub(crate) fn required(&self, problems: &mut Problems) -> Option<Secret> {
        self.check(problems, required_secret)
    }

    fn check(&self, problems: &mut Problems, read: ReadSecret) -> Option<Secret> {
        let (value, file) = (self.rabbitmq_url.as_ref(), self.rabbitmq_url_file.as_ref());
        let url = read(problems, "RABBITMQ_URL", value, file);
        check(problems, "RABBITMQ_URL", url, |url| {
            shopflow_amqp::check_url(url.expose())
        })
    }
}

impl PeerArgs {
    pub(super) fn check(&self, problems: &mut Problems) -> Option<PeerConfig> {
        let auth_url = base_url(problems, "AUTH_SERVICE_URL", self.auth_service_url.as_ref());
        let auth_token = required_secret(
            problems,
            "AUTH_SERVICE_TOKEN",
            self.auth_service_token.as_ref(),
            self.auth_service_token_file.as_ref(),
        );
        let rabbitmq_url = self.broker.required(problems);
        Some(PeerConfig {
            auth_url: auth_url?,
            auth_token: auth_token?,
            rabbitmq_url: rabbitmq_url?,
        })
    }
}

pub(super) fn base_url(
    problems: &mut Problems,
    name: &'static str,
    value: Option<&String>,
) -> Option<String> {
    let url = required(problems, name, value);
    check(problems, name, url, |url| {
        is_base_url(url)
            .then_some(())
            .ok_or(shopflow_http::UrlError)
    })
}

impl OrdersArgs {
    /// The settings of the order service.
    ///
    /// # Errors
    /// All problems at once.
    pub(crate) fn resolve(&self) -> Result<OrdersConfig, Problems> {
        let mut problems = Problems::default();
        let rate_limit = self.limit.check(&mut problems);
        let redis = self.redis.check(&mut problems);
        let peers = self.peers.check(&mut problems);
        let http = self.http.check(&mut problems, "order-service", 3002);
        let config = peers.zip(http).map(|(peers, http)| OrdersConfig {
            rate_limit,
            redis: redis.filter(|_| rate_limit.is_some()),
            peers,
            http,
        });
        problems.finish(config)
    }
}
