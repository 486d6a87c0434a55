//! Administration at the terminal, one file per noun.

mod actor;
mod ask;
pub(crate) mod config;
pub(crate) mod dlq;
pub(crate) mod doctor;
mod explain;
pub(crate) mod generate;
pub(crate) mod migrate;
pub(crate) mod notifications;
pub(crate) mod orders;
pub(crate) mod outbox;
mod output;
mod place;
pub(crate) mod reconcile;
pub(crate) mod retention;
pub(crate) mod templates;
pub(crate) mod token;
pub(crate) mod users;
mod walk;

pub(crate) use ask::confirm;
