//! The settings of each service, checked.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use core_auth::{Email, Keyring, KeyringError, Phone, ScryptParams};
use core_notify::{Ambiguous, Links};
use jiff::SignedDuration;
use secrecy::{ExposeSecret, SecretString};
use shopflow_archive::ArchiveUrl;
use shopflow_http::{Edge, is_base_url};
use shopflow_twilio::Account;

use super::args::{
    AuthArgs, BrokerArgs, DatabaseArgs, HttpArgs, KeyArgs, LinkArgs, LogArgs, NotifyArgs,
    OrdersArgs, OtherPlaceArgs, PeerArgs, PolicyArgs, ScryptArgs,
};
use super::limits::{RedisConfig, per_minute};
use super::problems::Problems;
use super::read::{Secret, check, or_default, required, required_secret, secret};
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
    pub(crate) database: DatabaseConfig,
}

/// The auth service.
#[derive(Debug)]
pub(crate) struct AuthConfig {
    pub(crate) keys: KeyConfig,
    pub(crate) policy: PolicyConfig,
    /// Where mails are asked for; they wait without it.
    pub(crate) rabbitmq_url: Option<Secret>,
    /// Where limits are counted, if there are any and replicas count together.
    pub(crate) redis: Option<RedisConfig>,
    pub(crate) http: HttpConfig,
}

/// What signs tokens.
#[derive(Clone, Debug)]
pub(crate) struct KeyConfig {
    pub(crate) current: Secret,
    /// Earlier ones that still verify, comma-separated.
    pub(crate) previous: Option<Secret>,
}

/// How logins and sessions are treated.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PolicyConfig {
    pub(crate) scrypt: ScryptParams,
    pub(crate) hash_max_wait: Duration,
    pub(crate) refresh_grace: SignedDuration,
    pub(crate) email_verification: bool,
    pub(crate) require_verified_email: bool,
    /// Requests of one address in a minute, if they are limited.
    pub(crate) rate_limit: Option<u32>,
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

/// The notification service.
#[derive(Clone, Debug)]
pub(crate) struct NotifyConfig {
    pub(crate) peers: PeerConfig,
    pub(crate) order_url: String,
    pub(crate) order_token: Secret,
    pub(crate) ses_region: String,
    pub(crate) ses_from: String,
    pub(crate) twilio: Account,
    pub(crate) twilio_url: String,
    pub(crate) links: Links,
    /// What is done with mails and with texts whose answer was lost.
    pub(crate) ambiguous: [Ambiguous; 2],
    /// Where old notifications go.
    pub(crate) archive: Option<ArchiveUrl>,
    pub(crate) http: HttpConfig,
}

