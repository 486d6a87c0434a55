//! Going through everything, a part at a time.

use std::collections::{HashMap, HashSet};

use core_kernel::{Clock, OrderId, RequestContext, SystemClock, chain, wire_time};
use core_orders::{Ledger, OrderEvent, Repair};
use indicatif::ProgressBar;
use serde_json::{Value, json};

use super::finding::{Cure, Finding, Kind, Noted, Window, of_order, of_stale};
use super::sources::{Afloat, Sources};
use crate::Failure;
use crate::admin::actor::actor;
use crate::admin::output::{note, say};
use crate::cli::Output;

/// Orders, or notifications, that are in memory at one time.
const PART: u32 = 500;

/// Letters that somebody has in hand are seen by nobody else; their replay mails under the old id, and
/// `--fix` would under another.
const FORGOTTEN: &str = "its id is forgotten after a week, and a dlq replay that runs now may be mailing it; once none runs, add --forgotten";

/// What came of it.
#[derive(Debug, Default)]
pub(super) struct Report {
    /// Orders that were looked at.
    pub(super) orders: u64,
    /// Notifications that were, because they seemed to be stuck.
    pub(super) queued: u64,
    found: HashMap<&'static str, u64>,
    /// Findings that an event mends.
    pub(super) curable: u64,
    pub(super) mended: u64,
    /// Services that could not be read, and why.
    pub(super) missing: Vec<(&'static str, String)>,
}

impl Report {
    pub(super) fn found(&self) -> u64 {
        self.found.values().sum()
    }

    /// The last line for programs.
    pub(super) fn json(&self) -> Value {
        let of = |kind: Kind| self.found.get(kind.as_str()).copied().unwrap_or_default();
        let found = Kind::ALL.map(|kind| (kind.as_str().to_owned(), json!(of(kind))));
        let missing = self.missing.iter();
        let missing = missing.map(|(service, error)| json!({ "service": service, "error": error }));
        json!({
            "orders": self.orders,
            "queued": self.queued,
            "found": found.into_iter().collect::<serde_json::Map<_, _>>(),
            "mended": self.mended,
            "left": self.found() - self.mended,
            "missing": missing.collect::<Vec<_>>(),
        })
    }
}

/// One way through everything.
pub(super) struct Walk {
    pub(super) sources: Sources,
    /// What is on its way; `None` where that is not known, and then nothing is mended.
    pub(super) afloat: Option<Afloat>,
    pub(super) window: Window,
    /// How findings are told; `None` for people, beside the result, before they are asked.
    pub(super) output: Option<Output>,
    /// What people have read before they were asked, where they read the result as well.
    pub(super) shown: HashSet<String>,
    pub(super) mends: bool,
    /// Whether events go out of which the outbox has forgotten under which id they did before.
    pub(super) forgotten: bool,
    pub(super) bar: ProgressBar,
    pub(super) report: Report,
}

impl Walk {
    pub(super) async fn all(&mut self) -> Result<(), Failure> {
        self.orders().await?;
        self.queued().await
    }

    async fn orders(&mut self) -> Result<(), Failure> {
        let (mut last, mut asks) = (None, true);
        loop {
            let part = self.sources.ledger.ledgers_after(last, PART).await;
            let part = match part {
                Ok(part) => part,
                Err(error) => {
                    self.report.missing.push(("orders", chain(&error)));
                    return Ok(());
                }
            };
            let Some(end) = part.last() else {
                return Ok(());
            };
            last = Some(end.id);
            let noted = match asks {
                true => self.noted(&part).await,
                false => None,
            };
            asks = noted.is_some();
            for ledger in &part {
                for finding in of_order(ledger, noted.as_ref(), &self.window) {
                    self.take(finding).await?;
                }
            }
            self.report.orders += part.len() as u64;
            self.bar.inc(part.len() as u64);
        }
    }

    async fn noted(&mut self, part: &[Ledger]) -> Option<Noted> {
        let ids: Vec<OrderId> = part.iter().map(|ledger| ledger.id).collect();
        let events = part.iter().flat_map(|ledger| &ledger.events);
        let events: Vec<String> = events.map(|event| event.event_id.to_string()).collect();
        let heard = self.sources.notifications.heard(&ids).await;
        let heard = self.told(heard)?;
        let discarded = self.sources.log.discarded(&ids, &events).await;
        Some(Noted::new(heard, self.told(discarded)?))
    }

    /// What the notification service tells; that it does not is told once.
    fn told<T, E: std::error::Error + 'static>(&mut self, answer: Result<T, E>) -> Option<T> {
        let missing = |error: E| self.report.missing.push(("notify", chain(&error)));
        answer.map_err(missing).ok()
    }

