//! The settings of retention, checked.

use jiff::SignedDuration;
use shopflow_archive::ArchiveUrl;

use super::args::{ArchiveArgs, HttpArgs, RetentionArgs};
use super::problems::Problems;
use super::read::{Secret, given, or_default, secret};
use super::services::base_url;

/// A year; who wants it more rarely runs it by hand.
const MOST_HOURS: u32 = 24 * 366;

/// What retention needs beside a database.
#[derive(Clone, Debug, Default)]
pub(crate) struct RetentionConfig {
    /// Where old notifications go.
    pub(crate) archive: Option<ArchiveUrl>,
    /// Who tells which users were purged.
    pub(crate) auth: Option<AuthPeer>,
}

/// How the auth service is reached.
#[derive(Clone, Debug)]
pub(crate) struct AuthPeer {
    pub(crate) url: String,
    pub(crate) token: Secret,
}

impl ArchiveArgs {
    pub(super) fn check(&self, problems: &mut Problems) -> Option<ArchiveUrl> {
        let url = given(self.retention_archive_url.as_ref())?;
        problems.take("RETENTION_ARCHIVE_URL", url.parse())
    }
}

impl HttpArgs {
    /// How often retention runs by itself, if it does.
    pub(super) fn retention(&self, problems: &mut Problems) -> Option<SignedDuration> {
        const NAME: &str = "RETENTION_EVERY_HOURS";
        const WANTED: &str = "a whole number of hours from 0 (never) to 8784";
        let value = self.retention_every_hours.as_ref();
        let hours = or_default(problems, NAME, value, 0, WANTED);
        if hours > MOST_HOURS {
            problems.add(NAME, format!("must be {WANTED}"));
        }
        (hours > 0).then(|| SignedDuration::from_hours(hours.into()))
    }
}

impl RetentionArgs {
    /// The settings.
    pub(crate) fn check(&self, problems: &mut Problems) -> RetentionConfig {
        RetentionConfig {
            archive: self.archive.check(problems),
            auth: self.peer(problems),
        }
    }

    /// The auth service, if it is named at all.
    fn peer(&self, problems: &mut Problems) -> Option<AuthPeer> {
        const TOKEN: &str = "AUTH_SERVICE_TOKEN";
        let url = self.auth_service_url.as_ref();
        given(url)?;
        let url = base_url(problems, "AUTH_SERVICE_URL", url);
        let token = secret(
            problems,
            TOKEN,
            self.auth_service_token.as_ref(),
            self.auth_service_token_file.as_ref(),
        );
        if token.is_none() {
            problems.add(TOKEN, "is required with AUTH_SERVICE_URL");
        }
        url.zip(token).map(|(url, token)| AuthPeer { url, token })
    }
}
