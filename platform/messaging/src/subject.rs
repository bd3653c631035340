//! Where on NATS an event is published.

use std::fmt;

/// `<prefix>.<tenant>.<domain>.<event type>`: `ubos.events.0190….crm.client.created`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject(String);

/// A token that NATS, or somebody's permissions, would misread.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no NATS subject: {token:?} may hold only a-z, 0-9, _ and -")]
pub struct IllegalSubject {
    /// What was refused.
    pub token: String,
}

impl Subject {
    /// The subject of one kind of event of one tenant; the only way to make one.
    pub fn of(prefix: &str, tenant: impl fmt::Display, domain: &str, event_type: &str) -> Result<Self, IllegalSubject> {
        let tenant = tenant.to_string();
        for part in [tenant.as_str(), domain] {
            check(part)?;
        }
        prefix.split('.').chain(event_type.split('.')).try_for_each(check)?;
        Ok(Self(format!("{prefix}.{tenant}.{domain}.{event_type}")))
    }

    /// Where an event goes whose name makes no subject; its claim-check says what it is.
    pub fn unnameable(prefix: &str, tenant: impl fmt::Display) -> Self {
        Self(format!("{prefix}.{tenant}.unnameable"))
    }

    /// The subject as NATS takes it.
    pub fn into_string(self) -> String {
        self.0
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

fn check(token: &str) -> Result<(), IllegalSubject> {
    let legal = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'_' || c == b'-';
    if !token.is_empty() && token.bytes().all(legal) { Ok(()) } else { Err(IllegalSubject { token: token.to_owned() }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_names_tenant_domain_and_event() {
        let subject = Subject::of("ubos.events", "0190", "crm", "client.created").unwrap();
        assert_eq!(subject.to_string(), "ubos.events.0190.crm.client.created");
    }

    #[test]
    fn a_token_that_nats_would_misread_is_refused() {
        for (domain, event) in [
            ("*", "a"),
            ("crm", ">"),
            ("crm", "a..b"),
            ("crm", ""),
            ("a.b", "c"),
            ("crm", "client created"),
            ("crm", "Client"),
            ("crm", "é"),
        ] {
            assert!(Subject::of("ubos.events", "0190", domain, event).is_err(), "{domain} {event}");
        }
    }
}
