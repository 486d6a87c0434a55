//! The ShopFlow REST services on hyper, and the clients by which the services call each other.
//!
//! A request goes one way: [`serve`] accepts it, the pipeline gives it an id, a trace and a time
//! limit, a service's one `match` finds its handler, and the handler turns JSON into domain types,
//! calls a use case, and turns the outcome into JSON.

mod auth;
mod body;
mod client;
mod cors;
mod cursor;
mod docs;
mod edge;
mod error;
mod fields;
mod figures;
mod inbox;
mod limit;
mod notify;
mod openapi;
mod ops;
mod orders;
mod pipeline;
mod proxies;
mod query;
mod reply;
mod request;
mod route;
mod server;
pub mod view;

pub use auth::AuthApi;
pub use client::{
    AuthClient, AuthoritiesError, CallError, Health, HttpClient, OrdersClient, ServiceToken,
    UrlError, accepts, authorities, health, is_base_url, outcome, port, without_user,
};
pub use cors::{AllowedOrigins, OriginsError};
pub use edge::Edge;
pub use error::ApiError;
pub use inbox::{Dashboard, InboxApi, Overview, PagesError};
pub use notify::NotifyApi;
pub use openapi::{Service, openapi};
pub use ops::{Ops, OpsApi, Readiness};
pub use orders::OrdersApi;
pub use pipeline::Api;
pub use proxies::{ProxiesError, TrustedProxies};
pub use reply::Reply;
pub use request::Inbound;
pub use route::Route;
pub use server::{Server, serve};
