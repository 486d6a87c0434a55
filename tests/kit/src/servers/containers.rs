//! Servers in Docker containers.

use super::watchdog::Watchdog;
use anyhow::{Context, Result};
use std::{fmt, time::Duration};
use testcontainers::{
    ContainerAsync, GenericImage, ImageExt, core::IntoContainerPort, runners::AsyncRunner,
};

/// Enough to pull the images over a slow line; without a daemon it fails in milliseconds.
const TIMEOUT: Duration = Duration::from_secs(300);

/// By the command line tool, or without it by the socket.
const REMOVE: &str = r#"
    docker rm --force --volumes "$1" ||
        curl --unix-socket /var/run/docker.sock --request DELETE \
            "http://localhost/containers/$1?force=true&v=true"
"#;

/// A container that is removed when it is dropped, or by its watchdog when this process ends.
pub(crate) struct Container {
    container: ContainerAsync<GenericImage>,
    _watchdog: Watchdog,
}

impl Container {
    /// Starts a container of `image`, a name with a tag; the server in it may need longer.
    pub(crate) async fn start(
        image: &str,
        ports: &[u16],
        env: &[(&str, &str)],
        args: &[&str],
    ) -> Result<Self> {
        let (name, tag) = image.rsplit_once(':').unwrap_or((image, "latest"));
        let mut image = GenericImage::new(name, tag);
        for port in ports {
            image = image.with_exposed_port(port.tcp());
        }
        let mut request = image.with_cmd(args.iter().copied());
        for (name, value) in env {
            request = request.with_env_var(*name, *value);
        }
        let container = tokio::time::timeout(TIMEOUT, request.start())
            .await
            .with_context(|| format!("the container did not start in {TIMEOUT:?}"))??;
        let watchdog = Watchdog::start(REMOVE, container.id())?;
        Ok(Self {
            container,
            _watchdog: watchdog,
        })
    }

    /// `host:port` under which one of its ports can be reached.
    pub(crate) async fn address(&self, port: u16) -> Result<String> {
        let host = self.container.get_host().await?;
        let port = self.container.get_host_port_ipv4(port.tcp()).await?;
        Ok(format!("{host}:{port}"))
    }
}

impl fmt::Debug for Container {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Container")
            .field(&self.container.id())
            .finish()
    }
}
