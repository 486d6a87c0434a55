//! Faults at random under steady load, on real processes and real servers: nothing is lost, and
//! nothing is sent twice but what fell between a provider's answer and our record of it.
//!
//! Each run prints its seed. `scripts/faults --seed N` runs the same schedule again, and
//! `scripts/faults --long` a thousand faults over fifty thousand orders, and a backlog of ten thousand.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on says where it stopped"
)]

mod backlog;
mod check;
mod disk;
mod fault;
mod load;
mod node;
mod rig;

use std::time::Duration;

use fastrand::Rng;
use fault::{Fault, Round};
use load::Load;
use rig::Rig;
use tokio::sync::Mutex;

/// Faults between two checks; enough for every kind to come up.
const ROUND: usize = 24;

/// Faults and load want the machine for themselves: who runs takes this.
static ALONE: Mutex<()> = Mutex::const_new(());

/// How much is done.
struct Plan {
    seed: u64,
    rounds: usize,
    /// Orders at least, over all rounds.
    orders: usize,
    /// Orders a second.
    rate: u32,
    /// Orders placed while the broker is away.
    backlog: u64,
    /// Orders are taken again so soon after a fault is over, and nobody who orders waits longer after an
    /// outage. What is promised (`scripts/faults`) takes a machine that does nothing else.
    recovers: Duration,
}

impl Plan {
    /// The short form, unless the environment (see `scripts/faults`) says more.
    #[expect(clippy::disallowed_methods, reason = "a test has no other settings")]
    fn read() -> Self {
        let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
        let rounds = number("SHOPFLOW_FAULTS_ROUNDS").unwrap_or(1);
        Self {
            seed: number("SHOPFLOW_FAULTS_SEED").unwrap_or_else(|| Rng::new().u64(1..1_000_000)),
            rounds: usize::try_from(rounds).unwrap(),
            orders: usize::try_from(number("SHOPFLOW_FAULTS_ORDERS").unwrap_or(0)).unwrap(),
            backlog: number("SHOPFLOW_FAULTS_BACKLOG").unwrap_or(300),
            recovers: Duration::from_secs(number("SHOPFLOW_FAULTS_RECOVERS").unwrap_or(30)),
            rate: u32::try_from(number("SHOPFLOW_FAULTS_RATE").unwrap_or(20)).unwrap(),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::print_stdout, reason = "whoever replays a run needs its seed")]
async fn random_faults_lose_nothing_and_send_nothing_twice() {
    let _alone = ALONE.lock().await;
    let plan = Plan::read();
    println!("seed {}", plan.seed);
    let mut rng = Rng::with_seed(plan.seed);
    let mut rig = Rig::start().await;
    let load = Load::start(&rig, plan.rate).await;
    let mut poison = 0;
    for number in 0..plan.rounds {
        load.resume();
        let mut round = Round::default();
        for fault in Fault::schedule(&mut rng, ROUND) {
            let begun = load.answered();
            println!("{number}: {fault:?}");
            poison += rig.strike(&fault, &mut rng, &mut round).await;
            let wait = Duration::from_secs(60);
            let took = load.flows_again(begun, wait).await;
            assert!(took <= plan.recovers, "{took:.1?} after {fault:?}");
        }
        let placed_by_now = plan.orders * (number + 1) / plan.rounds;
        load.reaches(placed_by_now).await;
        load.pause().await;
        let report = check::everything_is_there(&mut rig, &load, poison).await;
        println!("round {number}: {report}, recovery {}", load.recovery());
    }
}
