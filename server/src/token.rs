//! `ubos token`: development tokens from a local key.

use anyhow::{Context, Result, bail};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clap::Args;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use kernel::Role;
use runtime::settings::{Environment, Settings};
use serde_json::json;
use std::fs;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use uuid::Uuid;

/// The key id that development tokens name.
const KEY_ID: &str = "development";
/// A development token lives a day at most.
const TTL_SECONDS_MAX: u64 = 24 * 3600;

/// For whom.
#[derive(Debug, Clone, Args)]
pub struct TokenArguments {
    /// The firm.
    #[arg(long)]
    pub tenant: Uuid,
    /// The user.
    #[arg(long)]
    pub subject: Uuid,
    /// owner, admin, member, viewer; several separated by commas.
    #[arg(long, value_delimiter = ',', default_value = "owner", value_parser = role)]
    pub roles: Vec<String>,
    /// How many seconds it is valid.
    #[arg(long, default_value_t = 3600)]
    #[arg(allow_negative_numbers = true, value_parser = clap::value_parser!(u64).range(1..=TTL_SECONDS_MAX))]
    pub ttl_seconds: u64,
}

/// A role's name as the log has it; the error lists them.
fn role(name: &str) -> Result<String, String> {
    name.parse::<Role>().map(|_| name.to_owned()).map_err(|error| error.to_string())
}

/// Signs a token with the development key; makes the key and its JWKS if there are none.
pub fn mint(settings: &Settings, arguments: &TokenArguments) -> Result<String> {
    if settings.environment == Environment::Production {
        bail!("ubos token mints development tokens only; these settings are for production");
    }
    let path = settings.auth.dev_signing_key.as_deref().context("settings: auth.dev_signing_key is not set")?;
    if arguments.ttl_seconds == 0 || arguments.ttl_seconds > TTL_SECONDS_MAX {
        bail!("--ttl-seconds: expected 1 to {TTL_SECONDS_MAX}");
    }
    for role in &arguments.roles {
        role.parse::<Role>()?;
    }
    let document = signing_key(path, &settings.auth.jwks)?;
    let now = chrono::Utc::now().timestamp();
    let claims = json!({
        "iss": settings.auth.issuer,
        "aud": settings.auth.audience,
        "sub": arguments.subject,
        "tenant": arguments.tenant,
        "roles": arguments.roles,
        "iat": now,
        "nbf": now,
        "exp": now + i64::try_from(arguments.ttl_seconds)?,
    });
    let header = Header { kid: Some(KEY_ID.to_owned()), ..Header::new(Algorithm::EdDSA) };
    Ok(jsonwebtoken::encode(&header, &claims, &EncodingKey::from_ed_der(&document))?)
}

/// The key as PKCS#8.
fn signing_key(path: &Path, jwks: &str) -> Result<Vec<u8>> {
    if path.exists() {
        return fs::read(path).with_context(|| format!("reading {}", path.display()));
    }
    if jwks.starts_with("http") {
        bail!("{} does not exist, and keys at a URL cannot be made here", path.display());
    }
    let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).ok().context("making a key")?;
    let pair = Ed25519KeyPair::from_pkcs8(document.as_ref()).ok().context("reading the key that was made")?;
    let x = URL_SAFE_NO_PAD.encode(pair.public_key().as_ref());
    let set = json!({ "keys": [
        { "kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": KEY_ID, "x": x }
    ] });
    fs::write(jwks, serde_json::to_vec_pretty(&set)?).with_context(|| format!("writing {jwks}"))?;
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    std::io::Write::write_all(&mut file, document.as_ref())?;
    Ok(document.as_ref().to_vec())
}
