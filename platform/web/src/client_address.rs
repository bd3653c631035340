//! Where a request comes from, if proxies stand in between.

use actix_web::HttpRequest;
use actix_web::http::header::HeaderName;
use ipnet::IpNet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;

/// Which header the proxies write. The other one is whatever the client made up, and is not looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ForwardedHeader {
    /// `X-Forwarded-For: 203.0.113.7, 10.0.0.2`
    #[default]
    XForwardedFor,
    /// `Forwarded: for=203.0.113.7, for="[2001:db8::1]:4711"` (RFC 7239)
    Forwarded,
}

/// Whom to believe about addresses.
#[derive(Debug, Clone, Default)]
pub struct TrustedProxies {
    /// Networks that proxies of ours are in.
    pub networks: Vec<IpNet>,
    /// What they write.
    pub header: ForwardedHeader,
}

impl TrustedProxies {
    /// The address nearest to us that is not one of our proxies': what is further away is what it says itself. Whatever
    /// cannot be read ends the search, and the proxy that passed it on stands for it.
    pub fn client(&self, request: &HttpRequest) -> IpAddr {
        let peer = request.peer_addr().map_or(Ipv4Addr::UNSPECIFIED.into(), |peer| peer.ip().to_canonical());
        if !self.trusts(peer) {
            return peer;
        }
        let name = match self.header {
            ForwardedHeader::XForwardedFor => HeaderName::from_static("x-forwarded-for"),
            ForwardedHeader::Forwarded => HeaderName::from_static("forwarded"),
        };
        // Several headers are one list (RFC 9110 §5.3); the last entry was written by whoever stands before us.
        let values: Vec<&str> = request.headers().get_all(name).map(|value| value.to_str().unwrap_or("?")).collect();
        let hops = values.iter().rev().flat_map(|value| value.rsplit(','));
        self.nearest(peer, hops)
    }

    fn nearest<'h>(&self, peer: IpAddr, hops: impl Iterator<Item = &'h str>) -> IpAddr {
        let mut nearest = peer;
        for hop in hops {
            let node = match self.header {
                ForwardedHeader::XForwardedFor => Some(hop.trim()),
                ForwardedHeader::Forwarded => node_of(hop),
            };
            let Some(address) = node.and_then(address_of) else { return nearest };
            nearest = address;
            if !self.trusts(address) {
                return nearest;
            }
        }
        nearest
    }

    pub(crate) fn trusts(&self, address: IpAddr) -> bool {
        self.networks.iter().any(|network| network.contains(&address))
    }
}

/// The `for` of one element of `Forwarded`: `for=192.0.2.60;proto=http;by=203.0.113.43`.
fn node_of(element: &str) -> Option<&str> {
    let mut pairs = element.split(';').filter_map(|pair| pair.trim().split_once('='));
    let (_, node) = pairs.find(|(name, _)| name.eq_ignore_ascii_case("for"))?;
    let unquoted = node.strip_prefix('"').and_then(|node| node.strip_suffix('"'));
    Some(unquoted.unwrap_or(node))
}

/// An address, with or without brackets and a port (RFC 7239 §6).
fn address_of(node: &str) -> Option<IpAddr> {
    let bare = node.strip_prefix('[').and_then(|node| node.strip_suffix(']')).unwrap_or(node);
    let address = IpAddr::from_str(bare).or_else(|_| SocketAddr::from_str(node).map(|socket| socket.ip()));
    Some(address.ok()?.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;

    fn client(header: ForwardedHeader, peer: &str, headers: &[(&'static str, &str)]) -> String {
        let networks = ["10.0.0.0/8", "fd00::/8"].map(|network| network.parse().unwrap()).to_vec();
        let mut request = TestRequest::default().peer_addr(SocketAddr::new(peer.parse().unwrap(), 4_711));
        for header in headers {
            request = request.append_header(*header);
        }
        TrustedProxies { networks, header }.client(&request.to_http_request()).to_string()
    }

    /// Attack H-07: a client makes up where it comes from.
    #[test]
    fn h_07_only_hops_that_are_ours_are_believed() {
        let long = "203.0.113.9, ".repeat(100) + "203.0.113.7, 10.0.0.2";
        for (peer, shown, expected) in [
            ("198.51.100.1", "203.0.113.7", "198.51.100.1"),
            ("10.0.0.1", "203.0.113.7", "203.0.113.7"),
            ("::ffff:10.0.0.1", "::ffff:203.0.113.7", "203.0.113.7"),
            ("10.0.0.1", "1.2.3.4, 203.0.113.7", "203.0.113.7"),
            ("10.0.0.1", "1.2.3.4,203.0.113.7:8080,10.9.9.9", "203.0.113.7"),
            ("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"),
            ("10.0.0.1", &long, "203.0.113.7"),
            ("10.0.0.1", "203.0.113.7, nonsense", "10.0.0.1"),
            ("10.0.0.1", "203.0.113.7, unknown, 10.0.0.2", "10.0.0.2"),
            ("10.0.0.1", "203.0.113.7, ", "10.0.0.1"),
            ("10.0.0.1", "", "10.0.0.1"),
            ("fd00::1", "[2001:db8::5]:99", "2001:db8::5"),
            ("fd00::1", "2001:db8::5", "2001:db8::5"),
        ] {
            assert_eq!(
                client(ForwardedHeader::XForwardedFor, peer, &[("x-forwarded-for", shown)]),
                expected,
                "{shown}"
            );
        }
        let two = [("x-forwarded-for", "1.2.3.4"), ("x-forwarded-for", "203.0.113.7")];
        assert_eq!(
            client(ForwardedHeader::XForwardedFor, "10.0.0.1", &two),
            "203.0.113.7",
            "the last header is nearest"
        );
        let other = [("forwarded", "for=1.2.3.4"), ("x-real-ip", "1.2.3.4"), ("x-forwarded-for", "203.0.113.7")];
        assert_eq!(
            client(ForwardedHeader::XForwardedFor, "10.0.0.1", &other),
            "203.0.113.7",
            "headers nobody of us writes"
        );
    }

    #[test]
    fn h_07_forwarded_is_read_as_rfc_7239_has_it() {
        for (shown, expected) in [
            ("for=203.0.113.7", "203.0.113.7"),
            ("for=1.2.3.4, For=\"203.0.113.7:80\";proto=https;by=10.0.0.1", "203.0.113.7"),
            ("for=203.0.113.7;host=x, proto=http;for=10.0.0.9", "203.0.113.7"),
            ("for=\"[2001:db8:cafe::17]:4711\"", "2001:db8:cafe::17"),
            ("for=_hidden", "10.0.0.1"),
            ("for=203.0.113.7, proto=http", "10.0.0.1"),
            ("203.0.113.7", "10.0.0.1"),
        ] {
            assert_eq!(client(ForwardedHeader::Forwarded, "10.0.0.1", &[("forwarded", shown)]), expected, "{shown}");
        }
        let spoofed = [("x-forwarded-for", "1.2.3.4")];
        assert_eq!(client(ForwardedHeader::Forwarded, "10.0.0.1", &spoofed), "10.0.0.1");
    }
}
