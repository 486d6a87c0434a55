//! Who the client is when there are proxies in between.

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use http::{HeaderMap, HeaderName};
use ipnet::{IpNet, Ipv4Net};

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The proxies whose word counts; none by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustedProxies(Vec<IpNet>);

/// A text that is no list of networks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no address or network; list them as 10.0.0.0/8, 2001:db8::1, separated by commas"
)]
pub struct ProxiesError(String);

impl FromStr for TrustedProxies {
    type Err = ProxiesError;

    /// Addresses and networks (CIDR), separated by commas.
    fn from_str(list: &str) -> Result<Self, ProxiesError> {
        let parts = list.split(',').map(str::trim);
        let given = parts.filter(|part| !part.is_empty());
        given
            .map(|part| network(part).ok_or_else(|| ProxiesError(part.to_owned())))
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

/// IPv4 written as IPv6 is IPv4, as it is in addresses.
fn network(text: &str) -> Option<IpNet> {
    let net = match text.parse::<IpNet>() {
        Ok(net) => net,
        Err(_) => text.parse::<IpAddr>().ok()?.into(),
    };
    let IpNet::V6(v6) = net else {
        return Some(net);
    };
    match (v6.addr().to_ipv4_mapped(), v6.prefix_len().checked_sub(96)) {
        (Some(v4), Some(prefix)) => Some(Ipv4Net::new(v4, prefix).ok()?.into()),
        _ => Some(net),
    }
}

impl TrustedProxies {
    fn trusts(&self, address: IpAddr) -> bool {
        self.0.iter().any(|net| net.contains(&address))
    }

    /// The client's address: the peer's, or, where that is a trusted proxy, the right-most one in
    /// `X-Forwarded-For` that is none of them. Each proxy adds the address it was called from at the
    /// right; what stands left of the first untrusted one may be anybody's invention. The same goes
    /// for what is left of something that is no address.
    pub(crate) fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut client = peer.to_canonical();
        if self.0.is_empty() {
            return client;
        }
        let lines = headers.get_all(FORWARDED_FOR).into_iter();
        // Lines are one list (RFC 9110 §5.3), so the last line is its right end.
        let hops = lines
            .rev()
            .flat_map(|line| line.as_bytes().rsplit(|byte| *byte == b','));
        for hop in hops {
            if !self.trusts(client) {
                break;
            }
            let Some(address) = hop_address(hop) else {
                break;
            };
            client = address;
        }
        client
    }
}

/// An address, with or without a port: some proxies add theirs.
fn hop_address(hop: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(hop).ok()?.trim();
    let bare = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'));
    let address = match bare.unwrap_or(text).parse::<IpAddr>() {
        Ok(address) => address,
        Err(_) => text.parse::<SocketAddr>().ok()?.ip(),
    };
    Some(address.to_canonical())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn client(trusted: &str, peer: &str, lines: &[&str]) -> String {
        let trusted: TrustedProxies = trusted.parse().unwrap();
        let mut headers = HeaderMap::new();
        for line in lines {
            let line = HeaderValue::from_bytes(line.as_bytes()).unwrap();
            headers.append(FORWARDED_FOR, line);
        }
        trusted.client(peer.parse().unwrap(), &headers).to_string()
    }

    #[test]
    fn the_client_is_the_right_most_address_that_is_no_trusted_proxy() {
        let local = "10.0.0.0/8, 2001:db8::/32";
        let (one, other) = ("192.0.2.1", "198.51.100.7");
        for (trusted, peer, lines, expected) in [
            // Without trust the header is only what somebody wrote.
            ("", one, &[other][..], one),
            (local, one, &[other], one),
            (local, "::ffff:192.0.2.1", &[], one),
            // With it, the last word counts and not the first.
            (local, "10.0.0.1", &[], "10.0.0.1"),
            (local, "10.0.0.1", &[one], one),
            (local, "10.0.0.1", &["198.51.100.7, 192.0.2.1"], one),
            (local, "10.0.0.1", &["198.51.100.7,192.0.2.1,10.0.0.2"], one),
            (local, "10.0.0.1", &["10.9.9.9, 192.0.2.1"], one),
            (local, "::ffff:10.0.0.1", &[one], one),
            ("::ffff:10.0.0.0/104", "10.0.0.1", &[one], one),
            ("10.0.0.1", "10.0.0.1", &["192.0.2.1, 10.0.0.2"], "10.0.0.2"),
            (local, "2001:db8::1", &["2001:db9::5"], "2001:db9::5"),
            // Several lines are one list.
            (local, "10.0.0.1", &[other, one], one),
            (local, "10.0.0.1", &[one, "10.0.0.3, 10.0.0.2"], one),
            // All of them trusted: the one farthest away.
            (local, "10.0.0.1", &["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
            // Nothing is believed beyond what cannot be read.
            (local, "10.0.0.1", &["192.0.2.1, unknown"], "10.0.0.1"),
            (local, "10.0.0.1", &["192.0.2.1, x, 10.0.0.2"], "10.0.0.2"),
            (local, "10.0.0.1", &["192.0.2.1,"], "10.0.0.1"),
            (local, "10.0.0.1", &["\u{e4}"], "10.0.0.1"),
            // As some proxies write it.
            (local, "10.0.0.1", &["192.0.2.1:4711"], one),
            (local, "10.0.0.1", &["[2001:db9::5]:4711"], "2001:db9::5"),
            (local, "10.0.0.1", &["[2001:db9::5]"], "2001:db9::5"),
            (local, "10.0.0.1", &["::ffff:192.0.2.1"], one),
        ] {
            let found = client(trusted, peer, lines);
            assert_eq!(found, expected, "{trusted:?} {peer} {lines:?}");
        }
    }

    #[test]
    fn what_is_no_network_is_named() {
        for part in ["10.0.0.0/33", "proxy.local", "10.0.0", "*"] {
            let fault = format!("10.0.0.0/8,{part}").parse::<TrustedProxies>();
            let message = fault.unwrap_err().to_string();
            assert!(message.starts_with(&format!("{part:?} is no")), "{message}");
        }
        assert_eq!(" , ".parse(), Ok(TrustedProxies::default()));
    }
}
