//! The key-encryption key, which never is in the database.

use crate::VaultError;
use crate::cipher::{self, KeyBytes, Place};
use async_trait::async_trait;
use aws_lc_rs::aead::LessSafeKey;
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretString};
use std::path::Path;
use uuid::Uuid;

/// A data key that nobody can use without the key service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrapped {
    /// Which key-encryption key wrapped it.
    pub by: String,
    /// What it looks like outside.
    pub bytes: Vec<u8>,
}

/// Keeps the key-encryption key: a file, the environment, or a service that never gives it away (KMS, HSM).
///
/// A data key belongs to a tenant and a generation, and a wrapped one opens for no other; a service binds it to both, for
/// example as its encryption context.
#[async_trait]
pub trait KeyService: Send + Sync + std::fmt::Debug + 'static {
    /// Name of the key that wraps from now on.
    fn current(&self) -> &str;

    /// Wraps a data key of 32 bytes with the current key.
    async fn wrap(&self, tenant: Uuid, generation: u32, key: &[u8; 32]) -> Result<Wrapped, VaultError>;

    /// Opens what the current key or an earlier one wrapped.
    async fn unwrap(&self, tenant: Uuid, generation: u32, wrapped: &Wrapped) -> Result<Vec<u8>, VaultError>;
}

/// Key-encryption keys in this process's memory: the current one, and earlier ones that may only open.
pub struct LocalKeys {
    current: Kek,
    earlier: Vec<Kek>,
}

struct Kek {
    id: String,
    cipher: LessSafeKey,
}

impl LocalKeys {
    /// The current key, and those that wrapped before a rotation. Each is 32 bytes in base64, as
    /// `openssl rand -base64 32` prints them.
    ///
    /// # Errors
    /// When one of them is anything else.
    pub fn new(current: &SecretString, earlier: &[SecretString]) -> Result<Self, VaultError> {
        Ok(Self { current: Kek::parse(current)?, earlier: earlier.iter().map(Kek::parse).collect::<Result<_, _>>()? })
    }

    /// Reads a key from a file.
    ///
    /// # Errors
    /// When there is no such file.
    pub fn read(file: &Path) -> Result<SecretString, VaultError> {
        let text = std::fs::read_to_string(file);
        text.map(SecretString::from).map_err(|error| VaultError::BadKey(format!("{}: {error}", file.display())))
    }
}

impl std::fmt::Debug for LocalKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LocalKeys").field("current", &self.current.id).finish_non_exhaustive()
    }
}

impl Kek {
    fn parse(text: &SecretString) -> Result<Self, VaultError> {
        let bytes = Zeroizing::new(STANDARD.decode(text.expose_secret().trim()).unwrap_or_default());
        if bytes.len() != 32 {
            let expected = "the vault's key must be 32 bytes in base64: openssl rand -base64 32";
            return Err(VaultError::BadKey(expected.to_owned()));
        }
        let key: KeyBytes = cipher::into_key(bytes.to_vec())?;
        // A name that says which key it is and nothing about it.
        let id = hex::encode(&digest(&SHA256, &[b"ubos kek", bytes.as_slice()].concat()).as_ref()[..8]);
        Ok(Self { id, cipher: cipher::cipher(&key) })
    }
}

fn place(tenant: Uuid, generation: u32) -> Place {
    Place::of("data key").and(tenant.as_bytes()).and(&generation.to_be_bytes())
}

#[async_trait]
impl KeyService for LocalKeys {
    fn current(&self) -> &str {
        &self.current.id
    }

    async fn wrap(&self, tenant: Uuid, generation: u32, key: &[u8; 32]) -> Result<Wrapped, VaultError> {
        let bytes = cipher::seal(&self.current.cipher, 0, place(tenant, generation), key);
        Ok(Wrapped { by: self.current.id.clone(), bytes })
    }

    async fn unwrap(&self, tenant: Uuid, generation: u32, wrapped: &Wrapped) -> Result<Vec<u8>, VaultError> {
        let known = std::iter::once(&self.current).chain(&self.earlier).find(|kek| kek.id == wrapped.by);
        let kek = known.ok_or_else(|| VaultError::WrongKey(wrapped.by.clone()))?;
        cipher::open(&kek.cipher, place(tenant, generation), &wrapped.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(byte: u8) -> SecretString {
        STANDARD.encode([byte; 32]).into()
    }

    #[tokio::test]
    async fn both_keys_open_while_one_takes_over_from_the_other() {
        let (old, new) = (LocalKeys::new(&secret(1), &[]).unwrap(), LocalKeys::new(&secret(2), &[secret(1)]).unwrap());
        let wrapped = old.wrap(Uuid::nil(), 1, &[7; 32]).await.unwrap();
        assert_eq!(new.unwrap(Uuid::nil(), 1, &wrapped).await.unwrap(), [7; 32]);
        let rewrapped = new.wrap(Uuid::nil(), 1, &[7; 32]).await.unwrap();
        assert!(
            matches!(old.unwrap(Uuid::nil(), 1, &rewrapped).await, Err(VaultError::WrongKey(by)) if by == new.current())
        );
    }

    #[tokio::test]
    async fn a_data_key_opens_for_its_tenant_and_generation_only() {
        let keys = LocalKeys::new(&secret(1), &[]).unwrap();
        let wrapped = keys.wrap(Uuid::nil(), 1, &[7; 32]).await.unwrap();
        assert!(matches!(keys.unwrap(Uuid::max(), 1, &wrapped).await, Err(VaultError::Broken)));
        assert!(matches!(keys.unwrap(Uuid::nil(), 2, &wrapped).await, Err(VaultError::Broken)));
    }

    #[test]
    fn a_key_of_another_length_is_refused_and_none_prints() {
        for wrong in ["", "short", "!!!", &STANDARD.encode([1; 31])] {
            assert!(matches!(LocalKeys::new(&wrong.to_owned().into(), &[]), Err(VaultError::BadKey(_))), "{wrong}");
        }
        let printed = format!("{:?}", LocalKeys::new(&secret(1), &[]).unwrap());
        assert!(!printed.contains("AQEB") && printed.len() < 80, "{printed}");
    }
}
