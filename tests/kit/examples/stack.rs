//! Runs all of ShopFlow on this machine to try it out: PostgreSQL, RabbitMQ, the three services,
//! and stand-ins for SES and Twilio that print what they are given. Ctrl-C ends it all.
//!
//! `scripts/try` builds the program and runs this.

#![expect(clippy::print_stdout, reason = "it is run at a terminal")]

use shopflow_testkit::{Backend, Stack};
use std::time::Duration;

const ADMIN: &str = "admin@example.com";
const PASSWORD: &str = "S3cur3P@ssw0rd!";

#[tokio::main]
async fn main() {
    let program = std::env::args()
        .nth(1)
        .expect("the path of the shopflow program");
    println!("Starting PostgreSQL, RabbitMQ and the three services ...");
    let stack = Stack::start(Backend::Servers, program, |setup| {
        setup.ports = [3001, 3002, 3003];
    })
    .await;
    let (code, output) = stack.create_admin(ADMIN, PASSWORD).await;
    assert_eq!(code, Some(0), "{output}");
    println!();
    println!("  auth    http://localhost:3001");
    println!("  orders  http://localhost:3002");
    println!("  notify  http://localhost:3003");
    println!("  admin   {ADMIN} / {PASSWORD}");
    println!("  data    {}", stack.setup.database_url);
    println!();
    println!("Mails and texts will be shown here. Ctrl-C ends everything.");
    tokio::select! {
        () = show(&stack) => {}
        _ = tokio::signal::ctrl_c() => println!("\nStopping."),
    }
}

/// Prints every mail and every text as it comes.
async fn show(stack: &Stack) {
    let (mut mails, mut texts) = (0, 0);
    loop {
        for mail in &stack.mails().await[mails..] {
            println!("\n--- mail to {}: {}", mail.to, mail.subject);
            println!("{}", mail.text);
            mails += 1;
        }
        for text in &stack.texts().await[texts..] {
            println!("\n--- text to {}\n{}", text.to, text.text);
            texts += 1;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
