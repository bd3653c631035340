//! The key of one subject, which is destroyed when the subject is erased.

use crate::VaultError;
use crate::cipher::{self, KeyBytes, Place};
use aws_lc_rs::aead::LessSafeKey;
use std::sync::Arc;
use uuid::Uuid;

/// Seals what is about one subject.
pub struct SubjectKey {
    place: Place,
    generation: u32,
    cipher: LessSafeKey,
}

impl std::fmt::Debug for SubjectKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SubjectKey").field("generation", &self.generation).finish_non_exhaustive()
    }
}

impl SubjectKey {
    pub(crate) fn new(tenant: Uuid, subject: Uuid, generation: u32, bytes: &KeyBytes) -> Self {
        let place = Place::of("subject").and(tenant.as_bytes()).and(subject.as_bytes());
        Self { place, generation, cipher: cipher::cipher(bytes) }
    }

    /// A key that is written down nowhere, for tests.
    pub fn random(tenant: Uuid, subject: Uuid, generation: u32) -> Self {
        Self::new(tenant, subject, generation, &cipher::random_key())
    }

    fn at(&self, place: &[&[u8]]) -> Place {
        place.iter().fold(self.place.clone(), |place, part| place.and(part))
    }

    /// Which of the subject's keys this is, from 1.
    pub fn generation(&self) -> u32 {
        self.generation
    }

    /// Seals something that belongs to `place`.
    pub fn seal(&self, place: &[&[u8]], plain: &[u8]) -> Vec<u8> {
        cipher::seal(&self.cipher, self.generation, self.at(place), plain)
    }

    /// Opens what this key sealed for `place`.
    ///
    /// # Errors
    /// [`VaultError::Broken`] for anything else.
    pub fn open(&self, place: &[&[u8]], sealed: &[u8]) -> Result<Vec<u8>, VaultError> {
        cipher::open(&self.cipher, self.at(place), sealed)
    }
}

/// A key that is not written down yet.
#[derive(Debug)]
pub struct NewSubjectKey {
    /// The key.
    pub key: SubjectKey,
    /// The key as the database keeps it.
    pub wrapped: Vec<u8>,
}

/// One key of a subject as the database keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrappedSubjectKey {
    /// Which of the subject's keys.
    pub generation: u32,
    /// None if it was destroyed.
    pub wrapped: Option<Vec<u8>>,
}

/// The keys of one subject: none if nothing about it was sealed yet, more than one only if it was erased and is spoken of
/// again.
#[derive(Debug, Clone, Default)]
pub struct Subject {
    /// The newest first.
    keys: Vec<Arc<SubjectKey>>,
    last: u32,
}

impl Subject {
    pub(crate) fn note(&mut self, generation: u32, key: Option<SubjectKey>) {
        self.last = self.last.max(generation);
        self.keys.extend(key.map(Arc::new));
        self.keys.sort_unstable_by_key(|key| std::cmp::Reverse(key.generation));
    }

    /// The same with one key more.
    #[must_use]
    pub fn with(&self, key: Arc<SubjectKey>) -> Self {
        let mut keys = self.keys.clone();
        keys.insert(0, key.clone());
        Self { keys, last: key.generation }
    }

    /// What seals now; none if the subject needs a fresh key.
    pub fn current(&self) -> Option<&Arc<SubjectKey>> {
        self.keys.first()
    }

    /// Which generation a fresh key would be.
    pub fn next_generation(&self) -> u32 {
        self.last + 1
    }

    /// Is the key of this generation known to exist or known to be gone? Otherwise a newer one may be there.
    pub fn covers(&self, generation: u32) -> bool {
        generation <= self.last
    }

    /// Opens what one of the subject's keys sealed for `place`. None: the key was destroyed.
    ///
    /// # Errors
    /// [`VaultError::Broken`] if it does not open with the key that it names.
    pub fn open(&self, place: &[&[u8]], sealed: &[u8]) -> Result<Option<Vec<u8>>, VaultError> {
        let generation = cipher::generation(sealed).ok_or(VaultError::Broken)?;
        let key = self.keys.iter().find(|key| key.generation == generation);
        key.map(|key| key.open(place, sealed)).transpose()
    }
}
