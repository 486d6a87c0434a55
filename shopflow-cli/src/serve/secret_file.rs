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

/// A secret that may change in its file. `name` is its variable.
struct Followed {
    name: &'static str,
    value: SecretString,
    file: Option<PathBuf>,
    readable: bool,
}

impl Followed {
    fn new(name: &'static str, secret: Secret) -> Self {
        Self {
            name,
            value: secret.value,
            file: secret.file,
            readable: true,
        }
    }

    /// Looks at the file; whether it holds another secret than before.
    async fn look(&mut self) -> bool {
        let Some(file) = &self.file else {
            return false;
        };
        let (name, path) = (self.name, file.display().to_string());
        let read = tokio::fs::read_to_string(file).await;
        match read.as_deref().map(str::trim) {
            Ok(secret) if !secret.is_empty() => {
                self.readable = true;
                let changed = self.value.expose_secret() != secret;
                if changed {
                    self.value = SecretString::from(secret);
                    tracing::info!(name, path, "secret file renewed");
                }
                changed
            }
            // A file that is being replaced may be away or empty for a moment.
            _ => {
                if std::mem::take(&mut self.readable) {
                    let what = "secret file cannot be read; keeping the last one";
                    tracing::warn!(name, path, "{what}");
                }
                false
            }
        }
    }
}

/// Waits until it is time to look again; false when there is no more need to.
async fn time_to_look(done: &mut watch::Receiver<bool>) -> bool {
    let done = done.wait_for(|done| *done);
    tokio::time::timeout(LOOK, done).await.is_err()
}

/// A service token, now and as it changes, with a gauge of how long it is still valid.
pub(crate) fn token(lifecycle: &mut Lifecycle, name: &'static str, token: Secret) -> ServiceToken {
    let mut file = Followed::new(name, token);
    let (sender, receiver) = watch::channel(file.value.clone());
    if file.file.is_some() {
        let mut done = lifecycle.served();
        lifecycle.spawn(name, async move {
            while time_to_look(&mut done).await {
                if file.look().await {
                    sender.send_replace(file.value.clone());
                }
            }
        });
    }
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
    let mut current = Followed::new("JWT_SECRET", config.current);
    let mut previous = config
        .previous
        .map(|secret| Followed::new("JWT_SECRET_PREVIOUS", secret));
    let (followed, mut done) = (keys.clone(), lifecycle.served());
    lifecycle.spawn("secrets", async move {
        while time_to_look(&mut done).await {
            if look_at_both(&mut current, &mut previous).await {
                let older = previous.as_ref().map(|previous| &previous.value);
                match KeyConfig::ring_of(&current.value, older) {
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
        }
    });
    Ok(keys)
}

/// Looks at the secret, and then at the list of those that verify beside it. Who rotates writes them the
/// other way round, so a new secret is never in use beside the list of before.
async fn look_at_both(current: &mut Followed, previous: &mut Option<Followed>) -> bool {
    let changed = current.look().await;
    match previous {
        Some(previous) => previous.look().await || changed,
        None => changed,
    }
}
