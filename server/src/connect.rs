//! How roles and operators reach the servers, as the settings have it.

use ::vault::Vault;
use access::LogDirectory;
use anyhow::{Context, Result, ensure};
use event_store::{CommandBus, Store, StoreOptions, TimeZones};
use kernel::Issuer;
use messaging::StreamSettings;
use objects::{ObjectStore, ObjectStoreOptions};
use runtime::settings::{DatabaseSettings, ObjectsSettings, Settings};
use runtime::tls::TlsFiles;
use schema::Urls;
use secrecy::{ExposeSecret, SecretString};
use sqlx::PgPool;
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

/// Operators at a prompt do not want to wait long for a database that is away.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// Brings the database up to date.
pub async fn migrate(settings: &Settings) -> Result<()> {
    let DatabaseSettings { admin_url, owner_url, command_url, query_url, worker_url, .. } = &settings.database;
    let admin = admin_url.as_ref();
    schema::migrate(&Urls { admin, owner: owner_url, command: command_url, query: query_url, worker: worker_url }).await
}

/// As operators' verbs connect.
pub async fn worker_pool(settings: &Settings) -> Result<PgPool> {
    schema::connect(settings.database.worker_url.expose_secret(), "operator", 8, PATIENCE).await
}

/// Fails for a firm that the log knows nothing of: an empty answer would look as if all were well with it.
pub async fn known(pool: &PgPool, tenant: Uuid) -> Result<()> {
    let sql = "select exists (select from eventstore.streams where tenant_id = $1)";
    let there: bool = sqlx::query_scalar(sql).bind(tenant).fetch_one(pool).await?;
    ensure!(there, "the log knows no firm {tenant}: `ubos tenants list` shows those it knows");
    Ok(())
}

/// A client of NATS as the settings have it.
pub async fn nats(settings: &Settings, url: &SecretString, name: &str) -> Result<async_nats::Client> {
    let tls = TlsFiles::of_nats(&settings.nats)?;
    messaging::connect_with(url.expose_secret(), name, &tls).await
}

/// The same for somebody at a prompt: it is there now, or the error says where it is not and why.
pub async fn nats_now(settings: &Settings, url: &SecretString) -> Result<async_nats::Client> {
    let tls = TlsFiles::of_nats(&settings.nats)?;
    messaging::connect_now(url.expose_secret(), "ubos operator", &tls).await
}

/// Every command over a store on `pool`. Operators decide nothing that hangs on a firm's day, and need not follow its clocks.
///
/// # Errors
/// Where a provider's issuer is none: it would be one that no firm can name.
pub fn bus(settings: &Settings, pool: PgPool, vault: Option<Vault>) -> Result<CommandBus> {
    bus_with(settings, pool, vault, None)
}

/// The same with the clocks of firms, for decisions that hang on their day.
///
/// # Errors
/// As above.
pub fn bus_with(
    settings: &Settings,
    pool: PgPool,
    vault: Option<Vault>,
    directory: Option<LogDirectory>,
) -> Result<CommandBus> {
    let providers = Some(issuers(&settings.login.providers)?);
    let options = StoreOptions {
        batch_commands_max: settings.append.batch_commands_max,
        queue_commands_max: settings.append.queue_commands_max,
        cached_streams_max: settings.append.cached_streams_max,
        vault,
        time_zones: directory.map(|directory| Arc::new(directory) as Arc<dyn TimeZones>),
        providers,
    };
    let mut bus = CommandBus::new(Store::start(pool, options));
    registry::mount_all(&mut bus);
    Ok(bus)
}

/// The providers that a firm can limit its logins to.
fn issuers(providers: &[runtime::settings::ProviderSettings]) -> Result<Arc<[Issuer]>> {
    let issuer = |provider: &runtime::settings::ProviderSettings| {
        provider.issuer.parse().with_context(|| format!("settings: login.providers: the issuer of {}", provider.name))
    };
    providers.iter().map(issuer).collect()
}

/// Where files are kept, if the settings say so.
pub fn objects(settings: &Settings) -> Result<Option<ObjectStore>> {
    let ObjectsSettings { endpoint, public_endpoint, region, bucket, access_key, secret_key, path_style, .. } =
        &settings.objects;
    let (Some(endpoint), Some(access_key), Some(secret_key)) = (endpoint, access_key, secret_key) else {
        return Ok(None);
    };
    let options = ObjectStoreOptions {
        endpoint: endpoint.clone(),
        public_endpoint: public_endpoint.clone(),
        region: region.clone(),
        bucket: bucket.clone(),
        access_key: access_key.clone(),
        secret_key: secret_key.clone(),
        path_style: *path_style,
    };
    Ok(Some(ObjectStore::new(&options).context("settings: objects")?))
}

/// How long a request is good that sends bytes to the store.
pub fn uploads_last(settings: &Settings) -> Duration {
    Duration::from_secs(settings.objects.upload_minutes * 60)
}

/// Which stream, from the settings.
pub fn stream(settings: &Settings) -> StreamSettings {
    StreamSettings {
        name: settings.nats.stream.clone(),
        prefix: settings.nats.subject_prefix.clone(),
        replicas: settings.nats.replicas,
        max_age: Duration::from_secs(settings.nats.max_age_days * 24 * 3600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_provider_that_no_firm_could_name_is_an_error_and_not_left_out() {
        let provider = |issuer: &str| runtime::settings::ProviderSettings {
            name: "google".into(),
            issuer: issuer.into(),
            client_id: "us".into(),
            client_secret: "shh".into(),
        };
        let both = [provider("https://accounts.google.com"), provider("http://127.0.0.1:9000")];
        assert_eq!(issuers(&both).unwrap().len(), 2);
        let error = format!("{:#}", issuers(&[provider("accounts.google.com")]).unwrap_err());
        assert!(error.contains("the issuer of google") && error.contains("https://"), "{error}");
    }
}
