//! What an API key looks like: a prefix that secret scanners know, and one blob of tenant, key id, secret and checksum.
//! Whoever gets one finds its key without asking for the firm, and a mistyped one is refused without asking anybody.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use kernel::{SecretHash, TenantId};
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// Bytes of tenant and id.
const ID_BYTES: usize = 32;
/// Bytes of the secret: 160 bits of chance, far beyond what can be tried.
const SECRET_BYTES: usize = 20;
/// Bytes of the checksum.
const CHECK_BYTES: usize = 4;

/// A key as it was shown to us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShownKey {
    /// The firm it belongs to, as it says itself.
    pub tenant: TenantId,
    /// Its id, as it says itself.
    pub id: Uuid,
    /// What all of it hashes to.
    pub secret_hash: SecretHash,
}

impl ShownKey {
    /// Makes a key that has never been before: its text and what it hashes to.
    pub fn mint(prefix: &str, tenant: TenantId, id: Uuid) -> (String, SecretHash) {
        let mut bytes = Vec::with_capacity(ID_BYTES + SECRET_BYTES + CHECK_BYTES);
        bytes.extend_from_slice(tenant.0.as_bytes());
        bytes.extend_from_slice(id.as_bytes());
        bytes.extend_from_slice(&rand::random::<[u8; SECRET_BYTES]>());
        let check = checksum(&bytes);
        bytes.extend_from_slice(&check);
        let text = format!("{prefix}_{}", BASE64.encode(bytes));
        let hash = SecretHash::of(&text);
        (text, hash)
    }

    /// Reads a key; none if it is not one or was mistyped.
    pub fn read(prefix: &str, text: &str) -> Option<Self> {
        let bytes = BASE64.decode(text.strip_prefix(prefix)?.strip_prefix('_')?).ok()?;
        let (body, check) = bytes.split_at_checked(ID_BYTES + SECRET_BYTES)?;
        if check != checksum(body) {
            return None;
        }
        let id = |range: std::ops::Range<usize>| Uuid::from_slice(&body[range]).ok();
        Some(Self { tenant: TenantId(id(0..16)?), id: id(16..32)?, secret_hash: SecretHash::of(text) })
    }
}

fn checksum(bytes: &[u8]) -> [u8; CHECK_BYTES] {
    let digest = Sha256::digest(bytes);
    [digest[0], digest[1], digest[2], digest[3]]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_says_whose_it_is_and_is_another_each_time() {
        let (tenant, id) = (TenantId(Uuid::from_u128(1)), Uuid::from_u128(2));
        let (text, secret_hash) = ShownKey::mint("ubk", tenant, id);
        assert_eq!(ShownKey::read("ubk", &text), Some(ShownKey { tenant, id, secret_hash }));
        assert_ne!(ShownKey::mint("ubk", tenant, id).0, text);
        assert_eq!(text.len(), 79, "what docs/security.md tells secret scanners to look for");
    }

    #[test]
    fn what_is_no_key_or_mistyped_is_refused() {
        let (text, _) = ShownKey::mint("ubk", TenantId::default(), Uuid::nil());
        let last = if text.ends_with('A') { "B" } else { "A" };
        let mistyped = format!("{}{last}", &text[..text.len() - 1]);
        let (short, long) = (&text[..40], format!("{text}A"));
        for wrong in ["", "ubk", "ubk_", "ubk_?", short, &mistyped, &long, &text.to_uppercase(), &text[4..]] {
            assert_eq!(ShownKey::read("ubk", wrong), None, "{wrong}");
        }
        assert_eq!(ShownKey::read("ubp", &text), None, "another kind of key");
    }
}
