//! Places an order, moves it to its end, and shows what is left of that: the order, its history
//! and the events that went out.

#![expect(clippy::print_stdout, reason = "the program is there to show this")]

use std::sync::Arc;

use async_trait::async_trait;
use core_kernel::{
    BoxError, Caller, Currency, EventPublisher, Outbox, OutboxMessage, PublishError,
    RequestContext, SystemClock, Text, UserId, Wake,
};
use core_orders::{
    Actor, Address, Country, LineItem, NewOrder, Orders, ProductName, Quantity, UnitPrice,
};
use shopflow_example_custom_store::MemoryStore;
use tokio::sync::Notify;
use uuid::Uuid;

/// How the use cases tell the relay that events wait. A wake that comes early is kept.
#[derive(Default)]
struct RelayWake(Notify);

impl Wake for RelayWake {
    fn wake(&self) {
        self.0.notify_one();
    }
}

/// A broker that takes everything and prints it.
struct Printer;

#[async_trait]
impl EventPublisher for Printer {
    async fn ready(&self) -> Result<(), PublishError> {
        Ok(())
    }

    async fn publish(&self, batch: &[OutboxMessage]) -> Result<Vec<bool>, PublishError> {
        for message in batch {
            println!("event    {} {}", message.routing_key, message.payload);
        }
        Ok(vec![true; batch.len()])
    }
}

fn basket() -> Result<NewOrder, BoxError> {
    let headphones = LineItem::new(
        Uuid::from_u128(7),
        ProductName::parse("Wireless Headphones")?,
        Quantity::new(2)?,
        UnitPrice::new("49.99".parse()?)?,
    )?;
    let address = Address {
        street: Text::parse("742 Evergreen Terrace")?,
        city: Text::parse("Springfield")?,
        state: Some(Text::parse("IL")?),
        zip_code: Text::parse("62704")?,
        country: Country::USA,
    };
    Ok(NewOrder::new(
        vec![headphones],
        address,
        Currency::USD,
        None,
    )?)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    // One store serves both ports: what `orders` writes, the relay below finds.
    let clock = Arc::new(SystemClock);
    let store = MemoryStore::new(clock.clone());
    let wake = Arc::new(RelayWake::default());
    let orders = Orders::new(Arc::new(store.clone()), wake.clone(), clock);

    let customer = Caller::Customer(UserId::generate());
    let request = RequestContext::generate();
    let id = orders.place(&customer, basket()?, &request).await?.id;

    let admin = Actor::from(&Caller::Admin(UserId::generate()));
    for to in ["confirmed", "shipped", "delivered"] {
        let request = RequestContext::generate();
        orders.transition(&admin, id, to, &request).await?;
    }

    let order = orders.get(&customer, id).await?;
    println!("order    {id} {} {}", order.status(), order.total_amount);
    for entry in orders.history(&customer, id).await? {
        println!("history  {} {} by {}", entry.at, entry.to, entry.actor.role);
    }

    // A server does this in a task of its own, for ever; and as the broker may have been away, it
    // also looks once a second without being woken.
    wake.0.notified().await;
    Printer.ready().await?;
    while store.relay(&Printer, 100).await?.published > 0 {}
    println!("waiting  {}", store.backlog().await?.waiting);
    Ok(())
}