    async fn queued(&mut self) -> Result<(), Failure> {
        // What could not be read before is not asked again.
        if self
            .report
            .missing
            .iter()
            .any(|(service, _)| *service == "notify")
        {
            return Ok(());
        }
        let (until, mut last) = (self.window.until, None);
        loop {
            let part = self.sources.notifications.stale(until, last, PART).await;
            let Some(part) = self.told(part) else {
                return Ok(());
            };
            let Some(end) = part.last() else {
                return Ok(());
            };
            last = Some(end.id);
            let events = part.iter().map(|stale| stale.event_id.to_string());
            let events: Vec<String> = events.collect();
            let discarded = self.sources.log.discarded(&[], &events).await;
            let Some(discarded) = self.told(discarded) else {
                return Ok(());
            };
            let noted = Noted::new(Vec::new(), discarded);
            let ids: Vec<OrderId> = part.iter().filter_map(|stale| stale.order_id).collect();
            // That orders cannot be read was told on the way through them.
            let ledgers = self.sources.ledger.ledgers_of(&ids).await;
            let ledgers = ledgers.unwrap_or_default();
            let ledgers: HashMap<OrderId, Ledger> =
                ledgers.into_iter().map(|one| (one.id, one)).collect();
            for stale in &part {
                let ledger = stale.order_id.and_then(|id| ledgers.get(&id));
                if let Some(finding) = of_stale(stale, ledger, &noted, &self.window) {
                    self.take(finding).await?;
                }
            }
            self.report.queued += part.len() as u64;
        }
    }

    /// Counts a finding, mends it if that is wanted and possible, and tells of it.
    async fn take(&mut self, mut finding: Finding) -> Result<(), Failure> {
        if let Some(why) = self.obstacle(&finding) {
            finding.cure = Err(why);
        }
        let mut mended = false;
        if let (Ok(cure), true) = (&finding.cure, self.mends) {
            match self.mend(finding.kind, *cure).await {
                Ok(()) => mended = true,
                Err(why) => finding.cure = Err(why),
            }
        }
        *self.report.found.entry(finding.kind.as_str()).or_default() += 1;
        self.report.curable += u64::from(finding.cure.is_ok());
        self.report.mended += u64::from(mended);
        let found = finding.line(false);
        self.bar.suspend(|| match self.output {
            None => {
                note(&found);
                self.shown.insert(found);
                Ok(())
            }
            Some(Output::Json) => say(&finding.json(mended, self.window.now).to_string()),
            // The sum tells how many were mended, and `mend` told which.
            Some(Output::Table) if self.shown.contains(&found) => Ok(()),
            Some(Output::Table) => say(&finding.line(mended)),
        })
    }

    /// Why a finding is not mended now, beside what it says itself.
    fn obstacle(&self, finding: &Finding) -> Option<String> {
        let afloat = self.afloat.as_ref();
        match (&finding.cure, finding.resend) {
            (Err(_), Some(event)) => Some(match afloat {
                Some(afloat) => afloat.of_resend(event),
                None => format!("look first: shopflow dlq show {event}"),
            }),
            (Err(_), None) => None,
            (Ok(cure), _) => {
                let afloat = afloat.and_then(|afloat| afloat.forbids(cure));
                let forgotten = cure.unsure && !self.forgotten;
                afloat.or_else(|| forgotten.then(|| FORGOTTEN.to_owned()))
            }
        }
    }

    /// Lets the event go out that mends a finding; a note of who did it is kept with it, and told on
    /// standard error.
    async fn mend(&self, kind: Kind, cure: Cure) -> Result<(), String> {
        let order = self.sources.orders.find(cure.order_id).await;
        let order = order.map_err(|error| chain(&error))?;
        let order = order.ok_or("its order is not there")?;
        let event = OrderEvent::rebuilt(cure.kind, cure.event_id, &order);
        let event = event.ok_or("the order has no time for it")?;
        let repair = Repair {
            actor: actor(),
            finding: kind.as_str(),
            at: SystemClock.now(),
        };
        let context = RequestContext::generate();
        let restored = self.sources.ledger.restore(&event, &repair, &context).await;
        // Somebody else has just done the same, if it waits already.
        if restored.map_err(|error| chain(&error))? {
            let line = json!({
                "timestamp": wire_time::format(repair.at),
                "action": "restore_event",
                "finding": repair.finding,
                "order_id": cure.order_id,
                "event_type": cure.kind.event_type(),
                "event_id": cure.event_id,
                "actor": repair.actor,
            });
            self.bar.suspend(|| note(&line.to_string()));
        }
        Ok(())
    }
}
