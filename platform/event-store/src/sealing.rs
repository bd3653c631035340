//! What one decision seals, and with which key.

use crate::ExecuteError;
use crate::load::StreamKey;
use crate::seal::{self, Place};
use kernel::{Claim, ClaimChange, EventEntry};
use std::sync::Arc;
use uuid::Uuid;
use vault::{Subject, SubjectKey, TenantKeys, Vault};

/// Seals what is personal in one decision with the key of its stream, which is made if there is none.
pub(crate) struct Sealing {
    stream: StreamKey,
    pub subject: Arc<Subject>,
    /// None where nothing can be personal, or nothing is sealed.
    keys: Option<Arc<TenantKeys>>,
    /// The key that this decision makes.
    pub fresh: Option<(u32, Vec<u8>)>,
}

impl Sealing {
    /// What is not personal is sealed by nobody.
    pub async fn new(
        vault: Option<&Vault>,
        is_personal: bool,
        stream: StreamKey,
        subject: Arc<Subject>,
    ) -> Result<Self, ExecuteError> {
        let keys = match vault {
            Some(vault) if is_personal => Some(vault.sealing(stream.tenant).await.map_err(keys_failed)?),
            _ => None,
        };
        Ok(Self { stream, subject, keys, fresh: None })
    }

    fn key(&mut self, keys: &TenantKeys) -> Result<Arc<SubjectKey>, ExecuteError> {
        if let Some(key) = self.subject.current() {
            return Ok(key.clone());
        }
        let generation = self.subject.next_generation();
        let made = keys.new_subject_key(self.stream.aggregate_id, generation).map_err(keys_failed)?;
        let key = Arc::new(made.key);
        self.subject = Arc::new(self.subject.with(key.clone()));
        self.fresh = Some((generation, made.wrapped));
        Ok(key)
    }

    pub fn event(&mut self, entry: &EventEntry, sequence: i64, payload: String) -> Result<String, ExecuteError> {
        let Some(keys) = self.keys.clone() else { return Ok(payload) };
        let holes = seal::holes(entry, &payload).map_err(|e| ExecuteError::Fault(e.into()))?;
        let Some(holes) = holes else { return Ok(payload) };
        let key = self.key(&keys)?;
        let aggregate_type = self.stream.aggregate_type;
        let place = Place { aggregate_type, sequence, event_type: entry.event_type, event_version: entry.version };
        Ok(seal::seal(&key, place, &payload, &holes))
    }

    pub fn state(&mut self, version: i64, state_version: i32, state: String) -> Result<String, ExecuteError> {
        let Some(keys) = self.keys.clone() else { return Ok(state) };
        let key = self.key(&keys)?;
        Ok(seal::seal_state(&key, self.stream.aggregate_type, version, state_version, &state))
    }

    /// A claim on something personal is kept as what it hashes to.
    pub fn claim(&self, change: ClaimChange) -> Result<ClaimChange, ExecuteError> {
        let hashed = |claim: Claim| match &self.keys {
            Some(keys) if claim.personal => {
                keys.lookup(claim.scope, &claim.value).map(|value| Claim { value, ..claim }).map_err(keys_failed)
            }
            _ => Ok(claim),
        };
        Ok(match change {
            ClaimChange::Take(claim) => ClaimChange::Take(hashed(claim)?),
            ClaimChange::Release(claim) => ClaimChange::Release(hashed(claim)?),
        })
    }
}

/// Hashes what was claimed in these scopes before there was a vault, so that it is found again and taken once. Answers how
/// many claims that were.
///
/// # Errors
/// When database or keys are away; what was done stays done.
pub async fn hash_claims(vault: &Vault, scopes: &[&str]) -> anyhow::Result<u64> {
    let sql = "select tenant_id, scope, value from eventstore.claims where scope = any($1)";
    let claims: Vec<(Uuid, String, String)> = sqlx::query_as(sql).bind(scopes).fetch_all(vault.pool()).await?;
    let mut hashed = 0;
    for (tenant, scope, value) in claims.into_iter().filter(|(.., value)| !TenantKeys::is_lookup(value)) {
        let lookup = vault.sealing(tenant).await?.lookup(&scope, &value)?;
        let changed: bool = sqlx::query_scalar("select eventstore.hash_claim($1, $2, $3, $4)")
            .bind(tenant)
            .bind(scope)
            .bind(value)
            .bind(lookup)
            .fetch_one(vault.pool())
            .await?;
        hashed += u64::from(changed);
    }
    Ok(hashed)
}

/// Without its keys nothing can be sealed, now.
pub(crate) fn keys_failed(error: impl Into<anyhow::Error>) -> ExecuteError {
    ExecuteError::Unavailable(error.into())
}
