//! Service tokens that renew themselves: whoever has the secret needs nobody to hand them out.

use std::time::Duration;

use anyhow::Context;
use core_auth::Keyring;
use core_kernel::{Clock, SystemClock};
use jiff::{SignedDuration, Timestamp};
use secrecy::SecretString;
use shopflow_http::ServiceToken;
use tokio::sync::watch;

use crate::lifecycle::Lifecycle;

const TTL: SignedDuration = SignedDuration::from_hours(1);

/// When a token has no more than this left, the next one is made.
const MARGIN: SignedDuration = SignedDuration::from_mins(30);

/// How often that is looked at. By the wall clock, since a laptop that slept has missed its timers.
const LOOK: Duration = Duration::from_secs(5);

/// A token for `subject`, now and for as long as anything is served.
pub(crate) fn renewing(
    lifecycle: &mut Lifecycle,
    keys: Keyring,
    subject: &'static str,
) -> anyhow::Result<ServiceToken> {
    let now = SystemClock.now();
    let (sender, receiver) = watch::channel(sign(&keys, subject, now)?);
    lifecycle.spawn(
        "service token",
        renew(sender, lifecycle.served(), keys, subject, now + TTL),
    );
    Ok(receiver)
}

fn sign(keys: &Keyring, subject: &str, now: Timestamp) -> anyhow::Result<SecretString> {
    let token = keys.sign_service(subject, now, TTL);
    token.map(SecretString::from).context("no service token")
}

async fn renew(
    sender: watch::Sender<SecretString>,
    mut served: watch::Receiver<bool>,
    keys: Keyring,
    subject: &'static str,
    mut expires: Timestamp,
) {
    while tokio::time::timeout(LOOK, served.wait_for(|served| *served))
        .await
        .is_err()
    {
        let now = SystemClock.now();
        if expires - MARGIN > now {
            continue;
        }
        match sign(&keys, subject, now) {
            Ok(token) => {
                sender.send_replace(token);
                expires = now + TTL;
            }
            Err(error) => tracing::error!(error = format!("{error:#}"), "token not renewed"),
        }
    }
}
