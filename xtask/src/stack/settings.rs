//! The settings file of a development stack.

use super::Servers;
use super::plan::Ports;
use anyhow::{Context, Result, bail};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use local_servers::{Dirs, NatsUser};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Writes `config.toml` with the addresses and passwords of these servers, and the key that signs development tokens.
pub fn write(dirs: &Dirs, ports: &Ports, servers: &Servers) -> Result<PathBuf> {
    let (key, jwks) = signing_key(dirs)?;
    let url = |role: &str| -> Result<String> {
        let password = dirs.password(role)?;
        Ok(format!("postgres://{role}:{password}@127.0.0.1:{}/ubos", ports.postgres))
    };
    let mut file = toml::Table::new();
    file.insert("environment".to_owned(), "development".into());
    let section = |pairs: Vec<(&str, toml::Value)>| {
        toml::Value::Table(pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    };
    let mut set = |name: &str, pairs| file.insert(name.to_owned(), section(pairs));
    set(
        "database",
        vec![
            ("admin_url", servers.postgres.url.clone().into()),
            ("owner_url", url("ubos_owner")?.into()),
            ("command_url", url("ubos_command")?.into()),
            ("query_url", url("ubos_query")?.into()),
            ("worker_url", url("ubos_worker")?.into()),
        ],
    );
    let nats = |user| toml::Value::from(servers.nats.logins.url(user, ports.nats));
    set(
        "nats",
        vec![
            ("url", nats(NatsUser::Reader)),
            ("relay_url", nats(NatsUser::Relay)),
            ("system_url", nats(NatsUser::Gate)),
            ("issuer_seed", servers.nats.logins.issuer_seed.clone().into()),
        ],
    );
    set("listen", vec![("base_port", i64::from(ports.base).into())]);
    set(
        "http",
        vec![
            ("query_public_url", format!("http://127.0.0.1:{}", ports.query_api).into()),
            // Nobody balances load here, so nobody needs time to notice that we go.
            ("drain_delay_ms", 0.into()),
        ],
    );
    set(
        "auth",
        vec![
            ("jwks", jwks.display().to_string().into()),
            ("issuer", "ubos-development".into()),
            ("audience", "ubos".into()),
            ("dev_signing_key", key.display().to_string().into()),
        ],
    );
    set("vault", vec![("key_file", vault_key(dirs)?.display().to_string().into())]);
    set("redis", vec![("url", servers.redis.url.clone().into())]);
    set("login", login(ports, servers));
    set(
        "objects",
        vec![
            ("endpoint", servers.s3.url.clone().into()),
            ("bucket", servers.s3.bucket.into()),
            ("access_key", servers.s3.access_key.clone().into()),
            ("secret_key", servers.s3.secret_key.clone().into()),
            ("path_style", true.into()),
        ],
    );
    set("mail", vec![("smtp_url", servers.maildev.smtp_url.clone().into())]);
    set("providers", super::lab::settings(ports));
    set("telemetry", vec![("log_format", "json".into())]);

    let config = dirs.root().join("config.toml");
    let text = format!(
        "# Written by `cargo xtask up` at every start; set UBOS__… in the environment instead of editing.\n\n{file}"
    );
    fs::write(&config, text)?;
    private(&config)?;
    write_environment(dirs, servers)?;
    Ok(config)
}

/// Where browsers find us, which letters and providers are told, and where people log in if there is a place.
fn login(ports: &Ports, servers: &Servers) -> Vec<(&'static str, toml::Value)> {
    let here = format!("http://127.0.0.1:{}", ports.command_api);
    let provider = servers.oidc.as_ref().map(|oidc| {
        toml::Table::from_iter([
            ("name".to_owned(), "development".into()),
            ("issuer".to_owned(), oidc.url.clone().into()),
            ("client_id".to_owned(), "ubos".into()),
            ("client_secret".to_owned(), oidc.client_secret.clone().into()),
        ])
    });
    vec![
        ("public_url", here.clone().into()),
        ("app_url", here.clone().into()),
        ("portal_url", here.clone().into()),
        ("origins", vec![here].into()),
        ("providers", toml::Value::Array(provider.into_iter().map(Into::into).collect())),
    ]
}

/// What is not in the settings yet but good to know: `set -a; . .ubos/servers.env`.
fn write_environment(dirs: &Dirs, servers: &Servers) -> Result<()> {
    let Servers { postgres, redis, s3, nats, .. } = servers;
    let text = format!(
        "POSTGRES_URL={}\nNATS_URL={}\nREDIS_URL={}\nS3_URL={}\nAWS_ACCESS_KEY_ID={}\nAWS_SECRET_ACCESS_KEY={}\nS3_BUCKET={}\n",
        postgres.url, nats.url, redis.url, s3.url, s3.access_key, s3.secret_key, s3.bucket
    );
    let file = dirs.root().join("servers.env");
    fs::write(&file, text)?;
    private(&file)?;
    // The containers have passwords of their own, but no key is the same twice.
    let key = (nats.logins.issuer()?, &nats.logins.issuer_seed);
    let file = dirs.root().join("compose.env");
    fs::write(&file, format!("UBOS_NATS_ISSUER={}\nUBOS_NATS_ISSUER_SEED={}\n", key.0, key.1))?;
    private(&file)
}

/// An Ed25519 key as PKCS#8 and the JWKS of its public half; made once, because tokens outlive a restart.
///
/// OpenSSL's program makes it: PostgreSQL's package brings it along, and a crypto library would triple the time in which
/// `cargo xtask` itself is built.
fn signing_key(dirs: &Dirs) -> Result<(PathBuf, PathBuf)> {
    let (key, jwks) = (dirs.root().join("dev-signing-key.pk8"), dirs.root().join("jwks.json"));
    if !key.exists() {
        let making = key.with_extension("new");
        openssl(&["genpkey", "-algorithm", "ed25519", "-outform", "DER", "-out"], Some(&making))?;
        private(&making)?;
        fs::rename(&making, &key)?;
    }
    let input = key.display().to_string();
    let public = openssl(&["pkey", "-inform", "DER", "-in", &input, "-pubout", "-outform", "DER"], None)?;
    // A fixed header and then the 32 bytes of the key (RFC 8410).
    let x = URL_SAFE_NO_PAD.encode(public.last_chunk::<32>().context("openssl printed no public key")?);
    let key_set = serde_json::json!({ "keys": [
        { "kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": "development", "x": x }
    ] });
    fs::write(&jwks, serde_json::to_vec_pretty(&key_set)?)?;
    Ok((key, jwks))
}

/// The vault's key; made once, because what it seals outlives a restart.
fn vault_key(dirs: &Dirs) -> Result<PathBuf> {
    let file = dirs.root().join("vault.key");
    if !file.exists() {
        let making = file.with_extension("new");
        fs::write(&making, openssl(&["rand", "-base64", "32"], None)?)?;
        private(&making)?;
        fs::rename(&making, &file)?;
    }
    Ok(file)
}

fn openssl(arguments: &[&str], file: Option<&Path>) -> Result<Vec<u8>> {
    let output = Command::new("openssl").args(arguments).args(file).output().context("running openssl")?;
    if !output.status.success() {
        bail!("openssl failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(output.stdout)
}

fn private(file: &Path) -> Result<()> {
    Ok(fs::set_permissions(file, fs::Permissions::from_mode(0o600))?)
}
