//! How much is logged of what strangers do: a flood of requests must not become a flood of lines.

use metrics::{Counter, counter};
use parking_lot::Mutex;
use std::borrow::Cow;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

/// Lines about one address in a window.
const OF_ADDRESS_MAX: u32 = 100;
/// Lines about all of them.
const OF_ALL_MAX: u32 = 2_000;
const WINDOW: Duration = Duration::from_secs(10);
/// Bytes of what a client made up, such as a path, in a line.
const BYTES_MAX: usize = 200;

struct Said {
    since: Instant,
    of_all: u32,
    of_address: HashMap<IpAddr, u32>,
    left_out: u64,
}

impl Said {
    fn new(since: Instant) -> Self {
        Self { since, of_all: 0, of_address: HashMap::new(), left_out: 0 }
    }

    /// May one more line be said about this address? Answers also how many were left out of a window that is over.
    fn one_more(&mut self, address: IpAddr, now: Instant) -> (bool, u64) {
        let mut before = 0;
        if now.duration_since(self.since) >= WINDOW {
            before = self.left_out;
            *self = Self::new(now);
        }
        let fits = self.of_all < OF_ALL_MAX && {
            let of_address = self.of_address.entry(network(address)).or_default();
            *of_address += 1;
            *of_address <= OF_ADDRESS_MAX
        };
        if fits {
            self.of_all += 1;
        } else {
            self.left_out += 1;
        }
        (fits, before)
    }
}

/// May one more line be written about what comes from this address?
pub fn may_say(address: IpAddr) -> bool {
    static SAID: LazyLock<Mutex<Said>> = LazyLock::new(|| Mutex::new(Said::new(Instant::now())));
    static LEFT_OUT: LazyLock<Counter> = LazyLock::new(|| counter!("http_log_lines_left_out_total"));
    let (fits, before) = SAID.lock().one_more(address, Instant::now());
    if before > 0 {
        tracing::warn!(lines = before, "lines about requests were left out");
    }
    if !fits {
        LEFT_OUT.increment(1);
    }
    fits
}

/// Whom an address stands for: one of IPv6 for the network of 64 bits that its holder picks addresses from.
pub fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        v4 => v4,
    }
}

/// The beginning of a text that may be endless.
pub fn shortened(text: &str) -> Cow<'_, str> {
    if text.len() <= BYTES_MAX {
        return Cow::Borrowed(text);
    }
    let end = (0..=BYTES_MAX).rev().find(|end| text.is_char_boundary(*end)).unwrap_or_default();
    Cow::Owned(format!("{}… ({} bytes)", &text[..end], text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_makes_many_lines_is_not_logged_further_and_others_are() {
        let begin = Instant::now();
        let mut said = Said::new(begin);
        let (noisy, quiet) = ("192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap());
        let lines = (0..10_000).filter(|_| said.one_more(noisy, begin).0).count();
        assert_eq!(lines, 100);
        assert!(said.one_more(quiet, begin).0);
        let (fits, left_out) = said.one_more(noisy, begin + WINDOW);
        assert_eq!((fits, left_out), (true, 9_900), "it is said how many there were");
        let addresses = (0..100_000u32).map(|n| IpAddr::from((n + (10 << 24)).to_be_bytes()));
        let lines = addresses.filter(|address| said.one_more(*address, begin + WINDOW).0).count();
        assert!(lines < 2_001 && said.of_address.len() < 2_001, "{lines}");
    }

    #[test]
    fn what_is_endless_is_logged_by_its_beginning() {
        assert_eq!(shortened("/v1/crm/clients"), "/v1/crm/clients");
        let long = format!("/{}", "ä".repeat(4_000));
        let short = shortened(&long);
        assert!(short.len() < 230 && short.starts_with("/ä") && short.ends_with("(8001 bytes)"), "{short}");
    }
}
