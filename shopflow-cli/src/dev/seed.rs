//! Plausible users and orders, to have something to look at.
#![expect(clippy::print_stdout, reason = "it is run at a terminal")]

mod goods;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use anyhow::{Context, anyhow};
use core_auth::{
    Account, Email, PasswordHash, PersonName, Phone, StoreError, User, UserRole, UserStore,
};
use core_kernel::{Caller, Clock, RequestContext, SystemClock, UserId};
use core_orders::{Actor, Orders};
use fastrand::Rng;
use indicatif::{ProgressBar, ProgressStyle};
use jiff::{SignedDuration, Timestamp};

use super::services::SetUp;

/// How far back the first of them goes.
const PAST: SignedDuration = SignedDuration::from_hours(30 * 24);

/// The time as it was when something happened.
#[derive(Debug, Default)]
struct Then(AtomicI64);

impl Then {
    fn set(&self, at: Timestamp) {
        self.0.store(at.as_microsecond(), Ordering::Relaxed);
    }
}

impl Clock for Then {
    fn now(&self) -> Timestamp {
        // Only ever set from a time.
        Timestamp::from_microsecond(self.0.load(Ordering::Relaxed)).unwrap_or_default()
    }
}

/// Makes `count` users and `count` orders in all states, spread over the last 30 days. All users
/// have the customer's password. Their mails are sent as for any order.
pub(crate) async fn run(count: u32, set_up: SetUp) -> anyhow::Result<()> {
    let bar = ProgressBar::new(count.into()).with_message("users and orders");
    let style = ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len} {eta}")?;
    bar.set_style(style);
    let then = Arc::new(Then::default());
    let orders = Orders::new(
        Arc::new(set_up.database.orders()),
        Arc::new(set_up.wake.clone()),
        then.clone(),
    );
    let users = set_up.database.users();
    let hash = account(&users, "customer").await?.password_hash;
    let admin = Actor::from(&account(&users, "admin").await?.user.caller());
    let mut rng = Rng::new();
    let (end, mut known) = (SystemClock.now(), Vec::new());
    let step = PAST / i32::try_from(count).unwrap_or(i32::MAX);
    for number in 0..count {
        let at = end - PAST + step * i32::try_from(number).unwrap_or(i32::MAX);
        known.push(add_user(&users, &mut rng, &hash, at).await?);
        let buyer = known[rng.usize(..known.len())];
        add_order(&orders, &then, &mut rng, (buyer, &admin), (at, end)).await?;
        bar.inc(1);
    }
    bar.finish_and_clear();
    println!("Made {count} users and {count} orders; all users have the customer's password.");
    Ok(())
}

/// One of those that the first start made.
async fn account(users: &dyn UserStore, name: &str) -> anyhow::Result<Account> {
    let email = Email::normalized(&format!("{name}@shopflow.local"));
    let found = users.find_by_email(&email).await?;
    found.with_context(|| format!("no {name}"))
}

async fn add_user(
    users: &dyn UserStore,
    rng: &mut Rng,
    hash: &PasswordHash,
    at: Timestamp,
) -> anyhow::Result<UserId> {
    let fault = |fault| anyhow!("a made-up user is wrong: {fault}");
    let (first, last) = goods::name(rng);
    loop {
        // A number tells those of the same name apart, and those of an earlier run.
        let number = rng.u32(..1_000_000);
        let email = format!("{first}.{last}.{number}@example.com");
        let phone = format!("+1555{:07}", rng.u32(..10_000_000));
        let user = User {
            id: UserId::generate(),
            email: Email::parse(&email).map_err(fault)?,
            first_name: PersonName::parse(first).map_err(fault)?,
            last_name: PersonName::parse(last).map_err(fault)?,
            // Some give no number, and get no texts.
            phone: match rng.u8(..4) {
                0 => None,
                _ => Some(Phone::parse(&phone).map_err(fault)?),
            },
            role: UserRole::Customer,
            is_active: true,
            created_at: at,
            updated_at: at,
            tokens_from: None,
            email_verified_at: Some(at),
        };
        let id = user.id;
        let account = Account {
            user,
            password_hash: hash.clone(),
        };
        match users.insert(&account, &[], None).await {
            Ok(()) => return Ok(id),
            Err(StoreError::EmailTaken) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// An order in some state: most have come all the way, a few not a step.
async fn add_order(
    orders: &Orders,
    then: &Then,
    rng: &mut Rng,
    (buyer, admin): (UserId, &Actor),
    (mut at, end): (Timestamp, Timestamp),
) -> anyhow::Result<()> {
    then.set(at);
    let new = goods::order(rng)?;
    let buyer = Caller::Customer(buyer);
    let order = orders
        .place(&buyer, new, &RequestContext::generate())
        .await?;
    let steps = match rng.u8(..100) {
        0..15 => 0,
        15..30 => 1,
        30..50 => 2,
        _ => 3,
    };
    for to in ["confirmed", "shipped", "delivered"]
        .into_iter()
        .take(steps)
    {
        let later = SignedDuration::from_mins(rng.i64(20..36 * 60));
        at = (at + later).min(end);
        then.set(at);
        let context = RequestContext::generate();
        orders.transition(admin, order.id, to, &context).await?;
    }
    Ok(())
}
