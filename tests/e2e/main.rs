//! End to end: the real binary on real PostgreSQL and RabbitMQ; SES and Twilio are stand-ins that
//! speak their protocols on loopback.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on says where it stopped"
)]

mod accounts;
mod command_line;
mod contracts;
mod crashes;
mod events;
mod layering;
mod notifications;
mod operations;
mod orders;
mod outages;
mod walk;
mod wire;
mod world;
