//! Secrets and service tokens that are renewed while the service runs.

use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use core_auth::Keys;
use core_kernel::{Clock, SystemClock};
use jiff::SignedDuration;
use secrecy::{ExposeSecret, SecretString};
use shopflow_http::ServiceToken;
use tokio::sync::watch;

use crate::config::{KeyConfig, Secret};
use crate::lifecycle::Lifecycle;

/// How soon a new token is noticed. The file is small and in memory; reading it costs nothing.
const LOOK: Duration = Duration::from_secs(1);

/// How often what a token has left is told.
const GAUGE: Duration = Duration::from_secs(10);

/// How long a secret is to sign.
const ROTATION: SignedDuration = SignedDuration::from_hours(90 * 24);

/// A secret, now and as it changes. `name` is its variable.
pub(crate) fn follow(
    lifecycle: &mut Lifecycle,
    name: &'static str,
    secret: Secret,
) -> watch::Receiver<SecretString> {
    let (sender, receiver) = watch::channel(secret.value);
    match secret.file {
        Some(file) => lifecycle.spawn(name, look(name, file, sender, lifecycle.served())),
        // Without a file it never changes; the last value stays readable.
        None => drop(sender),
    }
    receiver
}

/// A service token, now and as it changes, with a gauge of how long it is still valid.
pub(crate) fn token(lifecycle: &mut Lifecycle, name: &'static str, token: Secret) -> ServiceToken {
    let receiver = follow(lifecycle, name, token);
    let followed = receiver.clone();
    gauge(lifecycle, name, move || {
        expiry(followed.borrow().expose_secret())
    });
    receiver
}

/// Tells in a gauge how many seconds a credential has left until the time that `expires` gives, in
/// seconds since 1970.
fn gauge(
    lifecycle: &mut Lifecycle,
    name: &'static str,
    expires: impl Fn() -> Option<i64> + Send + 'static,
) {
    let mut done = lifecycle.served();
    lifecycle.spawn("credential gauge", async move {
        loop {
            if let Some(expires) = expires() {
                let left = expires - SystemClock.now().as_second();
                #[expect(clippy::cast_precision_loss, reason = "a gauge is a float")]
                metrics::gauge!("shopflow_credential_expires_seconds", "credential" => name)
                    .set(left as f64);
            }
            if tokio::time::timeout(GAUGE, done.wait_for(|done| *done))
                .await
                .is_ok()
            {
                return;
            }
        }
    });
}

/// When a secret is to be replaced by the next: a quarter after its file was written (PRD §10.5).
pub(crate) fn due(file: &Path) -> Option<i64> {
    let written = file.metadata().ok()?.modified().ok()?;
    let written = jiff::Timestamp::try_from(written).ok()?;
    Some(written.as_second() + ROTATION.as_secs())
}

/// When a token expires, in seconds since 1970, as it says itself; nobody believes it here.
pub(crate) fn expiry(token: &str) -> Option<i64> {
    let claims = token.split('.').nth(1)?;
    let claims = URL_SAFE_NO_PAD.decode(claims).ok()?;
    let claims: serde_json::Value = serde_json::from_slice(&claims).ok()?;
    claims["exp"].as_i64()
}

/// The keys of these secrets, now and as their files change. What makes no good key is told, and
/// the last good ones stay.
pub(crate) fn keys(lifecycle: &mut Lifecycle, config: KeyConfig) -> anyhow::Result<Keys> {
    let keys = Keys::new(config.ring()?);
    let changes = config.current.file.is_some()
        || config
            .previous
            .as_ref()
            .is_some_and(|secret| secret.file.is_some());
    if !changes {
        return Ok(keys);
    }
    if let Some(file) = config.current.file.clone() {
        gauge(lifecycle, "JWT_SECRET", move || due(&file));
    }
    let mut current = follow(lifecycle, "JWT_SECRET", config.current);
    let mut previous = config
        .previous
        .map(|secret| follow(lifecycle, "JWT_SECRET_PREVIOUS", secret));
    let (followed, mut done) = (keys.clone(), lifecycle.served());
    lifecycle.spawn("secrets", async move {
        loop {
            let other = async {
                match &mut previous {
                    Some(previous) => changed(previous).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = changed(&mut current) => {}
                () = other => {}
                _ = done.wait_for(|done| *done) => return,
            }
            let older = previous.as_ref().map(|previous| previous.borrow().clone());
            let ring = KeyConfig::ring_of(&current.borrow(), older.as_ref());
            match ring {
                Ok(ring) => {
                    followed.replace(ring);
                    tracing::info!("secrets renewed");
                }
                Err(error) => {
                    let error = error.to_string();
                    tracing::warn!(error, "secret is of no use; keeping the last one");
                }
            }
        }
    });
    Ok(keys)
}

/// Waits for the next value; for ever when there will be none.
async fn changed(receiver: &mut watch::Receiver<SecretString>) {
    if receiver.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
}

async fn look(
    name: &'static str,
    file: PathBuf,
    sender: watch::Sender<SecretString>,
    mut done: watch::Receiver<bool>,
) {
    let path = file.display().to_string();
    let mut readable = true;
    while tokio::time::timeout(LOOK, done.wait_for(|done| *done))
        .await
        .is_err()
    {
        let read = tokio::fs::read_to_string(&file).await;
        match read.as_deref().map(str::trim) {
            Ok(token) if !token.is_empty() => {
                readable = true;
                let changed = sender.send_if_modified(|old| {
                    let changed = old.expose_secret() != token;
                    if changed {
                        *old = SecretString::from(token);
                    }
                    changed
                });
                if changed {
                    tracing::info!(name, path, "secret file renewed");
                }
            }
            // A file that is being replaced may be away or empty for a moment.
            _ if readable => {
                readable = false;
                tracing::warn!(
                    name,
                    path,
                    "secret file cannot be read; keeping the last one"
                );
            }
            _ => {}
        }
    }
}
