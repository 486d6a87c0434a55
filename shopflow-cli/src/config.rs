//! Settings: from flags and the environment to checked values. Nothing else reads the environment.
//!
//! Every problem is found before anything is opened, and all of them are told at once, a line each.

mod args;
mod auth;
mod dev;
mod examine;
mod limits;
mod notify;
mod problems;
mod read;
mod retention;
mod services;
mod telemetry;

pub(crate) use args::{
    AuthArgs, AuthPlaceArgs, BrokerArgs, DatabaseArgs, KeyArgs, NotifyArgs, NotifyPlaceArgs,
    OrdersArgs, RetentionArgs, ScryptArgs,
};
pub(crate) use auth::{AuthConfig, KeyConfig, PolicyConfig};
pub(crate) use dev::{DevArgs, DevConfig};
pub(crate) use examine::{Examined, PeerSettings};
pub(crate) use limits::RedisConfig;
pub(crate) use notify::NotifyConfig;
pub(crate) use problems::Problems;
pub(crate) use read::{
    ADMIN_PASSWORD, NEW_PASSWORD, PasswordSource, Secret, read_secret, user_name,
};
pub(crate) use retention::{AuthPeer, RetentionConfig};
pub(crate) use services::{DatabaseConfig, HttpConfig, LogConfig, LogFormat, OrdersConfig};
pub(crate) use telemetry::{CollectorConfig, DatabaseSystem, TraceConfig, TraceProtocol};
