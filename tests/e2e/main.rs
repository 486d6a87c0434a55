//! End to end: the real binary on real PostgreSQL and RabbitMQ; SES and Twilio are stand-ins that
//! speak their protocols on loopback.

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
