//! What operators do with keys: rotate them, list what was destroyed, destroy it again after a restore.

use crate::kek::Wrapped;
use crate::vault::{LIMITS, number};
use crate::{Vault, VaultError};
use secrecy::zeroize::Zeroizing;
use sqlx::PgPool;
use std::fmt;
use uuid::Uuid;

/// What a rotation came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rotated {
    /// Keys that are new or wrapped anew.
    pub done: usize,
    /// Keys that were as they should be.
    pub left: usize,
}

impl fmt::Display for Rotated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} data keys rotated, {} were up to date", self.done, self.left)
    }
}

/// Wraps every data key with the current key-encryption key. Nothing else is written anew, everybody goes on meanwhile,
/// and what was interrupted goes on where it ended.
///
/// # Errors
/// When one of the keys cannot be opened; those before it are wrapped anew.
pub async fn rotate_kek(vault: &Vault) -> Result<Rotated, VaultError> {
    let (pool, service) = (&vault.0.pool, &vault.0.service);
    let sql = "select tenant_id, generation, wrapped, wrapped_by from vault.data_keys where wrapped is not null
               order by tenant_id, generation";
    let rows: Vec<(Uuid, i32, Vec<u8>, String)> = sqlx::query_as(sql).fetch_all(pool).await?;
    let mut rotated = Rotated { done: 0, left: 0 };
    for (tenant, generation, bytes, by) in rows {
        if by == service.current() {
            rotated.left += 1;
            continue;
        }
        let opened = Wrapped { by: by.clone(), bytes };
        let opened = Zeroizing::new(service.unwrap(tenant, number(generation), &opened).await?);
        let bytes: &[u8; 32] = opened.as_slice().try_into().map_err(|_| VaultError::Broken)?;
        let wrapped = service.wrap(tenant, number(generation), bytes).await?;
        // Two that rotate at once write two wrappings of the same key; either is right.
        sqlx::query(
            "update vault.data_keys set wrapped = $3, wrapped_by = $4 where tenant_id = $1 and generation = $2",
        )
        .bind(tenant)
        .bind(generation)
        .bind(wrapped.bytes)
        .bind(wrapped.by)
        .execute(pool)
        .await?;
        rotated.done += 1;
    }
    Ok(rotated)
}

/// Gives a tenant, or all of them, a fresh generation, with which everything is sealed from then on, in every process within
/// a minute. What is sealed stays readable.
///
/// # Errors
/// When a key cannot be made.
pub async fn rotate_data_keys(vault: &Vault, tenant: Option<Uuid>) -> Result<Rotated, VaultError> {
    let sql = "select distinct tenant_id from vault.data_keys where $1::uuid is null or tenant_id = $1";
    let tenants: Vec<Uuid> = sqlx::query_scalar(sql).bind(tenant).fetch_all(&vault.0.pool).await?;
    for some in tenants.chunks(LIMITS.keys) {
        vault.add_generations(some).await?;
    }
    Ok(Rotated { done: tenants.len(), left: 0 })
}

/// A key that was destroyed.
#[derive(Debug, Clone, PartialEq, Eq, Hash, sqlx::FromRow)]
pub struct Destroyed {
    /// Whose.
    pub tenant_id: Uuid,
    /// About whom.
    pub subject_id: Uuid,
    /// Which of the subject's keys.
    pub generation: i32,
}

impl fmt::Display for Destroyed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.tenant_id, self.subject_id, self.generation)
    }
}

impl std::str::FromStr for Destroyed {
    type Err = String;

    fn from_str(line: &str) -> Result<Self, String> {
        let expected = || format!("expected tenant, subject and generation, not {line:?}");
        let [tenant, subject, generation] = line.split_whitespace().collect::<Vec<_>>()[..] else {
            return Err(expected());
        };
        let id = |text: &str| text.parse().map_err(|_| expected());
        let generation = generation.parse().map_err(|_| expected())?;
        Ok(Self { tenant_id: id(tenant)?, subject_id: id(subject)?, generation })
    }
}

/// Every key that was ever destroyed, the oldest first. Needs no key, only connections as ubos_worker.
///
/// # Errors
/// When the list cannot be read.
pub async fn destroyed(pool: &PgPool) -> Result<Vec<Destroyed>, VaultError> {
    let sql = "select tenant_id, subject_id, generation from vault.destroyed_keys order by serial";
    Ok(sqlx::query_as(sql).fetch_all(pool).await?)
}

/// What destroying once more came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reapplied {
    /// Keys that a backup had brought back, and that are gone again.
    pub destroyed: Vec<Destroyed>,
    /// Keys that were gone.
    pub gone: usize,
}

/// Destroys the keys of a list once more, after a backup was restored that is older than the list.
///
/// # Errors
/// When the database does not answer; what was done stays done.
pub async fn reapply(vault: &Vault, list: &[Destroyed]) -> Result<Reapplied, VaultError> {
    let mut reapplied = Reapplied { destroyed: vec![], gone: 0 };
    for key in list {
        let back: bool = sqlx::query_scalar("select vault.destroy_key($1, $2, $3)")
            .bind(key.tenant_id)
            .bind(key.subject_id)
            .bind(key.generation)
            .fetch_one(&vault.0.pool)
            .await?;
        if back {
            reapplied.destroyed.push(key.clone());
        } else {
            reapplied.gone += 1;
        }
    }
    Ok(reapplied)
}

impl Vault {
    /// Destroys every key of a subject: what they sealed is gone for good, in every process within a second. Answers how
    /// many there were; harmless when repeated.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn destroy(&self, tenant: Uuid, subject: Uuid) -> Result<i64, VaultError> {
        let sql = "select vault.destroy_subject($1, $2)";
        Ok(sqlx::query_scalar(sql).bind(tenant).bind(subject).fetch_one(&self.0.pool).await?)
    }
}
