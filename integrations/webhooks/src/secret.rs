//! The secret of an endpoint. It is kept nowhere: it is derived from the firm's keys in the vault, from the endpoint's id and from the
//! version of its record at which it was made. So no event, table or backup has it, it can be told again to whoever repeats the request that
//! made it, and it ends with the firm's keys.

use crate::signature::SigningKey;
use anyhow::{Result, anyhow};
use connections_events::WebhookSecret;
use event_store::{Executed, Tell};
use futures::FutureExt;
use futures::future::BoxFuture;
use kernel::TenantId;
use secrecy::ExposeSecret;
use serde_json::Value;
use uuid::Uuid;
use vault::Vault;

/// Sets these secrets apart from whatever else is derived; never changes.
const SCOPE: &str = "connections.webhook_endpoint.secret";

/// Knows the secrets of all endpoints. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Secrets(Vault);

impl Secrets {
    /// Without a vault there are no secrets, hence none without.
    pub fn new(vault: Vault) -> Self {
        Self(vault)
    }

    /// The secret that was made at this version of the endpoint's record.
    ///
    /// # Errors
    /// When the firm's keys cannot be read.
    pub async fn at(&self, tenant: TenantId, endpoint: Uuid, version: i64) -> Result<SigningKey> {
        // A firm of which nothing was sealed yet gets its keys now.
        let keys = self.0.sealing(tenant.0).await.map_err(|error| anyhow!("{error}"))?;
        let of = [endpoint.as_bytes().as_slice(), &version.to_be_bytes()].concat();
        Ok(SigningKey::new(keys.derive(SCOPE, &of)?.expose_secret().to_vec()))
    }
}

impl Tell for Secrets {
    fn commands(&self) -> &'static [&'static str] {
        &["connections.webhook_endpoint.add", "connections.webhook_endpoint.rotate_secret"]
    }

    /// Each of these commands is one event, so the version after it is that at which the secret was made.
    fn tell<'a>(&'a self, tenant: TenantId, executed: &'a Executed) -> BoxFuture<'a, Result<Value>> {
        async move {
            let key = self.at(tenant, executed.id, executed.version).await?;
            Ok(serde_json::to_value(WebhookSecret { key: key.shown() })?)
        }
        .boxed()
    }
}
