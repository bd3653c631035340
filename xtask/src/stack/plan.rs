//! The servers of a stack and their ports. Which roles there are, the binary says.

use anyhow::{Context, Result};
use local_servers::S3_PORTS;

/// The name of each server's record, in the order of stopping, with the signal that ends it properly.
pub const SERVERS: [(&str, &str); 7] = [
    ("lab", "TERM"),
    ("maildev", "TERM"),
    ("oidc", "TERM"),
    ("s3", "TERM"),
    ("nats", "TERM"),
    ("redis", "TERM"),
    ("postgres", "INT"),
];

/// The ports of a stack that are not up to the roles: those of the servers, and the two that others are told of.
pub struct Ports {
    pub base: u16,
    pub command_api: u16,
    pub query_api: u16,
    pub nats: u16,
    pub nats_monitor: u16,
    pub postgres: u16,
    pub redis: u16,
    pub oidc: u16,
    pub lab: u16,
    pub smtp: u16,
    pub mail: u16,
    pub s3: [u16; S3_PORTS],
}

impl Ports {
    /// The last two digits resemble the servers' usual ports: 5432, 4222, 6379.
    pub fn from_base(base: u16) -> Result<Self> {
        base.checked_add(99).filter(|_| base >= 1_024).context("--base-port must be between 1024 and 65436")?;
        let mut s3 = [0; S3_PORTS];
        for (port, offset) in s3.iter_mut().zip(86..) {
            *port = base + offset;
        }
        Ok(Self {
            base,
            command_api: base,
            query_api: base + 1,
            nats: base + 22,
            nats_monitor: base + 23,
            postgres: base + 32,
            redis: base + 79,
            oidc: base + 43,
            lab: base + 55,
            smtp: base + 25,
            mail: base + 80,
            s3,
        })
    }

    /// Process of a server, service as a message calls it, and port.
    pub fn of_servers(&self) -> Vec<(&'static str, String, u16)> {
        let mut all = vec![("postgres", "PostgreSQL".to_owned(), self.postgres)];
        all.push(("nats", "NATS".to_owned(), self.nats));
        all.push(("nats", "NATS (monitoring)".to_owned(), self.nats_monitor));
        all.push(("redis", "Redis".to_owned(), self.redis));
        all.push(("maildev", "the mail server".to_owned(), self.smtp));
        all.push(("maildev", "the mail server (emails)".to_owned(), self.mail));
        all.push(("oidc", "the OpenID provider".to_owned(), self.oidc));
        all.push(("lab", "the lab of providers".to_owned(), self.lab));
        all.extend(self.s3.iter().map(|port| ("s3", "S3".to_owned(), *port)));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_port_is_used_twice() {
        let mut ports: Vec<u16> =
            Ports::from_base(21_400).unwrap().of_servers().into_iter().map(|(_, _, port)| port).collect();
        let count = ports.len();
        ports.sort_unstable();
        ports.dedup();
        assert_eq!(ports.len(), count);
    }

    #[test]
    fn a_base_without_room_above_it_is_refused() {
        assert!(Ports::from_base(65_500).is_err());
        assert!(Ports::from_base(80).is_err());
    }
}
