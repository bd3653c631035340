//! Envelope encryption with AES-256-GCM: what is sealed can be read only with a key, and never again once the key is gone.
//!
//! Three layers of keys. A key-encryption key lives outside the database, behind [`KeyService`]. It wraps a data key per
//! tenant and generation. A data key seals the tenant's secrets, and wraps one key per subject, with which whatever is about
//! one person is sealed; destroying that one key is what erases the person (`docs/adr/0021`).
//!
//! Only wrapped keys are in the database. The vault knows no business word: a subject is an id.

mod cipher;
mod error;
mod follow;
mod kek;
mod operate;
mod subject;
mod tenant;
mod vault;

pub use cipher::generation;
pub use error::VaultError;
pub use kek::{KeyService, LocalKeys, Wrapped};
pub use operate::{Destroyed, Reapplied, Rotated, destroyed, reapply, rotate_data_keys, rotate_kek};
pub use subject::{NewSubjectKey, Subject, SubjectKey, WrappedSubjectKey};
pub use tenant::TenantKeys;
pub use vault::Vault;
