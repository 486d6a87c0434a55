//! Where is looked, and what is known beside it.

use std::collections::HashSet;
use std::sync::Arc;

use anyhow::{Context, anyhow};
use core_kernel::{OrderId, chain};
use core_notify::{LetterFilter, NotificationLedger};
use core_orders::{OrderLedger, OrderStore};
use indicatif::ProgressBar;
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
}

impl Sources {
    pub(super) async fn open(
        place: &Place,
        notify: Option<DatabaseConfig>,
    ) -> Result<(Self, Data), Failure> {
        let own = place.open("shopflow reconcile", 2).await?;
        let other = match notify {
            Some(database) => {
                Place::Server(database)
                    .open("shopflow reconcile", 2)
                    .await?
            }
            None => own.clone(),
        };
        let sources = Self {
            ledger: own.order_ledger(),
            orders: own.orders(),
            notifications: other.notification_ledger(),
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
        let (letters, waiting) = match (place, data, broker) {
            (Place::Folder(folder), Data::Folder(database), _) => {
                let counts = database.counts().await.context("the folder")?;
                let letters = LettersPlace::Folder(folder.clone());
                (letters, counts.bus_waiting + counts.bus_retrying)
            }
            (_, _, Some(url)) => {
                let waiting = topology::waiting(url.expose()).await;
                let waiting =
                    waiting.map_err(|error| anyhow!("RABBITMQ_URL: {}", chain(&*error)))?;
                (LettersPlace::Broker(url.clone(), None), waiting)
            }
            _ => return Err(anyhow!("RABBITMQ_URL is not set")),
        };
        let desk = letters.open(&ProgressBar::hidden()).await;
        let desk = desk.map_err(|_| anyhow!("the dead letters cannot be opened"))?;
        let all = desk.list(&LetterFilter::default(), None).await?;
        let about = all.iter().filter_map(|letter| {
            let order = letter.order_id()?;
            Some((order, letter.event_type.clone()?))
        });
        Ok(Self {
            given_up: about.collect(),
            letters: all.into_iter().map(|letter| letter.message_id).collect(),
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
        (cure.unsure && self.waiting > 0).then(|| {
            let waiting = self.waiting;
            format!(
                "it may be one of {waiting} events that wait in the queues; let them drain first"
            )
        })
    }
}
