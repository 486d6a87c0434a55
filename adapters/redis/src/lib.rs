//! Limits that all replicas share, in Redis (7 or later) or Valkey: how often an address or a user
//! may ask, and how often the password of an account may be guessed.
//!
//! Each decision is one Lua script and one round trip. Times are those of Redis, so the clocks of
//! the replicas do not matter. What no longer counts expires there.
//!
//! A Redis that is away, or slower than its patience, costs nobody an answer: each replica then
//! decides with the limits of its own that it was given. The gauge `shopflow_limits_shared` is 0 for
//! as long as that lasts, and `shopflow_limits_fallbacks_total` counts the decisions.

mod connection;
mod limiter;
mod throttle;

pub use connection::{Redis, UrlError, check_url};
pub use limiter::RedisLimiter;
pub use throttle::RedisThrottle;
