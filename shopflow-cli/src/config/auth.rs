//! The settings of the auth service, checked.

use std::time::Duration;

use core_auth::{EmailVerification, Keyring, KeyringError, ScryptParams};
use jiff::SignedDuration;
use secrecy::{ExposeSecret, SecretString};

use super::args::{AuthArgs, KeyArgs, PolicyArgs, ScryptArgs};
use super::limits::{RedisConfig, per_minute};
use super::problems::Problems;
use super::read::{Secret, any_given, check, or_default, required_secret, secret};
use super::services::HttpConfig;

/// The auth service.
#[derive(Debug)]
pub(crate) struct AuthConfig {
    pub(crate) keys: KeyConfig,
    pub(crate) policy: PolicyConfig,
    /// Where mails are asked for.
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
    pub(crate) email_verification: EmailVerification,
    pub(crate) require_verified_email: bool,
    /// Requests of one address in a minute, if they are limited.
    pub(crate) rate_limit: Option<u32>,
}

impl KeyArgs {
    /// Whether there is a secret at all, good or not.
    pub(crate) fn is_given(&self) -> bool {
        any_given([&self.jwt_secret, &self.jwt_secret_file])
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

    pub(super) fn check(&self, problems: &mut Problems) -> Option<KeyConfig> {
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
        let email_verification = match email_verification {
            true => EmailVerification::Mailed,
            false => EmailVerification::Off,
        };
        let require_verified_email = or_default(
            problems,
            "REQUIRE_VERIFIED_EMAIL",
            self.require_verified_email.as_ref(),
            false,
            "true or false",
        );
        if require_verified_email && email_verification == EmailVerification::Off {
            let why = "needs EMAIL_VERIFICATION=true: without it everybody counts as verified";
            problems.add("REQUIRE_VERIFIED_EMAIL", why);
        }
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
        let rabbitmq_url = self.broker.optional(&mut problems);
        let redis = self.redis.check(&mut problems);
        let http = self.http.check(&mut problems, "auth-service", 3001);
        let config = keys.zip(policy).zip(http);
        let config = config.map(|((keys, policy), http)| AuthConfig {
            keys,
            redis: redis.filter(|_| policy.rate_limit.is_some()),
            policy: PolicyConfig {
                email_verification: match policy.email_verification {
                    // The requests for mails would pile up for nobody.
                    EmailVerification::Mailed if rabbitmq_url.is_none() => {
                        EmailVerification::Unmailed
                    }
                    as_set => as_set,
                },
                ..policy
            },
            rabbitmq_url,
            http,
        });
        problems.finish(config)
    }
}
