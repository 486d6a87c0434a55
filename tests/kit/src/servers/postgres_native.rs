//! A PostgreSQL server from the package of this machine.

use super::{
    native::{Native, find_program},
    postgres::connect,
    until_ready,
};
use crate::process::free_port;
use anyhow::{Context, Result};
use std::{fs, path::PathBuf, time::Duration};

/// Faster than durable: nothing here has to survive a power cut. What was committed does survive a
/// killed server, and so `synchronous_commit` stays on; without fsync it costs next to nothing.
pub(super) const QUICK: [&str; 5] = [
    "--fsync=off",
    "--full_page_writes=off",
    "--shared_buffers=32MB",
    "--jit=off",
    "--max_connections=300",
];

/// As an operator runs it: commits are on the disk. Statements are counted, for whoever measures.
pub(super) const DURABLE: [&str; 2] = [
    "--shared_preload_libraries=pg_stat_statements",
    "--max_connections=300",
];

/// What only makes sense where the whole server is ours.
const OWN: [&str; 4] = [
    "--listen_addresses=127.0.0.1",
    "--unix_socket_directories=",
    "--wal_level=minimal",
    "--max_wal_senders=0",
];

#[derive(Debug)]
pub(super) struct NativePostgres {
    native: Native,
    programs: PathBuf,
    settings: &'static [&'static str],
    port: u16,
}

impl NativePostgres {
    /// A new, empty server that runs with these settings.
    pub(super) async fn create(settings: &'static [&'static str]) -> Result<Self> {
        let programs = programs().context(
            "no PostgreSQL programs in PATH or /usr/lib/postgresql/*/bin: \
             apt-get install postgresql",
        )?;
        let native = Native::new("postgres")?;
        let mut init = native.command(programs.join("initdb"))?;
        init.arg("-D").arg(native.folder().join("data"));
        init.args([
            "-U",
            "postgres",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--locale=C.UTF-8",
        ]);
        init.args(["--no-sync", "--no-instructions"]);
        native.run(init).await?;
        let mut server = Self {
            native,
            programs,
            settings,
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

    /// Starts it again, with the data and the port it had.
    pub(super) async fn start(&mut self) -> Result<()> {
        let mut postgres = self.native.command(self.programs.join("postgres"))?;
        postgres.arg("-D").arg(self.native.folder().join("data"));
        postgres
            .args(["-p", &self.port.to_string()])
            .args(self.settings)
            .args(OWN);
        self.native.spawn(postgres, "QUIT")?;
        let url = self.url();
        let timeout = Duration::from_secs(60);
        until_ready(
            "PostgreSQL",
            timeout,
            || self.native.check_alive(),
            async || connect(&url).await.map(drop),
        )
        .await
    }

    /// Kills all its processes (SIGKILL): nothing is written any more, nobody says goodbye.
    pub(super) fn kill(&mut self) {
        self.native.kill_last();
    }

    pub(super) fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }
}

/// The folder with `initdb` and `postgres`, of the newest version installed.
fn programs() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten();
    let mut versions: Vec<_> = versions
        .filter_map(|entry| {
            Some((
                entry.file_name().to_str()?.parse::<u32>().ok()?,
                entry.path(),
            ))
        })
        .collect();
    versions.sort();
    let folders: Vec<_> = versions
        .into_iter()
        .rev()
        .map(|(_, path)| path.join("bin"))
        .collect();
    Some(find_program("initdb", &folders)?.parent()?.to_owned())
}
