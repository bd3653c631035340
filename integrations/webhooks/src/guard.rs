//! Where messages may go: to public addresses, whatever a name leads to at the moment. A name is resolved here, what is not public is
//! dropped, and the connection is made to what is left, so nobody resolves it again in between (server-side request forgery, DNS rebinding).
//! An address that stands in a URL itself is asked of no resolver, and is looked at before.

use futures::future::BoxFuture;
use ipnet::IpNet;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, LazyLock};
use url::{Host, Url};

/// What of IPv4 leads to no stranger on the internet (IANA's registry of special purposes), and one address behind which a cloud keeps what
/// is for its machines alone.
const CLOSED_V4: [&str; 16] = [
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "168.63.129.16/32",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",
    "240.0.0.0/4",
];
/// Of IPv6 only what is handed out as global unicast is open: that leaves out loopback, link-local, unique local, multicast, what is mapped
/// or translated to IPv4, and segment routing.
const OPEN_V6: &str = "2000::/3";
/// And of that not protocols (Teredo among them), documentation and 6to4.
const CLOSED_V6: [&str; 4] = ["2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"];

static CLOSED: LazyLock<Vec<IpNet>> = LazyLock::new(|| networks(CLOSED_V4.iter().chain(&CLOSED_V6)));
static OPEN: LazyLock<Vec<IpNet>> = LazyLock::new(|| networks(&[OPEN_V6]));

fn networks<'n>(texts: impl IntoIterator<Item = &'n &'static str>) -> Vec<IpNet> {
    texts.into_iter().filter_map(|text| text.parse().ok()).collect()
}

/// Does the address lead to somebody on the internet?
pub fn is_public(address: IpAddr) -> bool {
    let is_open = address.is_ipv4() || OPEN.iter().any(|network| network.contains(&address));
    is_open && !CLOSED.iter().any(|network| network.contains(&address))
}

/// What an installation allows besides.
#[derive(Debug, Clone, Default)]
pub struct Allowed {
    /// Networks that are not public, for endpoints on one's own premises.
    pub networks: Vec<IpNet>,
    /// `http` besides `https`.
    pub http: bool,
    /// The ports; any if there are none.
    pub ports: Vec<u16>,
}

impl Allowed {
    /// As settings say it.
    ///
    /// # Errors
    /// The network that is none.
    pub fn read(networks: &[String], http: bool, ports: &[u16]) -> Result<Self, String> {
        let network = |text: &String| text.parse::<IpNet>().map_err(|_| text.clone());
        let networks = networks.iter().map(network).collect::<Result<Vec<_>, _>>()?;
        Ok(Self { networks, http, ports: ports.to_vec() })
    }
}

/// Why nothing is sent somewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotAllowed {
    /// What it is called cannot be read.
    Unreadable,
    /// It is not `https`.
    Scheme,
    /// It has a user or a password.
    Login,
    /// The port is another.
    Port,
    /// It leads to no public address.
    Address,
}

impl fmt::Display for NotAllowed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unreadable => "the address cannot be read",
            Self::Scheme => "only https is allowed here",
            Self::Login => "an address has no user and no password",
            Self::Port => "the port is not allowed here",
            Self::Address => "it leads to no public address",
        })
    }
}

impl std::error::Error for NotAllowed {}

/// Says to which addresses a name leads.
pub trait Names: fmt::Debug + Send + Sync {
    /// All of them.
    fn addresses<'n>(&'n self, name: &'n str) -> BoxFuture<'n, io::Result<Vec<IpAddr>>>;
}

/// What the machine itself says.
#[derive(Debug, Clone, Copy)]
pub struct SystemNames;

impl Names for SystemNames {
    fn addresses<'n>(&'n self, name: &'n str) -> BoxFuture<'n, io::Result<Vec<IpAddr>>> {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name, 0)).await?;
            Ok(found.map(|address| address.ip()).collect())
        })
    }
}

/// Lets through what is allowed. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Guard {
    allowed: Arc<Allowed>,
    names: Arc<dyn Names>,
}

impl Guard {
    /// With the names that the machine knows.
    pub fn new(allowed: Allowed) -> Self {
        Self::with_names(allowed, SystemNames)
    }

    /// The same with names that somebody else knows.
    pub fn with_names(allowed: Allowed, names: impl Names + 'static) -> Self {
        Self { allowed: Arc::new(allowed), names: Arc::new(names) }
    }

    /// Is `http` allowed?
    pub(crate) fn takes_http(&self) -> bool {
        self.allowed.http
    }

    fn takes(&self, address: IpAddr) -> bool {
        is_public(address) || self.allowed.networks.iter().any(|network| network.contains(&address))
    }

    /// What can be said of an address before anybody is asked where its name leads.
    ///
    /// # Errors
    /// Why nothing is sent there.
    pub fn check(&self, url: &Url) -> Result<(), NotAllowed> {
        match url.scheme() {
            "https" => {}
            "http" if self.allowed.http => {}
            _ => return Err(NotAllowed::Scheme),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(NotAllowed::Login);
        }
        let port = url.port_or_known_default().ok_or(NotAllowed::Port)?;
        if !self.allowed.ports.is_empty() && !self.allowed.ports.contains(&port) {
            return Err(NotAllowed::Port);
        }
        let is_allowed = match url.host() {
            Some(Host::Domain(_)) => true,
            Some(Host::Ipv4(address)) => self.takes(address.into()),
            Some(Host::Ipv6(address)) => self.takes(address.into()),
            None => return Err(NotAllowed::Unreadable),
        };
        if is_allowed { Ok(()) } else { Err(NotAllowed::Address) }
    }

