//! What the tests of ShopFlow, and of programs built on it, need around them: real PostgreSQL,
//! RabbitMQ and Redis servers, a TCP proxy for outages, stand-ins for SES, S3 and Twilio, a way to run
//! and call programs, and ShopFlow itself, on those servers or embedded in one process.
//!
//! Helpers panic with a clear message instead of returning errors, unless a test may want to see
//! the error. A server that cannot be had is a failed test, never a skipped one.

mod browser;
mod changes;
mod client;
mod database;
mod env;
mod fakes;
mod process;
mod proxy;
mod runtime;
mod servers;
mod stack;
mod url;
mod wait;

pub use browser::{Browser, testid};
pub use changes::{Change, changes};
pub use client::{Client, Response};
pub use database::Database;
pub use fakes::{
    Fake, Provider, Received, Reply,
    collector::{Collector, Span},
    s3::FakeS3,
    ses::{FakeSes, Ses, SesMail, SesRejection},
    twilio::{FakeTwilio, Twilio, TwilioText},
};
pub use process::{Process, free_port};
pub use proxy::Proxy;
pub use servers::{
    message::Message,
    native::keep_on_disk,
    postgres::{Postgres, PrivatePostgres, postgres},
    rabbitmq::{PrivateRabbitMq, RabbitMq, rabbitmq},
    redis::{PrivateRedis, Redis, redis},
    tap::Tap,
    vhost::Vhost,
};
pub use stack::{
    Attempt, Backend, Channel, DeadLetter, Events, Fault, JWT_SECRET, Published, Sent, Servers,
    Service, Setup, Stack,
};
pub use wait::{wait_for, wait_until};
