//! Settings: from flags and the environment to checked values. Nothing else reads the environment.
//!
//! Every problem is found before anything is opened, and all of them are told at once, a line each.

mod args;
mod problems;
mod read;
mod services;

pub(crate) use args::{AuthArgs, DatabaseArgs, KeyArgs, NotifyArgs, OrdersArgs, ScryptArgs};
pub(crate) use problems::Problems;
pub(crate) use read::{Secret, admin_password};
pub(crate) use services::{AuthConfig, HttpConfig, LogFormat, NotifyConfig, OrdersConfig};
