//! Service tokens that are renewed while the service runs.

use std::path::PathBuf;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use shopflow_http::ServiceToken;
use tokio::sync::watch;

use crate::config::Secret;
use crate::lifecycle::Lifecycle;

/// How soon a new token is noticed. The file is small and in memory; reading it costs nothing.
const LOOK: Duration = Duration::from_secs(1);

/// The token, now and as it changes.
pub(crate) fn follow(lifecycle: &mut Lifecycle, name: &'static str, token: Secret) -> ServiceToken {
    let (sender, receiver) = watch::channel(token.value);
    match token.file {
        Some(file) => lifecycle.spawn(name, look(file, sender, lifecycle.served())),
        // Without a file it never changes; the last value stays readable.
        None => drop(sender),
    }
    receiver
}

async fn look(file: PathBuf, sender: watch::Sender<SecretString>, mut done: watch::Receiver<bool>) {
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
                    tracing::info!(path, "service token renewed");
                }
            }
            // A file that is being replaced may be away or empty for a moment.
            _ if readable => {
                readable = false;
                tracing::warn!(
                    path,
                    "service token file cannot be read; keeping the last token"
                );
            }
            _ => {}
        }
    }
}
