//! The test kit's own promises.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod changes;
mod database;
mod fakes;
mod processes;
mod proxy;
mod servers;
mod watchdog;
