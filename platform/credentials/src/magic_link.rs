//! The link by which a portal user comes in: whom it is for, and a secret of 256 bits. Whoever makes it and whoever takes it
//! back agree here on how it looks and what is kept of it.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use kernel::{Email, PortalUserId, TenantId};
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// Bytes of a firm's id, a portal user's id and the secret.
const BYTES: usize = 16 + 16 + 32;

/// What a link carries.
pub struct MagicLink {
    /// The firm.
    pub tenant: TenantId,
    /// Whom it lets in.
    pub portal_user: PortalUserId,
    secret: [u8; 32],
}

impl MagicLink {
    /// A link that nobody has had before.
    pub fn make(tenant: TenantId, portal_user: PortalUserId) -> Self {
        Self { tenant, portal_user, secret: rand::random() }
    }

    /// As it stands in the URL.
    pub fn text(&self) -> String {
        let mut bytes = [0; BYTES];
        bytes[..16].copy_from_slice(self.tenant.0.as_bytes());
        bytes[16..32].copy_from_slice(self.portal_user.0.as_bytes());
        bytes[32..].copy_from_slice(&self.secret);
        BASE64.encode(bytes)
    }

    /// Reads it; none if it is no such text.
    pub fn read(text: &str) -> Option<Self> {
        let bytes: [u8; BYTES] = BASE64.decode(text).ok()?.try_into().ok()?;
        Some(Self {
            tenant: TenantId(Uuid::from_slice(&bytes[..16]).ok()?),
            portal_user: PortalUserId(Uuid::from_slice(&bytes[16..32]).ok()?),
            secret: bytes[32..].try_into().ok()?,
        })
    }

    /// What is kept of it: worth nothing for another purpose, firm or person.
    pub fn hash(&self) -> Vec<u8> {
        let whom = format!("ubos portal login {} {} ", self.tenant, self.portal_user);
        Sha256::new().chain_update(whom).chain_update(self.secret).finalize().to_vec()
    }
}

/// How a firm's portal users are found by their address.
pub fn address_hash(tenant: TenantId, address: &Email) -> Vec<u8> {
    Sha256::new().chain_update(format!("ubos portal address {tenant} {address}")).finalize().to_vec()
}

/// How the firms are found that know a person by an address.
pub fn login_hash(address: &Email) -> Vec<u8> {
    Sha256::new().chain_update(format!("ubos login address {address}")).finalize().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn m_05_a_link_carries_256_random_bits_and_reads_as_it_was_made() {
        let whom = || (TenantId(Uuid::from_u128(1)), PortalUserId(Uuid::from_u128(2)));
        let (one, other) = (MagicLink::make(whom().0, whom().1), MagicLink::make(whom().0, whom().1));
        assert_ne!(one.text(), other.text());
        let read = MagicLink::read(&one.text()).unwrap();
        assert_eq!((read.tenant, read.portal_user, read.hash()), (whom().0, whom().1, one.hash()));
    }

    #[test]
    fn m_04_what_is_kept_is_worth_nothing_for_another_firm_or_person() {
        let link = MagicLink::make(TenantId(Uuid::from_u128(1)), PortalUserId(Uuid::from_u128(2)));
        let elsewhere = MagicLink { tenant: TenantId(Uuid::from_u128(3)), ..link.copy() };
        let another = MagicLink { portal_user: PortalUserId(Uuid::from_u128(3)), ..link.copy() };
        assert!(link.hash() != elsewhere.hash() && link.hash() != another.hash());
    }

    impl MagicLink {
        fn copy(&self) -> Self {
            Self { tenant: self.tenant, portal_user: self.portal_user, secret: self.secret }
        }
    }

    #[test]
    fn what_is_no_link_is_none() {
        let good = MagicLink::make(TenantId(Uuid::from_u128(1)), PortalUserId(Uuid::from_u128(2))).text();
        for wrong in ["", "a", &good[1..], &format!("{good}A"), &good.replace(&good[..1], "!"), "\"><script>"] {
            assert!(MagicLink::read(wrong).is_none(), "{wrong}");
        }
    }
}