    /// Where the name leads, as far as that is allowed.
    async fn lead(&self, name: &str) -> io::Result<Vec<SocketAddr>> {
        let found = self.names.addresses(name).await?;
        let open: Vec<SocketAddr> =
            found.into_iter().filter(|address| self.takes(*address)).map(|address| (address, 0).into()).collect();
        if open.is_empty() { Err(io::Error::other(NotAllowed::Address)) } else { Ok(open) }
    }
}

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let guard = self.clone();
        Box::pin(async move {
            let open = guard.lead(name.as_str()).await?;
            Ok(Box::new(open.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    #[derive(Debug)]
    struct Said(HashMap<&'static str, Vec<&'static str>>);

    impl Names for Said {
        fn addresses<'n>(&'n self, name: &'n str) -> BoxFuture<'n, io::Result<Vec<IpAddr>>> {
            let found = self.0.get(name).map(|all| all.iter().map(|one| one.parse().unwrap()).collect());
            Box::pin(std::future::ready(found.ok_or_else(|| io::Error::other("no such name"))))
        }
    }

    #[test]
    fn every_network_that_is_written_here_can_be_read() {
        assert_eq!((CLOSED.len(), OPEN.len()), (CLOSED_V4.len() + CLOSED_V6.len(), 1));
    }

    #[test]
    fn f_01_what_is_not_a_stranger_on_the_internet_is_not_public() {
        for closed in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "10.255.255.255",
            "100.64.0.1",
            "100.100.100.200",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.255.254",
            "168.63.129.16",
            "169.254.169.254",
            "169.254.170.2",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.192",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::7f00:1",
            "::ffff:127.0.0.1",
            "::ffff:8.8.8.8",
            "64:ff9b::7f00:1",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "3fff::1",
            "5f00::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!is_public(closed.parse().unwrap()), "{closed}");
        }
        for open in ["1.1.1.1", "8.8.8.8", "100.63.255.255", "172.32.0.1", "2606:4700:4700::1111", "2a00:1450::1"] {
            assert!(is_public(open.parse().unwrap()), "{open}");
        }
    }

    #[test]
    fn f_01_what_stands_in_an_address_is_looked_at_however_it_is_written() {
        let guard = Guard::new(Allowed { ports: vec![443, 8443], ..Allowed::default() });
        let check = |text: &str| Url::parse(text).map_err(|_| NotAllowed::Unreadable).and_then(|url| guard.check(&url));
        for address in [
            "https://127.0.0.1/",
            "https://2130706433/",
            "https://0x7f000001/",
            "https://0177.0.0.1/",
            "https://127.1/",
            "https://0/",
            "https://169.254.169.254/latest/meta-data/",
            "https://[::1]/",
            "https://[::ffff:169.254.169.254]/",
            "https://[::ffff:a9fe:a9fe]/",
            "https://[64:ff9b::a9fe:a9fe]/",
            "https://[fd00:ec2::254]/",
            "https://①②⑦.0.0.1/",
        ] {
            assert_eq!(check(address), Err(NotAllowed::Address), "{address}");
        }
        assert_eq!(check("http://hooks.example/"), Err(NotAllowed::Scheme));
        assert_eq!(check("ftp://hooks.example/"), Err(NotAllowed::Scheme));
        assert_eq!(check("https://hooks.example:22/"), Err(NotAllowed::Port));
        assert_eq!(check("https://ada:secret@hooks.example/"), Err(NotAllowed::Login));
        for good in ["https://hooks.example/", "https://hooks.example:8443/a?b=c", "https://1.1.1.1/"] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
    }

    #[tokio::test]
    async fn f_02_a_name_leads_to_what_is_public_of_it_and_nowhere_else() {
        let names = Said(HashMap::from([
            ("good.example", vec!["1.1.1.1"]),
            ("both.example", vec!["10.0.0.1", "1.1.1.1", "::1"]),
            ("metadata.example", vec!["169.254.169.254"]),
            ("office.example", vec!["10.1.2.3"]),
        ]));
        let office = "10.1.0.0/16".parse().unwrap();
        let guard = Guard::with_names(Allowed { networks: vec![office], ..Allowed::default() }, names);
        let lead = async |name: &'static str| {
            let found = guard.lead(name).await;
            found.map(|all| all.iter().map(|one| one.ip().to_string()).collect::<Vec<_>>()).map_err(|e| e.to_string())
        };
        assert_eq!(lead("good.example").await, Ok(vec!["1.1.1.1".to_owned()]));
        assert_eq!(lead("both.example").await, Ok(vec!["1.1.1.1".to_owned()]));
        assert_eq!(lead("metadata.example").await, Err("it leads to no public address".to_owned()));
        assert_eq!(lead("office.example").await, Ok(vec!["10.1.2.3".to_owned()]), "as the installation allows");
        assert!(lead("nowhere.example").await.is_err());
    }
}
