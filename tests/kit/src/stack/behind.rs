//! What the two back ends have in common for a test: what was sent, what fails, what waits.

use super::{
    Attempt, Backend, Channel, DeadLetter, Events, Fault, Sent, Setup, Stack, embedded::Embedded,
    servers::Servers,
};
use crate::{Client, Database, postgres, wait_for};
use std::{path::Path, time::Duration};

/// Longer than all retries of an event take together (21 s).
const RETRIES: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub(super) enum Behind {
    Servers(Servers),
    Embedded(Box<Embedded>),
}

impl Behind {
    pub(super) async fn start(backend: Backend, ports: [u16; 3]) -> (Self, Setup) {
        let (behind, rabbitmq_url, database_url) = match backend {
            Backend::Servers => {
                let servers = Servers::start().await;
                let broker = servers.vhost.url().to_owned();
                (
                    Self::Servers(servers),
                    broker,
                    postgres().await.database().await,
                )
            }
            Backend::Embedded => {
                let embedded = Embedded::new();
                let file = embedded.database_url();
                (Self::Embedded(Box::new(embedded)), String::new(), file)
            }
        };
        let setup = Setup {
            database_url,
            rabbitmq_url,
            ports,
            extra: Vec::new(),
        };
        (behind, setup)
    }

    /// With the notification service, which has the inbox of the embedded back end.
    pub(super) fn read_at(self, notify: &Client) -> Self {
        match self {
            Self::Servers(servers) => Self::Servers(servers),
            Self::Embedded(embedded) => Self::Embedded(Box::new(embedded.at(notify.clone()))),
        }
    }
}

impl Stack {
    /// What the services run on.
    #[must_use]
    pub fn backend(&self) -> Backend {
        match self.behind {
            Behind::Servers(_) => Backend::Servers,
            Behind::Embedded(_) => Backend::Embedded,
        }
    }

    /// The broker and the providers' stand-ins, for what only they have; panics on the embedded
    /// back end.
    #[must_use]
    pub fn servers(&self) -> &Servers {
        match &self.behind {
            Behind::Servers(servers) => servers,
            Behind::Embedded(_) => panic!("the embedded back end has no servers"),
        }
    }

    /// The folder with the data of the embedded back end; nothing on servers.
    #[must_use]
    pub fn data_dir(&self) -> Option<&Path> {
        match &self.behind {
            Behind::Servers(_) => None,
            Behind::Embedded(embedded) => Some(embedded.data()),
        }
    }

    /// A connection to the database.
    pub async fn database(&self) -> Database {
        Database::open(&self.setup.database_url).await
    }

    /// The mails that were accepted, oldest first; one that was accepted twice is there twice.
    pub async fn mails(&self) -> Vec<Sent> {
        self.sent(Channel::Email).await
    }

    /// The texts that were accepted, oldest first.
    pub async fn texts(&self) -> Vec<Sent> {
        self.sent(Channel::Sms).await
    }

    async fn sent(&self, channel: Channel) -> Vec<Sent> {
        match &self.behind {
            Behind::Servers(servers) => servers.sent(channel),
            Behind::Embedded(embedded) => embedded.sent(channel).await,
        }
    }

    /// All attempts to send, oldest first.
    pub async fn attempts(&self, channel: Channel) -> Vec<Attempt> {
        match &self.behind {
            Behind::Servers(servers) => servers.attempts(channel),
            Behind::Embedded(embedded) => embedded.attempts(channel).await,
        }
    }

    /// Lets the next `count` attempts fail, or all from now on; only those to `to`, if it is given.
    pub async fn fail(
        &self,
        channel: Channel,
        fault: Fault,
        count: Option<usize>,
        to: Option<&str>,
    ) {
        match &self.behind {
            Behind::Servers(servers) => servers.fail(channel, fault, count, to),
            Behind::Embedded(embedded) => embedded.fail(channel, fault, count, to).await,
        }
    }

    /// Lets no attempt fail any more.
    pub async fn heal(&self) {
        match &self.behind {
            Behind::Servers(servers) => servers.heal(),
            Behind::Embedded(embedded) => embedded.heal().await,
        }
    }

    /// The next dead letter that was not returned before; waits until there is one.
    pub async fn dead_letter(&self) -> DeadLetter {
        wait_for("a dead letter", RETRIES, || async {
            match &self.behind {
                Behind::Servers(servers) => servers.dead_letter().await,
                Behind::Embedded(embedded) => embedded.dead_letter().await,
            }
        })
        .await
    }

    /// How many dead letters there are. [`Stack::dead_letter`] takes them away on servers only.
    pub async fn dead_letters(&self) -> u64 {
        match &self.behind {
            Behind::Servers(servers) => servers.dead_letters().await,
            Behind::Embedded(embedded) => embedded.figure("dead_letters").await,
        }
    }

    /// How many events wait to be worked off.
    pub async fn bus_waiting(&self) -> u64 {
        match &self.behind {
            Behind::Servers(servers) => servers.waiting().await,
            Behind::Embedded(embedded) => embedded.figure("bus_waiting").await,
        }
    }

    /// How many events wait for their next attempt.
    pub async fn bus_retrying(&self) -> u64 {
        match &self.behind {
            Behind::Servers(servers) => servers.retrying().await,
            Behind::Embedded(embedded) => embedded.figure("bus_retrying").await,
        }
    }

    /// All events that are published from now on.
    pub async fn events(&self) -> Events {
        match &self.behind {
            Behind::Servers(servers) => Events::on_broker(servers.tap().await),
            Behind::Embedded(_) => Events::in_outbox(&self.setup.database_url).await,
        }
    }
}