impl DatabaseArgs {
    /// For who can do without it.
    pub(crate) fn optional(&self, problems: &mut Problems) -> Option<DatabaseConfig> {
        let named = [&self.database_url, &self.database_url_file];
        let is_given =
            |text: &&Option<String>| text.as_ref().is_some_and(|text| !text.trim().is_empty());
        named.iter().any(is_given).then(|| self.check(problems))?
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

impl OtherPlaceArgs {
    /// The databases of auth and of notify, where they are not the one that is known already.
    pub(crate) fn check(&self, problems: &mut Problems) -> [Option<DatabaseConfig>; 2] {
        let mut other = |name, value: &Option<String>, file: &Option<String>| {
            let url = secret(problems, name, value.as_ref(), file.as_ref());
            let url = check(problems, name, url, |url| {
                shopflow_postgres::check_url(url.expose())
            });
            url.map(|url| DatabaseConfig {
                url,
                max_connections: 2,
            })
        };
        [
            other(
                "AUTH_DATABASE_URL",
                &self.auth_database_url,
                &self.auth_database_url_file,
            ),
            other(
                "NOTIFY_DATABASE_URL",
                &self.notify_database_url,
                &self.notify_database_url_file,
            ),
        ]
    }
}

impl HttpArgs {
    fn check(&self, problems: &mut Problems, default_port: u16) -> Option<HttpConfig> {
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
        Some(HttpConfig {
            address: SocketAddr::new(ip, port),
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
        let level = self
            .log_level
            .clone()
            .filter(|level| !level.trim().is_empty());
        let level = level.unwrap_or_else(|| default_level.to_owned());
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
        LogConfig { level, format }
    }
}

impl KeyArgs {
    /// Whether there is a secret at all, good or not.
    pub(crate) fn is_given(&self) -> bool {
        self.jwt_secret.is_some() || self.jwt_secret_file.is_some()
    }

    /// The secrets that sign and verify.
    ///
    /// # Errors
    /// What is wrong with them.
    pub(crate) fn resolve(&self) -> Result<Keyring, Problems> {
        let mut problems = Problems::default();
        let keys = self.check(&mut problems);
        let keys = keys.and_then(|keys| problems.take("JWT_SECRET_PREVIOUS", keys.ring()));
        problems.finish(keys)
    }

    fn check(&self, problems: &mut Problems) -> Option<KeyConfig> {
        let current = required_secret(
            problems,
            "JWT_SECRET",
            self.jwt_secret.as_ref(),
            self.jwt_secret_file.as_ref(),
        );
        let current = check(problems, "JWT_SECRET", current, |secret| {
            Keyring::new(&secret.value, &[]).map(drop)
        });
        let previous = secret(
            problems,
            "JWT_SECRET_PREVIOUS",
            self.jwt_secret_previous.as_ref(),
            self.jwt_secret_previous_file.as_ref(),
        );
        let keys = KeyConfig {
            current: current?,
            previous,
        };
        problems.take("JWT_SECRET_PREVIOUS", keys.ring())?;
        Some(keys)
    }
}

impl KeyConfig {
    /// The keys of these secrets.
    ///
    /// # Errors
    /// When one is too short.
    pub(crate) fn ring(&self) -> Result<Keyring, KeyringError> {
        let previous = self.previous.as_ref().map(|secret| &secret.value);
        Self::ring_of(&self.current.value, previous)
    }

    /// The keys of a secret and of a comma-separated list of earlier ones.
    ///
    /// # Errors
    /// When one is too short.
    pub(crate) fn ring_of(
        current: &SecretString,
        previous: Option<&SecretString>,
    ) -> Result<Keyring, KeyringError> {
        let previous: Vec<SecretString> = previous
            .iter()
            .flat_map(|list| list.expose_secret().split(',').map(str::trim))
            .filter(|secret| !secret.is_empty())
            .map(SecretString::from)
            .collect();
        Keyring::new(current, &previous)
    }
}

impl ScryptArgs {
    pub(crate) fn check(&self, problems: &mut Problems) -> Option<ScryptParams> {
        const WANTED: &str = "a whole number";
        let ln = or_default(
            problems,
            "PASSWORD_SCRYPT_LN",
            self.password_scrypt_ln.as_ref(),
            14,
            WANTED,
        );
        let r = or_default(
            problems,
            "PASSWORD_SCRYPT_R",
            self.password_scrypt_r.as_ref(),
            8,
            WANTED,
        );
        let p = or_default(
            problems,
            "PASSWORD_SCRYPT_P",
            self.password_scrypt_p.as_ref(),
            5,
            WANTED,
        );
        problems.take("PASSWORD_SCRYPT_LN, _R, _P", ScryptParams::new(ln, r, p))
    }
}

impl PolicyArgs {
    pub(crate) fn check(&self, problems: &mut Problems) -> Option<PolicyConfig> {
        const SECONDS: &str = "a number of whole seconds";
        let scrypt = self.scrypt.check(problems);
        let grace: u32 = or_default(
            problems,
            "REFRESH_REUSE_GRACE_SECONDS",
            self.refresh_reuse_grace_seconds.as_ref(),
            0,
            SECONDS,
        );
        let wait: u32 = or_default(
            problems,
            "PASSWORD_HASH_MAX_WAIT_SECONDS",
            self.password_hash_max_wait_seconds.as_ref(),
            10,
            SECONDS,
        );
        let rate_limit = per_minute(
            problems,
            "RATE_LIMIT_AUTH_PER_MINUTE",
            self.rate_limit_auth_per_minute.as_ref(),
            100,
        );
        let email_verification = or_default(
            problems,
            "EMAIL_VERIFICATION",
            self.email_verification.as_ref(),
            true,
            "true or false",
        );
        let require_verified_email = or_default(
            problems,
            "REQUIRE_VERIFIED_EMAIL",
            self.require_verified_email.as_ref(),
            false,
            "true or false",
        );
        Some(PolicyConfig {
            scrypt: scrypt?,
            hash_max_wait: Duration::from_secs(wait.into()),
            refresh_grace: SignedDuration::from_secs(grace.into()),
            email_verification,
            require_verified_email,
            rate_limit,
        })
    }
}

impl AuthArgs {
    /// The settings of the auth service.
    ///
    /// # Errors
    /// All problems at once.
    pub(crate) fn resolve(&self) -> Result<AuthConfig, Problems> {
        let mut problems = Problems::default();
        let keys = self.keys.check(&mut problems);
        let policy = self.policy.check(&mut problems);
        let rabbitmq_url = self.broker.check(&mut problems);
        let redis = self.redis.check(&mut problems);
        let http = self.http.check(&mut problems, 3001);
        let config = keys.zip(policy).zip(http);
        let config = config.map(|((keys, policy), http)| AuthConfig {
            keys,
            redis: redis.filter(|_| policy.rate_limit.is_some()),
            policy,
            rabbitmq_url,
            http,
        });
        problems.finish(config)
    }
}

impl BrokerArgs {
    fn check(&self, problems: &mut Problems) -> Option<Secret> {
        let (value, file) = (self.rabbitmq_url.as_ref(), self.rabbitmq_url_file.as_ref());
        let url = secret(problems, "RABBITMQ_URL", value, file);
        check(problems, "RABBITMQ_URL", url, |url| {
            shopflow_amqp::check_url(url.expose())
        })
    }

    /// For who cannot do without it.
    pub(crate) fn required(&self, problems: &mut Problems) -> Option<Secret> {
        let (value, file) = (self.rabbitmq_url.as_ref(), self.rabbitmq_url_file.as_ref());
        let url = required_secret(problems, "RABBITMQ_URL", value, file);
        check(problems, "RABBITMQ_URL", url, |url| {
            shopflow_amqp::check_url(url.expose())
        })
    }
}

impl LinkArgs {
    pub(crate) fn check(&self, problems: &mut Problems) -> Links {
        Links {
            password_reset: page_url(
                problems,
                "PASSWORD_RESET_URL",
                self.password_reset_url.as_ref(),
            ),
            email_verification: page_url(
                problems,
                "EMAIL_VERIFICATION_URL",
                self.email_verification_url.as_ref(),
            ),
        }
    }
}

/// A page of the shop, if there is one.
fn page_url(problems: &mut Problems, name: &'static str, value: Option<&String>) -> Option<String> {
    let url = value.filter(|url| !url.trim().is_empty())?;
    base_url(problems, name, Some(url))
}

impl PeerArgs {
    fn check(&self, problems: &mut Problems) -> Option<PeerConfig> {
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

fn ambiguous(problems: &mut Problems, name: &'static str, value: Option<&str>) -> Ambiguous {
    match value.map(str::trim) {
        None | Some("" | "retry") => Ambiguous::Retry,
        Some("park") => Ambiguous::Park,
        Some(_) => {
            problems.add(name, "must be retry or park");
            Ambiguous::Retry
        }
    }
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
        let http = self.http.check(&mut problems, 3002);
        let config = peers.zip(http).map(|(peers, http)| OrdersConfig {
            rate_limit,
            redis: redis.filter(|_| rate_limit.is_some()),
            peers,
            http,
        });
        problems.finish(config)
    }
}

impl NotifyArgs {
    /// The settings of the notification service.
    ///
    /// # Errors
    /// All problems at once.
    pub(crate) fn resolve(&self) -> Result<NotifyConfig, Problems> {
        let mut problems = Problems::default();
        let config = self.check(&mut problems);
        problems.finish(config)
    }

    fn check(&self, problems: &mut Problems) -> Option<NotifyConfig> {
        let peers = self.peers.check(problems);
        let order_url = base_url(
            problems,
            "ORDER_SERVICE_URL",
            self.order_service_url.as_ref(),
        );
        let order_token = required_secret(
            problems,
            "ORDER_SERVICE_TOKEN",
            self.order_service_token.as_ref(),
            self.order_service_token_file.as_ref(),
        );
        let ses_region = required(problems, "AWS_SES_REGION", self.aws_ses_region.as_ref());
        let ses_from = required(
            problems,
            "AWS_SES_FROM_EMAIL",
            self.aws_ses_from_email.as_ref(),
        );
        let ses_from = check(problems, "AWS_SES_FROM_EMAIL", ses_from, |from| {
            Email::parse(from).map(drop)
        });
        let twilio = self.twilio(problems);
        let own = shopflow_twilio::DEFAULT_BASE_URL.to_owned();
        let twilio_url = self
            .twilio_api_base_url
            .clone()
            .filter(|url| !url.trim().is_empty());
        let twilio_url = base_url(
            problems,
            "TWILIO_API_BASE_URL",
            twilio_url.or(Some(own)).as_ref(),
        );
        let links = self.links.check(problems);
        let ambiguous = [
            ambiguous(problems, "AMBIGUOUS_EMAIL", self.ambiguous_email.as_deref()),
            ambiguous(problems, "AMBIGUOUS_SMS", self.ambiguous_sms.as_deref()),
        ];
        let http = self.http.check(problems, 3003);
        let archive = self.archive.check(problems);
        let runs = http.as_ref().is_some_and(|http| http.retention.is_some());
        if runs && archive.is_none() {
            let why = "is required for RETENTION_EVERY_HOURS";
            problems.add("RETENTION_ARCHIVE_URL", why);
        }
        Some(NotifyConfig {
            peers: peers?,
            order_url: order_url?,
            order_token: order_token?,
            ses_region: ses_region?,
            ses_from: ses_from?,
            twilio: twilio?,
            twilio_url: twilio_url?,
            links,
            ambiguous,
            archive,
            http: http?,
        })
    }

    fn twilio(&self, problems: &mut Problems) -> Option<Account> {
        let sid = required(
            problems,
            "TWILIO_ACCOUNT_SID",
            self.twilio_account_sid.as_ref(),
        );
        let sid = check(problems, "TWILIO_ACCOUNT_SID", sid, |sid| {
            let plain = sid.bytes().all(|byte| byte.is_ascii_alphanumeric());
            plain
                .then_some(())
                .ok_or("must be letters and digits, AC...")
        });
        let auth_token = required_secret(
            problems,
            "TWILIO_AUTH_TOKEN",
            self.twilio_auth_token.as_ref(),
            self.twilio_auth_token_file.as_ref(),
        );
        let from = required(
            problems,
            "TWILIO_FROM_NUMBER",
            self.twilio_from_number.as_ref(),
        );
        let from = check(problems, "TWILIO_FROM_NUMBER", from, |from| {
            Phone::parse(from).map(drop)
        });
        Some(Account {
            sid: sid?,
            auth_token: auth_token?.value,
            from: from?,
        })
    }
}
