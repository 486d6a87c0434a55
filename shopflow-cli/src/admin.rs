//! Administration at the terminal, one file per noun.

pub(crate) mod migrate;
pub(crate) mod retention;
pub(crate) mod token;
pub(crate) mod users;
