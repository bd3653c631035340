//! command-api's side of a link: keeps what a provider has just given, and takes in what providers say. It opens nothing.

use crate::{Account, Grant, Hint};
use anyhow::{Context, Result};
use kernel::{ConnectionId, TenantId};
use ports::Place;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use sqlx::PgPool;
use sqlx::postgres::types::PgInterval;
use sqlx::types::Json;
use std::time::Duration;
use uuid::Uuid;
use vault::{TenantKeys, Vault};

/// Whose connection a message is for, and which account it leads to.
#[derive(Debug, Clone)]
pub struct Heard {
    /// The connection.
    pub place: Place,
    /// The provider's id of the account.
    pub account_id: String,
}

/// Keeps grants and messages. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Keeper {
    pool: PgPool,
    vault: Vault,
}

impl Keeper {
    /// `pool` connects as `ubos_command`; without a vault nothing is kept, hence none without.
    pub fn new(pool: PgPool, vault: Vault) -> Self {
        Self { pool, vault }
    }

    /// Keeps a grant that somebody has just agreed to; answers its generation, or none if the connection leads to another account or
    /// somebody else was faster.
    ///
    /// # Errors
    /// When database or keys are away, or the provider gave nothing to refresh with.
    pub async fn keep(&self, at: Place, provider: &str, account: &Account, grant: &Grant) -> Result<Option<i32>> {
        self.keep_for(at, provider, account, grant, None).await
    }

    /// The same with how long the grant can be replaced, if that is known.
    ///
    /// # Errors
    /// As above.
    pub async fn keep_for(
        &self,
        at: Place,
        provider: &str,
        account: &Account,
        grant: &Grant,
        renewable_for: Option<Duration>,
    ) -> Result<Option<i32>> {
        let next = sqlx::query_scalar("select connect.next_generation($1, $2)").bind(at.tenant.0).bind(at.connection.0);
        let generation: i32 = next.fetch_one(&self.pool).await?;
        let keys = self.vault.sealing(at.tenant.0).await.map_err(|error| anyhow::anyhow!("{error}"))?;
        let refresh =
            grant.refresh.as_ref().context("the provider gave no refresh token; is offline access asked for?")?;
        let kept = sqlx::query_scalar("select connect.keep($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)")
            .bind(at.tenant.0)
            .bind(at.connection.0)
            .bind(provider)
            .bind(generation)
            .bind(&account.id)
            .bind(&account.base_url)
            .bind(seal(&keys, at.connection, Field::Access, generation, &grant.access)?)
            .bind(seal(&keys, at.connection, Field::Refresh, generation, refresh)?)
            .bind(interval(grant.lasts))
            .bind(renewable_for.map(interval))
            .fetch_one(&self.pool);
        let kept: bool = kept.await?;
        Ok(kept.then_some(generation))
    }

    /// Takes a grant back that the record does not take.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn forget(&self, at: Place, generation: i32) -> Result<()> {
        let sql = "select connect.forget($1, $2, $3)";
        sqlx::query(sql).bind(at.tenant.0).bind(at.connection.0).bind(generation).execute(&self.pool).await?;
        Ok(())
    }

    /// Whose connection that is, if it is one to this provider. Two firms may have chosen one id.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn whose(&self, provider: &str, connection: ConnectionId) -> Result<Vec<Heard>> {
        let asked = sqlx::query_as("select tenant_id, account_id from connect.door($1, $2)");
        let found: Vec<(Uuid, String)> = asked.bind(provider).bind(connection.0).fetch_all(&self.pool).await?;
        let heard = |(tenant, account_id)| Heard { place: Place { tenant: TenantId(tenant), connection }, account_id };
        Ok(found.into_iter().map(heard).collect())
    }

    /// Takes in what a provider said; false if it said the very same before.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn take_in(&self, at: Place, body: &[u8], hints: &[Hint]) -> Result<bool> {
        let taken = sqlx::query_scalar("select connect.take_in($1, $2, $3, $4)")
            .bind(at.tenant.0)
            .bind(at.connection.0)
            .bind(Sha256::digest(body).to_vec())
            .bind(Json(hints))
            .fetch_one(&self.pool);
        Ok(taken.await?)
    }
}

/// The two halves of a grant.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Field {
    Access,
    Refresh,
}

/// Where a secret belongs: to this field of this generation of this connection of this firm, and nowhere else.
fn field(of: Field, generation: i32) -> String {
    let name = match of {
        Field::Access => "access_token",
        Field::Refresh => "refresh_token",
    };
    format!("{name}/{generation}")
}

pub(crate) fn seal(
    keys: &TenantKeys,
    connection: ConnectionId,
    of: Field,
    generation: i32,
    secret: &SecretString,
) -> Result<Vec<u8>> {
    let record = format!("connection {connection}");
    Ok(keys.seal(&record, &field(of, generation), secret.expose_secret().as_bytes())?)
}

pub(crate) fn open(
    keys: &TenantKeys,
    connection: ConnectionId,
    of: Field,
    generation: i32,
    sealed: &[u8],
) -> Result<SecretString> {
    let opened = keys.open(&format!("connection {connection}"), &field(of, generation), sealed)?;
    Ok(String::from_utf8(opened).context("a secret is no text")?.into())
}

pub(crate) fn interval(duration: Duration) -> PgInterval {
    PgInterval { months: 0, days: 0, microseconds: i64::try_from(duration.as_micros()).unwrap_or(i64::MAX) }
}
