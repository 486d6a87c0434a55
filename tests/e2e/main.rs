//! End to end: the real binary, on both of its back ends, by the same tests.
//!
//! `servers::…` runs `shopflow serve` on real PostgreSQL and RabbitMQ; SES and Twilio are stand-ins
//! that speak their protocols on loopback. `embedded::…` runs `shopflow dev`, where one process with
//! a file is all of that.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on says where it stopped"
)]

#[macro_use]
mod back_ends;

mod accounts;
mod attacks;
mod attempts;
mod browser;
mod cli;
mod command_line;
mod contracts;
mod crashes;
mod cursors;
mod dead_letters;
mod dev;
mod documents;
mod events;
mod guides;
mod layering;
mod limits;
mod mailbox;
mod notifications;
mod once;
mod operations;
mod orders;
mod origins;
mod outages;
mod outbox;
mod retention;
mod sessions;
mod shared_limits;
mod telemetry;
mod walk;
mod wire;
mod world;
