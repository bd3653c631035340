//! A subscriber as NATS knows it: whose events it reads, and with which secret it came in.

use crate::SECRET_PREFIX;
use credentials::{Credential, ShownKey};
use kernel::{SecretHash, SubscriberId, TenantId};
use std::fmt;
use std::str::FromStr;

/// What its name begins with in NATS' lists of connections.
const KIND: &str = "subscriber";

/// Somebody who shows the secret of a subscriber, be it good or not. Written as `subscriber.<tenant>.<id>.<hash>`, which is
/// the user's name in NATS, so that every gate knows what each connection was let in with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reader {
    /// Whose events it reads.
    pub tenant: TenantId,
    /// Which subscriber.
    pub id: SubscriberId,
    /// What the secret hashes to that it came in with.
    pub secret_hash: SecretHash,
}

impl Reader {
    /// Whoever shows this secret; none if it is none of ours.
    pub fn showing(secret: &str) -> Option<Self> {
        let ShownKey { tenant, id, secret_hash } = ShownKey::read(SECRET_PREFIX, secret)?;
        Some(Self { tenant, id: SubscriberId(id), secret_hash })
    }

    /// What to ask a directory about.
    pub fn credential(&self) -> Credential {
        Credential::Subscriber { id: self.id, secret_hash: self.secret_hash.clone() }
    }

    /// The name of its consumer.
    pub fn consumer(&self) -> String {
        self.id.to_string()
    }

    /// Below which subject it gets answers; nobody else hears them.
    pub fn inbox(&self) -> String {
        format!("_INBOX_{}", self.id)
    }
}

impl fmt::Display for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{KIND}.{}.{}.{}", self.tenant, self.id, self.secret_hash)
    }
}

impl FromStr for Reader {
    type Err = &'static str;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let parts: Vec<&str> = name.split('.').collect();
        let [KIND, tenant, id, hash] = parts[..] else { return Err("no subscriber's name") };
        Ok(Self {
            tenant: tenant.parse().map_err(|_| "no tenant")?,
            id: id.parse().map_err(|_| "no subscriber")?,
            secret_hash: hash.parse().map_err(|_| "no hash")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn a_name_says_what_a_connection_was_let_in_with() {
        let (tenant, id) = (TenantId(Uuid::from_u128(1)), Uuid::from_u128(2));
        let (secret, secret_hash) = ShownKey::mint(SECRET_PREFIX, tenant, id);
        let reader = Reader::showing(&secret).unwrap();
        assert_eq!(reader, Reader { tenant, id: SubscriberId(id), secret_hash });
        assert_eq!(reader.to_string().parse(), Ok(reader));
    }

    #[test]
    fn what_is_no_secret_of_a_subscriber_or_no_name_is_nobody() {
        let (key, _) = ShownKey::mint("ubk", TenantId::default(), Uuid::nil());
        for secret in ["", "ubi_", "ubos", &key] {
            assert_eq!(Reader::showing(secret), None, "{secret}");
        }
        for name in ["", "ubos", "subscriber.a.b.c", "subscriber", "user.0.0.0"] {
            assert!(name.parse::<Reader>().is_err(), "{name}");
        }
    }
}
