//! TLS to PostgreSQL, NATS and Redis: whom to believe, and what we show.
//!
//! With a file of authorities a server must show a certificate of one of them for the very host that we asked for (what
//! PostgreSQL calls `verify-full`), and nothing is said in plain text.

use crate::settings::{Environment, NatsSettings, RedisSettings, Settings};
use anyhow::{Context, Result, bail, ensure};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use redis::{ClientTlsConfig, TlsCertificates};
use secrecy::{ExposeSecret, SecretString};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use url::Url;

/// Files for one server, each in PEM.
#[derive(Debug, Clone, Default)]
pub struct TlsFiles {
    /// The authorities that are believed; those of the system if there is none.
    pub authorities: Option<PathBuf>,
    /// The certificate that we show, and its key.
    pub identity: Option<(PathBuf, PathBuf)>,
}

impl TlsFiles {
    /// For NATS.
    pub fn of_nats(settings: &NatsSettings) -> Result<Self> {
        let NatsSettings { ca_file, client_certificate_file, client_key_file, .. } = settings;
        Self::read("nats", ca_file, client_certificate_file, client_key_file)
    }

    fn read(
        section: &str,
        authorities: &Option<PathBuf>,
        certificate: &Option<PathBuf>,
        key: &Option<PathBuf>,
    ) -> Result<Self> {
        for file in [authorities, certificate, key].into_iter().flatten() {
            ensure!(file.is_file(), "settings: {section}: {} does not exist", file.display());
        }
        let identity = match (certificate, key) {
            (Some(certificate), Some(key)) => Some((certificate.clone(), key.clone())),
            (None, None) => None,
            _ => bail!("settings: {section}.client_certificate_file and {section}.client_key_file belong together"),
        };
        Ok(Self { authorities: authorities.clone(), identity })
    }
}

/// How to reach Redis, if it is set; connects when somebody first asks.
pub fn redis_client(settings: &RedisSettings) -> Result<Option<redis::Client>> {
    let RedisSettings { url, ca_file, client_certificate_file, client_key_file } = settings;
    let files = TlsFiles::read("redis", ca_file, client_certificate_file, client_key_file)?;
    let Some(url) = url else { return Ok(None) };
    let url = url.expose_secret();
    // The error must not show the password.
    let client = if files.authorities.is_none() && files.identity.is_none() {
        redis::Client::open(url).ok()
    } else {
        ensure!(url.starts_with("rediss://"), "settings: redis.url must begin with rediss:// where it has TLS files");
        let root_cert = files.authorities.as_deref().map(read).transpose()?;
        let client_tls = match &files.identity {
            Some((certificate, key)) => {
                Some(ClientTlsConfig { client_cert: read(certificate)?, client_key: read(key)? })
            }
            None => None,
        };
        redis::Client::build_with_tls(url, TlsCertificates { client_tls, root_cert }).ok()
    };
    client.context("settings: redis.url is not a Redis URL, or its files are not PEM").map(Some)
}

fn read(file: &Path) -> Result<Vec<u8>> {
    std::fs::read(file).with_context(|| format!("reading {}", file.display()))
}

/// Adds the files to the URLs of PostgreSQL, where sqlx and PostgreSQL's own programs look for them, and refuses plain text
/// over the network in production.
pub(crate) fn apply(settings: &mut Settings) -> Result<()> {
    let database = &mut settings.database;
    let files =
        TlsFiles::read("database", &database.ca_file, &database.client_certificate_file, &database.client_key_file)?;
    let alone = files.identity.is_some() && files.authorities.is_none();
    ensure!(!alone, "settings: database.client_certificate_file needs database.ca_file");
    let required =
        [&mut database.owner_url, &mut database.command_url, &mut database.query_url, &mut database.worker_url];
    let optional = [&mut database.admin_url, &mut database.backup_url];
    for url in required.into_iter().chain(optional.into_iter().flatten()) {
        if let Some(with_files) = with_files(url, &files) {
            *url = with_files;
        }
    }
    let nats = TlsFiles::of_nats(&settings.nats)?;
    redis_client(&settings.redis)?;
    if settings.environment == Environment::Production && !settings.allow_plaintext {
        let database = &settings.database;
        for (name, url) in [
            ("owner_url", &database.owner_url),
            ("command_url", &database.command_url),
            ("query_url", &database.query_url),
            ("worker_url", &database.worker_url),
        ] {
            let is_verified =
                parameter(url, "sslmode").is_some_and(|mode| mode == "verify-full" || mode == "verify-ca");
            refuse_plaintext(&format!("database.{name}"), url.expose_secret(), is_verified)?;
        }
        for url in settings.nats.url.expose_secret().split(',') {
            refuse_plaintext("nats.url", url, url.trim().starts_with("tls://") || nats.authorities.is_some())?;
        }
        if let Some(url) = &settings.redis.url {
            refuse_plaintext("redis.url", url.expose_secret(), url.expose_secret().starts_with("rediss://"))?;
        }
    }
    Ok(())
}

