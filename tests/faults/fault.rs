//! What goes wrong, and how it is made to.

use std::iter::repeat_n;
use std::time::Duration;

use fastrand::Rng;
use serde_json::json;
use shopflow_testkit::Reply;
use sqlx::Row;

use crate::rig::Rig;

const WORK_QUEUES: &str = "^notifications\\.order\\.(created|shipped)$";
const CREATED: &str = "notifications.order.created";

/// One thing that goes wrong, and is put right again after a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// `kill -9` of a service.
    KillService,
    /// The broker crashes, and comes back.
    KillBroker,
    /// The database crashes, and comes back.
    KillDatabase,
    /// A link refuses all connections.
    Cut,
    /// A link swallows everything.
    BlackHole,
    /// A service stands still, with all its connections open.
    Freeze,
    /// The broker takes nothing, for want of memory.
    Alarm,
    /// The work queues take nothing more.
    FullQueue,
    /// An event is delivered a hundred times more.
    Duplicates,
    /// Something that is no event is in the queue.
    Poison,
    /// The mail provider fails.
    Mails,
    /// The text provider fails.
    Texts,
}

impl Fault {
    const ALL: [Self; 12] = [
        Self::KillService,
        Self::KillBroker,
        Self::KillDatabase,
        Self::Cut,
        Self::BlackHole,
        Self::Freeze,
        Self::Alarm,
        Self::FullQueue,
        Self::Duplicates,
        Self::Poison,
        Self::Mails,
        Self::Texts,
    ];

    /// So many faults in random order, every kind among them; links and services more often.
    pub(crate) fn schedule(rng: &mut Rng, count: usize) -> Vec<Self> {
        const OFTEN: [Fault; 4] = [
            Fault::KillService,
            Fault::Cut,
            Fault::BlackHole,
            Fault::Freeze,
        ];
        let mut faults = Self::ALL.to_vec();
        while faults.len() < count {
            faults.push(OFTEN[rng.usize(..OFTEN.len())]);
        }
        rng.shuffle(&mut faults);
        faults
    }
}

/// What a round has had already. A provider that failed one message four times would rightly be
/// given up on, so each fails once a round, and for less than the waits between attempts.
#[derive(Default)]
pub(crate) struct Round {
    provider_failed: bool,
}

impl Rig {
    /// Lets a fault happen and puts it right. How many dead letters it asks for.
    #[expect(clippy::print_stdout, reason = "whoever replays a run wants to see it")]
    pub(crate) async fn strike(&mut self, fault: &Fault, rng: &mut Rng, round: &mut Round) -> u64 {
        let while_it_lasts = Duration::from_millis(rng.u64(300..3_000));
        let node = rng.usize(..self.nodes.len());
        match fault {
            Fault::KillService => {
                println!("  {}", self.nodes[node].name);
                self.nodes[node].kill();
                tokio::time::sleep(while_it_lasts / 3).await;
                self.nodes[node].launch();
            }
            Fault::KillBroker => {
                self.broker.kill();
                tokio::time::sleep(while_it_lasts).await;
                self.broker.start().await;
            }
            Fault::KillDatabase => {
                self.postgres.kill();
                tokio::time::sleep(while_it_lasts).await;
                self.postgres.start().await;
            }
            Fault::Cut | Fault::BlackHole => {
                let links = &self.nodes[node].links;
                let link = &links[rng.usize(..links.len())];
                println!("  {} to {}", self.nodes[node].name, link.to);
                match fault {
                    Fault::Cut => link.proxy.cut(),
                    _ => link.proxy.black_hole(),
                }
                tokio::time::sleep(while_it_lasts * 2).await;
                link.proxy.heal();
            }
            Fault::Freeze => {
                println!("  {}", self.nodes[node].name);
                self.nodes[node].process().freeze();
                tokio::time::sleep(while_it_lasts).await;
                self.nodes[node].process().thaw();
            }
            Fault::Alarm => {
                self.broker.alarm(true).await;
                tokio::time::sleep(while_it_lasts).await;
                self.broker.alarm(false).await;
            }
            Fault::FullQueue => {
                let full = json!({ "max-length": 1, "overflow": "reject-publish" });
                self.vhost.set_policy("full", WORK_QUEUES, &full).await;
                tokio::time::sleep(while_it_lasts).await;
                self.vhost.delete_policy("full").await;
            }
            Fault::Duplicates => self.deliver_again(100).await,
            Fault::Poison => {
                let id = format!("poison-{}", rng.u64(..));
                self.vhost
                    .publish("", CREATED, "{ no event", Some(&id), None, &[])
                    .await;
                return 1;
            }
            Fault::Mails | Fault::Texts if round.provider_failed => {}
            Fault::Mails => {
                round.provider_failed = true;
                let reply = replies(rng);
                self.ses.script(repeat_n(reply, 20));
                tokio::time::sleep(while_it_lasts).await;
                self.ses.heal();
            }
            Fault::Texts => {
                round.provider_failed = true;
                let reply = replies(rng);
                self.twilio.script(repeat_n(reply, 20));
                tokio::time::sleep(while_it_lasts).await;
                self.twilio.heal();
            }
        }
        0
    }

    /// The newest event that was published, as its queue has it, so many times more.
    async fn deliver_again(&self, times: usize) {
        let database = sqlx::PgPool::connect(&self.database_url).await.unwrap();
        let newest = "SELECT event_id::text, payload FROM order_outbox
            WHERE event_type = 'OrderCreated' AND published_at IS NOT NULL ORDER BY id DESC LIMIT 1";
        let row = sqlx::query(newest).fetch_optional(&database).await;
        database.close().await;
        let Some(row) = row.unwrap() else { return };
        let (id, payload): (String, String) = (row.get(0), row.get(1));
        let kind = Some("OrderCreated");
        for _ in 0..times {
            self.vhost
                .publish("", CREATED, &payload, Some(&id), kind, &[])
                .await;
        }
    }
}

/// Some way in which a provider fails for a while.
fn replies<R>(rng: &mut Rng) -> Reply<R> {
    match rng.usize(..7) {
        0 => Reply::Throttle,
        1 => Reply::ServerError,
        2 => Reply::Unavailable,
        3 => Reply::Hang,
        4 => Reply::ResetBefore,
        5 => Reply::AcceptThenReset,
        _ => Reply::Delay(Duration::from_secs(2)),
    }
}
