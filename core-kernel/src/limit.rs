//! Limits on how often somebody may ask.

use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use async_trait::async_trait;

use crate::UserId;

/// So many requests in any stretch of time of this length, however they are spread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// Its name, for clients (`auth`); a store shared by several limits keeps them apart by it.
    pub name: &'static str,
    /// The requests.
    pub requests: u32,
    /// The stretch of time.
    pub window: Duration,
}

impl Limit {
    /// So many requests in any 60 seconds.
    #[must_use]
    pub const fn per_minute(name: &'static str, requests: u32) -> Self {
        let window = Duration::from_secs(60);
        Self {
            name,
            requests,
            window,
        }
    }
}

/// Who is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LimitKey {
    /// A network address, see [`LimitKey::of_address`].
    Address(IpAddr),
    /// A user.
    User(UserId),
}

impl LimitKey {
    /// Whoever is behind an address. IPv6 is counted by /64, since that is what one customer of a
    /// provider has at least; IPv4 written as IPv6 is IPv4.
    #[must_use]
    pub fn of_address(address: IpAddr) -> Self {
        Self::Address(match address.to_canonical() {
            IpAddr::V6(address) => {
                let network = address.to_bits() & (u128::from(u64::MAX) << 64);
                IpAddr::V6(Ipv6Addr::from_bits(network))
            }
            address @ IpAddr::V4(_) => address,
        })
    }
}

/// What became of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Whether it may go on.
    pub allowed: bool,
    /// How many more would be allowed right now.
    pub remaining: u32,
    /// How long until the oldest request that counts leaves the window: then one more is allowed
    /// than now. For a refused request this is how long to wait.
    pub reset_after: Duration,
}

/// Holds callers to one limit.
///
/// Only allowed requests count, so a caller who goes on asking while refused is not kept out any
/// longer for it. There is no error: an adapter whose store is away decides by itself, since a
/// limit is no reason to refuse everybody.
#[async_trait]
pub trait RateLimiter: Send + Sync {
    /// The limit, as clients are told of it.
    fn limit(&self) -> Limit;

    /// Decides on one request of `key`, and counts it if it is allowed. Of requests at the same
    /// time, no more are allowed than the limit says.
    async fn check(&self, key: LimitKey) -> Decision;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> LimitKey {
        LimitKey::of_address(text.parse().unwrap())
    }

    #[test]
    fn an_ipv6_network_counts_as_one_and_ipv4_counts_by_address() {
        assert_eq!(key("2001:db8:1:2::1"), key("2001:db8:1:2:ffff::9"));
        assert_ne!(key("2001:db8:1:2::1"), key("2001:db8:1:3::1"));
        assert_ne!(key("192.0.2.1"), key("192.0.2.2"));
        assert_eq!(key("::ffff:192.0.2.1"), key("192.0.2.1"));
    }
}
