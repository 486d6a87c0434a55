//! Administration at the terminal, one file per noun.

mod actor;
mod ask;
pub(crate) mod migrate;
mod output;
mod place;
pub(crate) mod retention;
pub(crate) mod token;
pub(crate) mod users;

pub(crate) use ask::confirm;
