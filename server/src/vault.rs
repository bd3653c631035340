//! The vault, as the settings describe it, and `ubos vault …`.

use crate::connect::{known, worker_pool};
use crate::output::{Done, Output, say};
use ::vault::{LocalKeys, Vault};
use anyhow::{Context, Result};
use clap::Subcommand;
use event_store::Log;
use runtime::health::Health;
use runtime::settings::{Settings, VaultSettings};
use secrecy::SecretString;
use serde_json::json;
use sqlx::PgPool;
use std::path::PathBuf;
use std::sync::Arc;
use uuid::Uuid;

/// What can be asked of the vault.
#[derive(Debug, Subcommand)]
pub enum VaultVerb {
    /// Tries a data key of each key that wraps some.
    Check,
    /// Wraps every data key with the key of `vault.key_file`; those of `vault.previous_key_file` are readable meanwhile.
    Rotate,
    /// Gives a firm, or every one, a fresh data key, with which everything is sealed from then on.
    RotateDataKeys {
        /// Only this firm.
        #[arg(long)]
        tenant: Option<Uuid>,
    },
}

/// Opens the vault on `pool`; none if no key is set, and then nothing is sealed.
///
/// # Errors
/// When a key cannot be read.
pub fn open(settings: &Settings, pool: &PgPool) -> Result<Option<Vault>> {
    let VaultSettings { key_file, key, previous_key_file, previous_key } = &settings.vault;
    let Some(current) = secret(key.as_ref(), key_file.as_ref()).context("settings: vault.key_file")? else {
        return Ok(None);
    };
    let previous = secret(previous_key.as_ref(), previous_key_file.as_ref());
    let previous: Vec<_> = previous.context("settings: vault.previous_key_file")?.into_iter().collect();
    let keys = LocalKeys::new(&current, &previous).context("settings: vault")?;
    Ok(Some(Vault::start(pool.clone(), Arc::new(keys))))
}

fn secret(text: Option<&SecretString>, file: Option<&PathBuf>) -> Result<Option<SecretString>> {
    match (text, file) {
        (Some(text), _) => Ok(Some(text.clone())),
        (None, Some(file)) => Ok(Some(LocalKeys::read(file)?)),
        (None, None) => Ok(None),
    }
}

/// The log, with what is sealed in it opened, and without what must not leave.
///
/// # Errors
/// When the vault cannot be opened.
pub fn log(settings: &Settings, pool: &PgPool) -> Result<Log> {
    Ok(outgoing(pool.clone(), open(settings, pool)?))
}

/// The log as everybody may have it who does not decide about who comes in: what the stream carries and what is healed
/// from the log are the same.
pub fn outgoing(pool: PgPool, vault: Option<Vault>) -> Log {
    Log::unsealing(pool, vault).withholding(catalogue::withhold)
}

/// Readiness says no while a data key cannot be opened.
pub fn watch(health: Health, vault: Option<&Vault>) -> Health {
    let Some(vault) = vault.cloned() else { return health };
    health.check("vault", move || {
        let vault = vault.clone();
        Box::pin(async move { vault.check().await.map_err(|error| error.to_string()) })
    })
}

/// Hashes the claims on addresses and logins that were made before there was a vault.
///
/// # Errors
/// When database or keys are away.
pub async fn hash_claims(settings: &Settings, out: &Output) -> Result<u64> {
    if settings.vault.key.is_none() && settings.vault.key_file.is_none() {
        return Ok(0);
    }
    let pool = worker_pool(settings).await?;
    let vault = open(settings, &pool)?.context("settings: vault.key_file is not set")?;
    let hashed = event_store::hash_claims(&vault, &registry::PERSONAL_CLAIMS).await?;
    if hashed > 0 {
        say!(out, "{hashed} claims on addresses and logins are hashed now");
    }
    Ok(hashed)
}

/// `ubos vault …`
///
/// # Errors
/// When no key is set, or a data key does not open.
pub async fn run(settings: &Settings, verb: VaultVerb, out: &Output) -> Result<Done> {
    let pool = worker_pool(settings).await?;
    let vault = open(settings, &pool)?.context("settings: vault.key_file is not set")?;
    let rotated = match verb {
        VaultVerb::Check => {
            vault.check().await?;
            say!(out, "every data key can be opened");
            return Done::with(json!({}));
        }
        VaultVerb::Rotate => ::vault::rotate_kek(&vault).await?,
        VaultVerb::RotateDataKeys { tenant } => {
            if let Some(tenant) = tenant {
                known(&pool, tenant).await?;
            }
            ::vault::rotate_data_keys(&vault, tenant).await?
        }
    };
    say!(out, "{rotated}");
    Done::with(json!({ "done": rotated.done, "left": rotated.left }))
}
