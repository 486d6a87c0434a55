//! The settings of the notification service, checked.

use core_auth::{Email, Phone};
use core_notify::{Ambiguous, Links};
use shopflow_archive::ArchiveUrl;
use shopflow_twilio::Account;

use super::args::{LinkArgs, NotifyArgs};
use super::problems::Problems;
use super::read::{Secret, check, given, required, required_secret};
use super::services::{HttpConfig, PeerConfig, base_url};

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
    given(value)?;
    base_url(problems, name, value)
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
        let twilio_url = self.twilio_url(problems);
        let links = self.links.check(problems);
        let ambiguous = [
            ambiguous(problems, "AMBIGUOUS_EMAIL", self.ambiguous_email.as_deref()),
            ambiguous(problems, "AMBIGUOUS_SMS", self.ambiguous_sms.as_deref()),
        ];
        let http = self.http.check(problems, "notification-service", 3003);
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

    pub(super) fn twilio_url(&self, problems: &mut Problems) -> Option<String> {
        let own = shopflow_twilio::DEFAULT_BASE_URL.to_owned();
        let url = self.twilio_api_base_url.as_ref();
        let url = url.filter(|url| given(Some(url)).is_some());
        base_url(problems, "TWILIO_API_BASE_URL", Some(url.unwrap_or(&own)))
    }

    pub(super) fn twilio(&self, problems: &mut Problems) -> Option<Account> {
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
