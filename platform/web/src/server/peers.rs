//! How many connections each address has open.

use crate::client_address::TrustedProxies;
use credentials::network;
use metrics::counter;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

/// The open connections of a server, by where they come from.
#[derive(Debug, Clone, Default)]
pub(super) struct Peers(Arc<Mutex<HashMap<IpAddr, usize>>>);

/// A connection that is counted until this is dropped.
#[derive(Debug)]
pub(super) struct Place {
    peers: Peers,
    address: IpAddr,
}

impl Peers {
    /// Counts one more; none if the address has as many as it may. Our own proxies bring everybody's.
    pub fn one_more(&self, address: IpAddr, max: usize, proxies: &TrustedProxies) -> Option<Place> {
        let address = address.to_canonical();
        let is_bound = max > 0 && !proxies.trusts(address);
        let address = network(address);
        let mut open = self.0.lock();
        let of_address = open.entry(address).or_default();
        if is_bound && *of_address >= max {
            counter!("http_connections_refused_total").increment(1);
            return None;
        }
        *of_address += 1;
        drop(open);
        Some(Place { peers: self.clone(), address })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.peers.0.lock();
        if let Some(of_address) = open.get_mut(&self.address) {
            *of_address -= 1;
            if *of_address == 0 {
                open.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_so_many_connections_and_a_proxy_of_ours_any_number() {
        let proxies = TrustedProxies { networks: vec!["10.0.0.0/8".parse().unwrap()], ..TrustedProxies::default() };
        let peers = Peers::default();
        let mut open = vec![];
        for (address, max) in [("192.0.2.1", 3), ("::ffff:192.0.2.2", 3), ("2001:db8::1", 3), ("10.0.0.1", 50)] {
            let address: IpAddr = address.parse().unwrap();
            let before = open.len();
            open.extend((0..50).filter_map(|_| peers.one_more(address, 3, &proxies)));
            assert_eq!(open.len() - before, max, "{address}");
        }
        let neighbour = "2001:db8::ffff".parse().unwrap();
        assert!(peers.one_more(neighbour, 3, &proxies).is_none(), "a network of 64 bits is one address");
        open.clear();
        assert!(peers.one_more(neighbour, 3, &proxies).is_some());
        assert!(peers.0.lock().is_empty());
    }
}
