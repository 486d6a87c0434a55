//! The settings of a service, part by part: one that is wrong hides no other from who looks into it.

use core_auth::Email;
use shopflow_twilio::Account;

use super::args::{AuthArgs, HttpArgs, NotifyArgs, OrdersArgs, PeerArgs};
use super::auth::KeyConfig;
use super::limits::RedisConfig;
use super::problems::Problems;
use super::read::{Secret, required, required_secret};
use super::services::{DatabaseConfig, base_url};

/// Another service that this one calls.
#[derive(Clone, Debug)]
pub(crate) struct PeerSettings {
    /// `auth` or `orders`.
    pub(crate) name: &'static str,
    pub(crate) url: Option<String>,
    /// The variable of our token for it.
    pub(crate) token_name: &'static str,
    pub(crate) token: Option<Secret>,
}

/// Where mails and texts are handed over.
#[derive(Clone, Debug, Default)]
pub(crate) struct ProviderSettings {
    /// Region and sender of SES.
    pub(crate) ses: Option<(String, String)>,
    /// Account and address of Twilio.
    pub(crate) twilio: Option<(Account, String)>,
}

/// What can be made of the settings of one service.
#[derive(Debug)]
pub(crate) struct Examined {
    /// All that is wrong with them.
    pub(crate) problems: Option<Problems>,
    pub(crate) database: Option<DatabaseConfig>,
    pub(crate) broker: Option<Secret>,
    pub(crate) keys: Option<KeyConfig>,
    pub(crate) redis: Option<RedisConfig>,
    pub(crate) peers: Vec<PeerSettings>,
    pub(crate) providers: Option<ProviderSettings>,
}

/// What was said in `Examined::problems` is not said again.
fn told<T>(read: impl FnOnce(&mut Problems) -> T) -> T {
    read(&mut Problems::default())
}

fn examined(problems: Option<Problems>, http: &HttpArgs) -> Examined {
    Examined {
        problems,
        database: told(|problems| http.database.check(problems)),
        broker: None,
        keys: None,
        redis: None,
        peers: Vec::new(),
        providers: None,
    }
}

impl AuthArgs {
    /// Everything that the settings are good for.
    pub(crate) fn examine(&self) -> Examined {
        Examined {
            broker: told(|problems| self.broker.optional(problems)),
            keys: told(|problems| self.keys.check(problems)),
            redis: told(|problems| self.redis.check(problems)),
            ..examined(self.resolve().err(), &self.http)
        }
    }
}

impl OrdersArgs {
    /// Everything that the settings are good for.
    pub(crate) fn examine(&self) -> Examined {
        Examined {
            broker: told(|problems| self.peers.broker.optional(problems)),
            redis: told(|problems| self.redis.check(problems)),
            peers: vec![auth(&self.peers)],
            ..examined(self.resolve().err(), &self.http)
        }
    }
}

impl NotifyArgs {
    /// Everything that the settings are good for.
    pub(crate) fn examine(&self) -> Examined {
        let (token, file) = (&self.order_service_token, &self.order_service_token_file);
        let url = &self.order_service_url;
        let name = "ORDER_SERVICE_TOKEN";
        let orders = PeerSettings {
            name: "orders",
            url: told(|problems| base_url(problems, "ORDER_SERVICE_URL", url.as_ref())),
            token_name: name,
            token: told(|problems| required_secret(problems, name, token.as_ref(), file.as_ref())),
        };
        Examined {
            broker: told(|problems| self.peers.broker.optional(problems)),
            peers: vec![auth(&self.peers), orders],
            providers: Some(self.providers()),
            ..examined(self.resolve().err(), &self.http)
        }
    }

    fn providers(&self) -> ProviderSettings {
        let region = self.aws_ses_region.as_ref();
        let region = told(|problems| required(problems, "AWS_SES_REGION", region));
        let from = self.aws_ses_from_email.as_ref();
        let from = told(|problems| required(problems, "AWS_SES_FROM_EMAIL", from));
        let from = from.filter(|from| Email::parse(from).is_ok());
        let account = told(|problems| self.twilio(problems));
        ProviderSettings {
            ses: region.zip(from),
            twilio: account.zip(told(|problems| self.twilio_url(problems))),
        }
    }
}

fn auth(peers: &PeerArgs) -> PeerSettings {
    let (token, file) = (&peers.auth_service_token, &peers.auth_service_token_file);
    let url = &peers.auth_service_url;
    let name = "AUTH_SERVICE_TOKEN";
    PeerSettings {
        name: "auth",
        url: told(|problems| base_url(problems, "AUTH_SERVICE_URL", url.as_ref())),
        token_name: name,
        token: told(|problems| required_secret(problems, name, token.as_ref(), file.as_ref())),
    }
}
