//! Where is looked, and what is known beside it.

use std::collections::HashSet;
use std::sync::Arc;

use anyhow::{Context, anyhow};
use core_kernel::{EventId, OrderId, chain};
use core_notify::{DeadLetterLog, NotificationLedger};
use core_orders::{OrderLedger, OrderStore};
use shopflow_amqp::topology;

use super::finding::Cure;
use crate::Failure;
use crate::admin::dlq::LettersPlace;
use crate::admin::place::{Data, Place};
use crate::config::{DatabaseConfig, Secret};

/// The data of both services.
pub(super) struct Sources {
    pub(super) ledger: Arc<dyn OrderLedger>,
    pub(super) orders: Arc<dyn OrderStore>,
    pub(super) notifications: Arc<dyn NotificationLedger>,
    pub(super) log: Arc<dyn DeadLetterLog>,
}

const COMMAND: &str = "shopflow reconcile";

impl Sources {
    pub(super) async fn open(
        place: &Place,
        notify: Option<DatabaseConfig>,
    ) -> Result<(Self, Data), Failure> {
        let own = place.open(COMMAND, 2).await?;
        let other = own.beside(notify, COMMAND).await?;
        let sources = Self {
            ledger: own.order_ledger(),
            orders: own.orders(),
            notifications: other.notification_ledger(),
            log: other.dead_letter_log(),
        };
        Ok((sources, own))
    }
}

/// What is on its way already, or was given up: it may have what seems to be missing.
pub(super) struct Afloat {
    letters: HashSet<String>,
    /// Orders with the types of their events.
    given_up: HashSet<(OrderId, String)>,
    /// Events that wait in the queues.
    waiting: u64,
}

impl Afloat {
    /// Looks at the broker, or into the folder.
    ///
    /// # Errors
    /// When it cannot be read: then nothing can be mended.
    pub(super) async fn look(
        place: &Place,
        data: &Data,
        broker: Option<&Secret>,
    ) -> anyhow::Result<Self> {
        let desk = LettersPlace::of(place, broker).await?;
        let waiting = match (data, broker) {
            (Data::Folder(database), _) => {
                let counts = database.counts().await.context("the folder")?;
                counts.bus_waiting + counts.bus_retrying
            }
            (Data::Server(_), Some(url)) => {
                let waiting = topology::waiting(url.expose()).await;
                waiting.map_err(|error| anyhow!("RABBITMQ_URL: {}", chain(&*error)))?
            }
            (Data::Server(_), None) => return Err(anyhow!("RABBITMQ_URL is not set")),
        };
        let (mut letters, mut given_up) = (HashSet::new(), HashSet::new());
        let looked = desk.look(|letter| {
            letters.insert(letter.message_id.clone());
            given_up.extend(letter.order_id().zip(letter.event_type.clone()));
        });
        looked.await?;
        Ok(Self {
            letters,
            given_up,
            waiting,
        })
    }

    /// Why an event must not go out now, if there is a reason.
    pub(super) fn forbids(&self, cure: &Cure) -> Option<String> {
        let about = (cure.order_id, cure.kind.event_type().to_owned());
        if self.letters.contains(&cure.event_id.to_string()) || self.given_up.contains(&about) {
            let order = cure.order_id;
            return Some(format!(
                "it is a dead letter; see: shopflow dlq list --order {order}"
            ));
        }
        (cure.unsure && self.waiting > 0).then(|| self.among_others())
    }

    /// What to do about a resend that is stuck. Whoever sends the first one again while its event is
    /// still somewhere has it go out twice.
    pub(super) fn of_resend(&self, event: EventId) -> String {
        if self.letters.contains(&event.to_string()) {
            return format!("its event is a dead letter; see: shopflow dlq replay {event}");
        }
        match self.waiting {
            0 => "its event is nowhere any more; send the first one again: shopflow notifications resend"
                .to_owned(),
            _ => self.among_others(),
        }
    }

    fn among_others(&self) -> String {
        let waiting = self.waiting;
        format!("it may be one of {waiting} events that wait in the queues; let them drain first")
    }
}
