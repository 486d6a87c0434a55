//! Limits kept in memory: how often an address or a user may ask, and how often the password of an
//! account may be guessed.
//!
//! Each instance of a service counts for itself, so behind a balancer the limits are multiplied by
//! the number of instances (unless they share them: `adapters/redis`). A restart forgets everything. Memory is bounded, see
//! [`MemoryLimiter::MEMORY`] and [`MemoryThrottle::MEMORY`]: under a flood of addresses those that
//! were idle longest are forgotten first.

#[cfg(test)]
mod contract;
mod generations;
mod limiter;
mod throttle;
mod ticks;

pub use limiter::MemoryLimiter;
pub use throttle::MemoryThrottle;
pub use ticks::{Ticks, Uptime};