/// Attack G-03: plain text between machines.
fn refuse_plaintext(setting: &str, url: &str, is_protected: bool) -> Result<()> {
    let url = Url::parse(url.trim()).ok();
    let host = url.as_ref().and_then(Url::host_str).unwrap_or_default().trim_matches(['[', ']']).to_owned();
    let is_here = host.is_empty()
        || host == "localhost"
        // A socket of this machine.
        || host.starts_with("%2F")
        || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    ensure!(
        is_protected || is_here,
        "settings: {setting} reaches {host} without TLS, or without verifying who answers; set the section's ca_file, or \
         allow_plaintext where the network itself protects what it carries"
    );
    Ok(())
}

/// The URL with `sslmode=verify-full` and the files, unless it says itself how TLS is to be.
fn with_files(url: &SecretString, files: &TlsFiles) -> Option<SecretString> {
    let authorities = files.authorities.as_ref()?;
    if parameter(url, "sslmode").is_some() {
        return None;
    }
    // Not as a form would have it: to PostgreSQL's own programs a plus is no space.
    let encoded = |file: &Path| utf8_percent_encode(&file.to_string_lossy(), NON_ALPHANUMERIC).to_string();
    let url = url.expose_secret();
    let separator = if url.contains('?') { '&' } else { '?' };
    let mut url = format!("{url}{separator}sslmode=verify-full&sslrootcert={}", encoded(authorities));
    if let Some((certificate, key)) = &files.identity {
        url.push_str(&format!("&sslcert={}&sslkey={}", encoded(certificate), encoded(key)));
    }
    Some(url.into())
}

fn parameter(url: &SecretString, name: &str) -> Option<String> {
    let url = Url::parse(url.expose_secret()).ok()?;
    url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn g_03_plain_text_to_another_machine_is_refused() {
        for (url, is_protected, is_fine) in [
            ("postgres://u:p@db.example/ubos", false, false),
            ("postgres://u:p@db.example/ubos?sslmode=verify-full", true, true),
            ("postgres://u:p@127.0.0.1:5432/ubos", false, true),
            ("postgres://u:p@[::1]/ubos", false, true),
            ("postgres://u:p@%2Frun%2Fpostgresql/ubos", false, true),
            ("nats://u:p@localhost:4222", false, true),
            ("nats://10.0.0.7:4222", false, false),
            ("redis://:p@cache.example:6379/0", false, false),
            ("rediss://:p@cache.example:6379/0", true, true),
        ] {
            let refused = refuse_plaintext("x", url, is_protected);
            assert_eq!(refused.is_ok(), is_fine, "{url}");
            let message = refused.err().map(|error| error.to_string()).unwrap_or_default();
            assert!(!message.contains("p@"), "{message}");
        }
    }

    #[test]
    fn a_database_url_gets_the_files_unless_it_names_its_own() {
        let files = TlsFiles {
            authorities: Some("/etc/my ca.pem".into()),
            identity: Some(("/etc/c.pem".into(), "/etc/k.pem".into())),
        };
        let url = with_files(&"postgres://u:p%40@db.example/ubos".into(), &files).unwrap();
        let expected = "postgres://u:p%40@db.example/ubos?sslmode=verify-full&sslrootcert=%2Fetc%2Fmy%20ca%2Epem\
                        &sslcert=%2Fetc%2Fc%2Epem&sslkey=%2Fetc%2Fk%2Epem";
        assert_eq!(url.expose_secret(), expected);
        assert!(with_files(&"postgres://u@db.example/ubos?sslmode=require".into(), &files).is_none());
        assert!(with_files(&"postgres://u@db.example/ubos".into(), &TlsFiles::default()).is_none());
    }
}
