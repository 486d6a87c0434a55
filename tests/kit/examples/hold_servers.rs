//! Starts private servers and waits to be killed: what the watchdog's test needs.

#![expect(clippy::print_stdout, reason = "it is run at a terminal")]

use shopflow_testkit::{Postgres, RabbitMq, Redis};

#[tokio::main]
async fn main() {
    let _servers = tokio::join!(Postgres::private(), RabbitMq::private(), Redis::private());
    println!("servers are ready");
    std::future::pending::<()>().await;
}
