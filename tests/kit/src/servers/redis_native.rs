//! A Redis server from the package of this machine.

use super::{
    native::{Native, find_program},
    redis::{DATABASES, answers},
    until_ready,
};
use crate::process::free_port;
use anyhow::{Context, Result};
use std::{path::PathBuf, time::Duration};

#[derive(Debug)]
pub(super) struct NativeRedis {
    native: Native,
    program: PathBuf,
    port: u16,
}

impl NativeRedis {
    /// A new, empty server that runs.
    pub(super) async fn create() -> Result<Self> {
        let program = find_program("redis-server", &[])
            .context("no redis-server in PATH: apt-get install redis-server")?;
        let mut server = Self {
            native: Native::new("redis")?,
            program,
            port: 0,
        };
        // Another process may take the port in between.
        for _ in 0..2 {
            server.port = free_port();
            if server.start().await.is_ok() {
                return Ok(server);
            }
            server.kill();
        }
        server.port = free_port();
        server.start().await?;
        Ok(server)
    }

    /// Starts it again on the port it had. It keeps nothing on disk.
    pub(super) async fn start(&mut self) -> Result<()> {
        let mut redis = self.native.command(&self.program)?;
        redis.args(["--port", &self.port.to_string()]);
        redis.args(["--bind", "127.0.0.1", "--databases", DATABASES]);
        redis.args(["--save", "", "--appendonly", "no"]);
        self.native.spawn(redis, "KILL")?;
        let url = self.url();
        let timeout = Duration::from_secs(30);
        until_ready(
            "Redis",
            timeout,
            || self.native.check_alive(),
            async || answers(&url).await,
        )
        .await
    }

    pub(super) fn kill(&mut self) {
        self.native.end_last();
    }

    pub(super) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }
}
