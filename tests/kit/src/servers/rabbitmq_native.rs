//! A RabbitMQ broker from the package of this machine.

use super::{
    native::{Native, find_program, quick_folder},
    rabbitmq::Access,
    until_ready,
};
use crate::process::free_port;
use anyhow::{Context, Result};
use std::{fs, path::PathBuf, time::Duration};

/// What it may use before it takes no more messages.
const MEMORY: &str = "1GB";

const MISSING: &str = "no RabbitMQ in /usr/lib/rabbitmq/bin: apt-get install rabbitmq-server";

#[derive(Debug)]
pub(super) struct NativeRabbitMq {
    native: Native,
    ports: Ports,
}

#[derive(Debug)]
struct Ports {
    amqp: u16,
    management: u16,
    /// Between nodes; there is only one, but it listens all the same.
    distribution: u16,
    /// Erlang's port mapper, an own one so that other brokers on this machine are not touched.
    epmd: u16,
}

impl NativeRabbitMq {
    /// A new, empty broker that runs.
    pub(super) async fn create() -> Result<Self> {
        match Self::create_once().await {
            Ok(broker) => Ok(broker),
            // Another process may have taken one of the ports in between.
            Err(_) => Self::create_once().await,
        }
    }

    async fn create_once() -> Result<Self> {
        let epmd = find_program("epmd", &erlang_folders()).context(MISSING)?;
        let mut native = Native::new_in(&quick_folder(), "rabbitmq")?;
        let ports = Ports {
            amqp: free_port(),
            management: free_port(),
            distribution: free_port(),
            epmd: free_port(),
        };
        fs::write(native.folder().join("plugins"), "[rabbitmq_management].\n")?;
        fs::write(native.folder().join("rabbitmq.conf"), configuration(&ports))?;
        // Erlang would start one by itself, but such a daemon is hard to find again.
        let mut epmd = native.command(epmd)?;
        epmd.args(["-port", &ports.epmd.to_string(), "-address", "127.0.0.1"]);
        native.spawn(epmd, "KILL")?;
        let mut broker = Self { native, ports };
        broker.start().await?;
        Ok(broker)
    }

    /// Starts it again, with the data and the ports it had.
    pub(super) async fn restart(&mut self) -> Result<()> {
        if self.start().await.is_ok() {
            return Ok(());
        }
        // Seen once in many runs on a busy machine: it ends while it boots on the data of a killed
        // broker. A second failure is a real one.
        self.kill();
        self.start().await
    }

    async fn start(&mut self) -> Result<()> {
        // The script beside it in /usr/sbin insists on /var/lib/rabbitmq.
        let program = find_program("rabbitmq-server", &["/usr/lib/rabbitmq/bin".into()]);
        let folder = self.native.folder();
        let mut command = self.native.command(program.context(MISSING)?)?;
        command
            .env(
                "RABBITMQ_NODENAME",
                format!("shopflow-{}@localhost", self.ports.amqp),
            )
            .env("RABBITMQ_NODE_PORT", self.ports.amqp.to_string())
            .env("RABBITMQ_DIST_PORT", self.ports.distribution.to_string())
            .env("RABBITMQ_MNESIA_BASE", folder.join("data"))
            .env("RABBITMQ_LOG_BASE", folder.join("logs"))
            .env("RABBITMQ_LOGS", "-")
            .env("RABBITMQ_ENABLED_PLUGINS_FILE", folder.join("plugins"))
            .env("RABBITMQ_CONFIG_FILE", folder.join("rabbitmq"))
            .env("RABBITMQ_CONF_ENV_FILE", "/dev/null")
            .env("ERL_EPMD_PORT", self.ports.epmd.to_string())
            .env("ERL_EPMD_ADDRESS", "127.0.0.1")
            // The script then becomes the server instead of staying around it.
            .env("RUNNING_UNDER_SYSTEMD", "true")
            // Few threads, and none that spin while idle: tests run beside it.
            .env(
                "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS",
                "+S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none \
                 -kernel inet_dist_use_interface {127,0,0,1}",
            );
        self.native.spawn(command, "KILL")?;
        let access = self.access();
        let timeout = Duration::from_secs(120);
        until_ready(
            "RabbitMQ",
            timeout,
            || self.native.check_alive(),
            async || access.check().await,
        )
        .await
    }

    /// Raises or ends the memory alarm, during which the broker blocks publishers.
    pub(super) async fn alarm(&self, on: bool) -> Result<()> {
        let program = find_program("rabbitmqctl", &["/usr/lib/rabbitmq/bin".into()]);
        let mut command = self.native.command(program.context(MISSING)?)?;
        let watermark = if on { "1" } else { MEMORY };
        command
            .env("ERL_EPMD_PORT", self.ports.epmd.to_string())
            .env("RABBITMQ_CONF_ENV_FILE", "/dev/null")
            .args(["-n", &format!("shopflow-{}@localhost", self.ports.amqp)])
            .args(["set_vm_memory_high_watermark", "absolute", watermark]);
        self.native.run(command).await
    }

    /// Ends it with SIGKILL.
    pub(super) fn kill(&mut self) {
        self.native.end_last();
    }

    pub(super) fn access(&self) -> Access {
        let Ports {
            amqp, management, ..
        } = self.ports;
        Access::parse(
            &format!("amqp://guest:guest@127.0.0.1:{amqp}"),
            &format!("http://guest:guest@127.0.0.1:{management}"),
        )
        .expect("URLs of our own can be read")
    }
}

fn configuration(ports: &Ports) -> String {
    format!(
        "listeners.tcp.default = 127.0.0.1:{}\n\
         management.tcp.ip = 127.0.0.1\n\
         management.tcp.port = {}\n\
         loopback_users = none\n\
         disk_free_limit.absolute = 50MB\n\
         vm_memory_high_watermark.absolute = {MEMORY}\n",
        ports.amqp, ports.management
    )
}

/// Where `epmd` may be when it is not in `PATH`.
fn erlang_folders() -> Vec<PathBuf> {
    let entries = fs::read_dir("/usr/lib/erlang")
        .into_iter()
        .flatten()
        .flatten();
    entries.map(|entry| entry.path().join("bin")).collect()
}
