//! The data keys of one tenant.

use crate::VaultError;
use crate::cipher::{self, KeyBytes, Place};
use crate::subject::{NewSubjectKey, SubjectKey};
use aws_lc_rs::aead::LessSafeKey;
use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret, SecretBox};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};
use uuid::Uuid;

/// What every text that [`TenantKeys::lookup`] answers begins with.
const LOOKUP: &str = "hmac1.";

/// For how long a process seals with the newest generation that it knows without looking whether there is a newer one.
const FRESH_FOR: Duration = Duration::from_secs(60);

/// The data keys of one tenant: the newest generation seals, all of them open.
pub struct TenantKeys {
    tenant: Uuid,
    ciphers: BTreeMap<u32, LessSafeKey>,
    /// How many more texts this process may seal before it asks the database again.
    budget: AtomicI64,
    read_at: Instant,
    lookup: Option<hmac::Key>,
    copies: Option<hmac::Key>,
    derived: Option<hmac::Key>,
}

impl std::fmt::Debug for TenantKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TenantKeys").field("tenant", &self.tenant).field("generations", &self.ciphers.keys()).finish()
    }
}

impl TenantKeys {
    pub(crate) fn new(tenant: Uuid, keys: &BTreeMap<u32, KeyBytes>, budget: i64) -> Self {
        // Of the first generation for ever, because what was looked up by once must be found again.
        let lookup = keys.first_key_value().map(|(_, first)| {
            let first = hmac::Key::new(hmac::HMAC_SHA256, first.expose_secret());
            hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&first, b"ubos lookup").as_ref())
        });
        // Of the first generation, too: what was derived once and shown must be the same for ever.
        let derived = keys.first_key_value().map(|(_, first)| {
            let first = hmac::Key::new(hmac::HMAC_SHA256, first.expose_secret());
            hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&first, b"ubos derived").as_ref())
        });
        // Of the newest generation: what does not open after a rotation is made again.
        let copies = keys.last_key_value().map(|(_, newest)| {
            let newest = hmac::Key::new(hmac::HMAC_SHA256, newest.expose_secret());
            hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&newest, b"ubos copies").as_ref())
        });
        let ciphers = keys.iter().map(|(generation, key)| (*generation, cipher::cipher(key))).collect();
        Self { tenant, ciphers, budget: AtomicI64::new(budget), read_at: Instant::now(), lookup, copies, derived }
    }

    /// How many texts this process may still seal with the newest generation.
    pub(crate) fn budget(&self) -> i64 {
        self.budget.load(Ordering::Relaxed).max(0)
    }

    /// This process may seal so many more.
    pub(crate) fn grant(&self, block: i64) {
        self.budget.fetch_add(block, Ordering::Relaxed);
    }

    /// Was it looked at a moment ago which generation is the newest?
    pub(crate) fn is_fresh(&self) -> bool {
        self.read_at.elapsed() < FRESH_FOR
    }

    pub(crate) fn knows(&self, sealed: &[u8]) -> bool {
        cipher::generation(sealed).is_none_or(|generation| self.ciphers.contains_key(&generation))
    }

    fn place(&self, kind: &str, record: &[u8], field: &[u8]) -> Place {
        Place::of(kind).and(self.tenant.as_bytes()).and(record).and(field)
    }

    fn seal_in(&self, place: Place, plain: &[u8]) -> Result<Vec<u8>, VaultError> {
        let (generation, key) = self.ciphers.last_key_value().ok_or(VaultError::Broken)?;
        self.budget.fetch_sub(1, Ordering::Relaxed);
        Ok(cipher::seal(key, *generation, place, plain))
    }

    fn open_in(&self, place: Place, sealed: &[u8]) -> Result<Vec<u8>, VaultError> {
        let generation = cipher::generation(sealed).ok_or(VaultError::Broken)?;
        cipher::open(self.ciphers.get(&generation).ok_or(VaultError::Broken)?, place, sealed)
    }

    /// Seals one field of one record of the tenant.
    ///
    /// # Errors
    /// When these keys were asked for to open only.
    pub fn seal(&self, record: &str, field: &str, plain: &[u8]) -> Result<Vec<u8>, VaultError> {
        self.seal_in(self.place("field", record.as_bytes(), field.as_bytes()), plain)
    }

    /// Opens what was sealed for this field of this record of this tenant, and nothing else.
    ///
    /// # Errors
    /// [`VaultError::Broken`] for anything else.
    pub fn open(&self, record: &str, field: &str, sealed: &[u8]) -> Result<Vec<u8>, VaultError> {
        self.open_in(self.place("field", record.as_bytes(), field.as_bytes()), sealed)
    }

    /// Seals a copy of what can be read again anyway, to be kept for a moment where others might look. Each thing has a key of its own,
    /// derived from the tenant's, so it may be sealed as often as it changes, by whoever may open the tenant's records.
    ///
    /// # Errors
    /// When the tenant has no keys.
    pub fn seal_copy(&self, of: &str, plain: &[u8]) -> Result<Vec<u8>, VaultError> {
        Ok(cipher::seal(&self.copy_key(of)?, 0, self.place("copy", of.as_bytes(), b""), plain))
    }

    /// Opens what was sealed as a copy of this, and nothing else.
    ///
    /// # Errors
    /// [`VaultError::Broken`] for anything else.
    pub fn open_copy(&self, of: &str, sealed: &[u8]) -> Result<Vec<u8>, VaultError> {
        cipher::open(&self.copy_key(of)?, self.place("copy", of.as_bytes(), b""), sealed)
    }

    fn copy_key(&self, of: &str) -> Result<LessSafeKey, VaultError> {
        let key = self.copies.as_ref().ok_or(VaultError::Broken)?;
        Ok(cipher::cipher(&cipher::into_key(hmac::sign(key, of.as_bytes()).as_ref().to_vec())?))
    }

    /// What a value is found again by that must not be written down: the same for the same value of the same tenant, and
    /// nothing that anybody without the key could try values against (HMAC-SHA-256, RFC 2104).
    ///
    /// # Errors
    /// When the tenant has no keys.
    pub fn lookup(&self, scope: &str, value: &str) -> Result<String, VaultError> {
        let key = self.lookup.as_ref().ok_or(VaultError::Broken)?;
        let mut context = hmac::Context::with_key(key);
        context.update(&(scope.len() as u64).to_be_bytes());
        context.update(scope.as_bytes());
        context.update(value.as_bytes());
        Ok(format!("{LOOKUP}{}", URL_SAFE_NO_PAD.encode(context.sign().as_ref())))
    }

    /// A secret that is the tenant's and is kept nowhere: the same for the same thing of the same scope for ever, and gone with the
    /// tenant's keys (HMAC-SHA-256 as a key derivation, NIST SP 800-108).
    ///
    /// # Errors
    /// When the tenant has no keys.
    pub fn derive(&self, scope: &str, of: &[u8]) -> Result<SecretBox<[u8; 32]>, VaultError> {
        let key = self.derived.as_ref().ok_or(VaultError::Broken)?;
        let mut context = hmac::Context::with_key(key);
        context.update(&(scope.len() as u64).to_be_bytes());
        context.update(scope.as_bytes());
        context.update(of);
        let tag = context.sign();
        let bytes: [u8; 32] = tag.as_ref().try_into().map_err(|_| VaultError::Broken)?;
        Ok(SecretBox::new(Box::new(bytes)))
    }

    /// Did [`TenantKeys::lookup`] write this?
    pub fn is_lookup(value: &str) -> bool {
        value.strip_prefix(LOOKUP).is_some_and(|rest| rest.len() == 43)
    }

    /// A fresh key for a subject, and what is kept of it.
    ///
    /// # Errors
    /// When these keys were asked for to open only.
    pub fn new_subject_key(&self, subject: Uuid, generation: u32) -> Result<NewSubjectKey, VaultError> {
        let bytes = cipher::random_key();
        let place = self.place("subject key", subject.as_bytes(), &generation.to_be_bytes());
        let wrapped = self.seal_in(place, bytes.expose_secret())?;
        Ok(NewSubjectKey { key: SubjectKey::new(self.tenant, subject, generation, &bytes), wrapped })
    }

    pub(crate) fn subject_key(&self, subject: Uuid, generation: u32, wrapped: &[u8]) -> Result<SubjectKey, VaultError> {
        let place = self.place("subject key", subject.as_bytes(), &generation.to_be_bytes());
        let bytes = cipher::into_key(self.open_in(place, wrapped)?)?;
        Ok(SubjectKey::new(self.tenant, subject, generation, &bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(tenant: u128, generations: u32) -> TenantKeys {
        let keys = (1..=generations).map(|generation| {
            (generation, KeyBytes::init_with_mut(|bytes: &mut [u8; 32]| bytes.fill(generation as u8)))
        });
        TenantKeys::new(Uuid::from_u128(tenant), &keys.collect(), 10)
    }

    #[test]
    fn what_is_moved_to_another_tenant_record_or_field_does_not_open() {
        let sealed = keys(1, 1).seal("connection 1", "refresh_token", b"secret").unwrap();
        assert_eq!(keys(1, 1).open("connection 1", "refresh_token", &sealed).unwrap(), b"secret");
        for (tenant, record, field) in [
            (2, "connection 1", "refresh_token"),
            (1, "connection 2", "refresh_token"),
            (1, "connection 1", "access_token"),
            (1, "connection 1r", "efresh_token"),
        ] {
            assert!(matches!(keys(tenant, 1).open(record, field, &sealed), Err(VaultError::Broken)));
        }
    }

    #[test]
    fn a_copy_opens_as_what_it_is_a_copy_of_and_as_nothing_else() {
        let sealed = keys(1, 1).seal_copy("profile 1", b"Ada").unwrap();
        assert_eq!(keys(1, 1).open_copy("profile 1", &sealed).unwrap(), b"Ada");
        for (tenant, generations, of) in [(2, 1, "profile 1"), (1, 1, "profile 2"), (1, 2, "profile 1")] {
            assert!(matches!(keys(tenant, generations).open_copy(of, &sealed), Err(VaultError::Broken)), "{of}");
        }
        assert!(keys(1, 1).open("profile 1", "", &sealed).is_err(), "nor as a field");
    }

    #[test]
    fn every_generation_opens_and_the_newest_seals() {
        let (older, newer) = (keys(1, 1), keys(1, 2));
        let before = older.seal("r", "f", b"before").unwrap();
        assert_eq!(newer.open("r", "f", &before).unwrap(), b"before");
        let after = newer.seal("r", "f", b"after").unwrap();
        assert!(older.knows(&before) && !older.knows(&after) && older.open("r", "f", &after).is_err());
    }

    #[test]
    fn a_lookup_outlives_generations_and_differs_by_scope_and_tenant() {
        let found = keys(1, 1).lookup("email", "ada@example.com").unwrap();
        assert!(TenantKeys::is_lookup(&found) && !found.contains("ada"));
        assert!(!TenantKeys::is_lookup("ada@example.com"));
        assert_eq!(keys(1, 2).lookup("email", "ada@example.com").unwrap(), found);
        assert_ne!(keys(1, 1).lookup("login", "ada@example.com").unwrap(), found);
        assert_ne!(keys(1, 1).lookup("emaila", "da@example.com").unwrap(), found);
        assert_ne!(keys(2, 1).lookup("email", "ada@example.com").unwrap(), "", "and of another tenant");
    }

    #[test]
    fn what_is_derived_outlives_generations_and_differs_by_scope_thing_and_tenant() {
        let derived = |keys: &TenantKeys, scope, of: &[u8]| *keys.derive(scope, of).unwrap().expose_secret();
        let secret = derived(&keys(1, 1), "webhook", b"1");
        assert_eq!(derived(&keys(1, 2), "webhook", b"1"), secret);
        for other in [
            derived(&keys(1, 1), "webhook", b"2"),
            derived(&keys(1, 1), "webhook1", b""),
            derived(&keys(1, 1), "other", b"1"),
        ] {
            assert_ne!(other, secret);
        }
    }

    #[test]
    fn a_subjects_key_opens_for_that_subject_and_generation_only() {
        let (keys, subject) = (keys(1, 1), Uuid::from_u128(7));
        let NewSubjectKey { key, wrapped } = keys.new_subject_key(subject, 1).unwrap();
        let sealed = key.seal(&[b"event", b"1"], b"Ada");
        let again = keys.subject_key(subject, 1, &wrapped).unwrap();
        assert_eq!(again.open(&[b"event", b"1"], &sealed).unwrap(), b"Ada");
        assert!(again.open(&[b"event", b"2"], &sealed).is_err() && again.open(&[b"event1"], &sealed).is_err());
        assert!(keys.subject_key(Uuid::from_u128(8), 1, &wrapped).is_err());
        assert!(keys.subject_key(subject, 2, &wrapped).is_err());
        let other = keys.new_subject_key(subject, 1).unwrap().key;
        assert!(matches!(other.open(&[b"event", b"1"], &sealed), Err(VaultError::Broken)));
    }
}
