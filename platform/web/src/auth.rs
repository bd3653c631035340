//! Bearer tokens: who calls, for which firm, and what they may do.
//!
//! A token is verified against a JWKS (file or URL). The algorithm is the key's, never the token's (RFC 8725 §3.1);
//! every claim that is relied on must be there with the right type.

use crate::problem::{Problem, code};
use actix_web::dev::Payload;
use actix_web::http::header::AUTHORIZATION;
use actix_web::{FromRequest, HttpRequest, web};
use anyhow::{Context, Result, bail};
use futures::future::LocalBoxFuture;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, JwkSet, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use kernel::{Permissions, Role, TenantId, UserId};
use parking_lot::RwLock;
use quick_cache::sync::Cache;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Mutex;

/// Tokens remembered as verified.
const REMEMBERED_TOKENS_MAX: usize = 10_000;
/// A token longer than this is not looked at.
const TOKEN_BYTES_MAX: usize = 8_192;
/// Unknown key ids make us read the keys again at most this often.
const RELOAD_SECONDS_MIN: u64 = 10;

/// What an access token may call itself (RFC 9068 §2.1); a logout or refresh token of the same issuer is none.
const ACCESS_TOKEN_TYPES: [&str; 3] = ["JWT", "at+jwt", "application/at+jwt"];

/// Who calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The firm; nothing outside it exists for this caller.
    pub tenant: TenantId,
    /// The member of staff.
    pub subject: UserId,
    /// What the caller may do.
    pub permissions: Permissions,
}

impl Caller {
    /// Refuses with 403 unless the caller holds `permission`.
    pub fn require(&self, permission: &str) -> Result<(), Problem> {
        if self.permissions.allow(permission) {
            return Ok(());
        }
        tracing::warn!(tenant = %self.tenant, subject = %self.subject, permission, "denied");
        Err(Problem::new(&code::FORBIDDEN, format!("this needs the permission {permission}")))
    }
}

/// What a token must say.
#[derive(Debug, Clone)]
pub struct VerifierSettings {
    /// A JWKS file or an http(s) URL.
    pub jwks: String,
    /// How often the keys are read again.
    pub refresh: Duration,
    /// Expected `iss`.
    pub issuer: String,
    /// Expected `aud`.
    pub audience: String,
    /// Clock difference that is forgiven.
    pub leeway_seconds: u64,
}

/// The keys of one JWKS by their id.
pub struct Keys(HashMap<String, (DecodingKey, Algorithm)>);

impl Keys {
    /// Takes the signature keys whose algorithm we accept: Ed25519 and RSA of at least 2048 bits.
    pub fn read(jwks: &str) -> Result<Self> {
        let set: JwkSet = serde_json::from_str(jwks).context("not a JWKS")?;
        let mut keys = HashMap::new();
        for jwk in &set.keys {
            let algorithm = match &jwk.algorithm {
                AlgorithmParameters::OctetKeyPair(p) if p.curve == EllipticCurve::Ed25519 => Algorithm::EdDSA,
                // 342 characters of base64url are 2048 bits.
                AlgorithmParameters::RSA(p) if p.n.len() >= 342 => Algorithm::RS256,
                _ => continue,
            };
            let for_signatures = !matches!(jwk.common.public_key_use, Some(PublicKeyUse::Encryption));
            if let (Some(id), true) = (&jwk.common.key_id, for_signatures) {
                keys.insert(id.clone(), (DecodingKey::from_jwk(jwk)?, algorithm));
            }
        }
        if keys.is_empty() {
            bail!("the JWKS holds no Ed25519 or RSA signature key with a key id");
        }
        Ok(Self(keys))
    }
}

#[derive(Deserialize)]
struct Claims {
    sub: UserId,
    tenant: TenantId,
    roles: Vec<String>,
    exp: u64,
    iat: Option<u64>,
}

/// Verifies tokens; one per process, shared.
pub struct Verifier {
    settings: VerifierSettings,
    keys: RwLock<Arc<Keys>>,
    loaded: Mutex<Instant>,
    verified: Cache<[u8; 32], (Caller, u64)>,
    http: reqwest::Client,
}

impl Verifier {
    /// Reads the keys for the first time; fails if there are none.
    pub async fn start(settings: VerifierSettings) -> Result<Self> {
        let http = reqwest::Client::builder()
            .timeout(Duration::from_secs(5))
            .redirect(reqwest::redirect::Policy::none())
            .build()?;
        let keys =
            fetch(&http, &settings.jwks).await.with_context(|| format!("reading keys from {}", settings.jwks))?;
        Ok(Self {
            settings,
            keys: RwLock::new(Arc::new(keys)),
            loaded: Mutex::new(Instant::now()),
            verified: Cache::new(REMEMBERED_TOKENS_MAX),
            http,
        })
    }

    /// Who a token speaks for. The reason of a refusal is logged and not told.
    pub async fn verify(&self, token: &str) -> Result<Caller, Problem> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(refused("longer than any token of ours"));
        }
        self.refresh(self.settings.refresh).await;
        let digest: [u8; 32] = Sha256::digest(token).into();
        let now = chrono::Utc::now().timestamp().unsigned_abs();
        if let Some((caller, expires)) = self.verified.get(&digest)
            && now < expires.saturating_add(self.settings.leeway_seconds)
        {
            return Ok(caller);
        }
        let header = jsonwebtoken::decode_header(token).map_err(refused)?;
        if header.crit.is_some() {
            // RFC 7515 §4.1.11: extensions that must be understood, and we understand none.
            return Err(refused("demands an extension"));
        }
        if header.typ.as_deref().is_some_and(|typ| !ACCESS_TOKEN_TYPES.iter().any(|t| t.eq_ignore_ascii_case(typ))) {
            return Err(refused("is another kind of token"));
        }
        let Some(id) = header.kid else { return Err(refused("names no key")) };
        if !self.keys.read().0.contains_key(&id) {
            self.refresh(Duration::from_secs(RELOAD_SECONDS_MIN)).await;
        }
        let keys = self.keys.read().clone();
        let Some((key, algorithm)) = keys.0.get(&id) else { return Err(refused("names an unknown key")) };
        let mut validation = Validation::new(*algorithm);
        validation.leeway = self.settings.leeway_seconds;
        validation.validate_nbf = true;
        validation.set_issuer(&[&self.settings.issuer]);
        validation.set_audience(&[&self.settings.audience]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        let claims = jsonwebtoken::decode::<Claims>(token, key, &validation).map_err(refused)?.claims;
        if claims.iat.is_some_and(|issued| issued > now.saturating_add(self.settings.leeway_seconds)) {
            return Err(refused("issued in the future"));
        }
        let roles = claims.roles.iter().map(|role| role.parse::<Role>()).collect::<Result<Vec<_>, _>>();
        let permissions = Permissions::of(&roles.map_err(refused)?);
        let caller = Caller { tenant: claims.tenant, subject: claims.sub, permissions };
        self.verified.insert(digest, (caller.clone(), claims.exp));
        Ok(caller)
    }

    /// Reads the keys again if they are older than `age`. Keeps the old ones when that fails.
    async fn refresh(&self, age: Duration) {
        // Whoever finds the lock taken goes on with the keys there are.
        let Ok(mut loaded) = self.loaded.try_lock() else { return };
        if loaded.elapsed() < age {
            return;
        }
        *loaded = Instant::now();
        match fetch(&self.http, &self.settings.jwks).await {
            Ok(keys) => {
                *self.keys.write() = Arc::new(keys);
                // A key that was withdrawn must not live on in remembered tokens.
                self.verified.clear();
            }
            Err(error) => tracing::error!(error = format!("{error:#}"), "keys not read, keeping the old ones"),
        }
    }
}

async fn fetch(http: &reqwest::Client, jwks: &str) -> Result<Keys> {
    let text = if jwks.starts_with("http://") || jwks.starts_with("https://") {
        http.get(jwks).send().await?.error_for_status()?.text().await?
    } else {
        tokio::fs::read_to_string(jwks).await?
    };
    Keys::read(&text)
}

fn refused(reason: impl std::fmt::Display) -> Problem {
    tracing::debug!(reason = %reason, "token refused");
    Problem::new(&code::UNAUTHENTICATED, "expected a valid bearer token")
}

impl FromRequest for Caller {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let verifier = request.app_data::<web::Data<Verifier>>().cloned();
        let mut headers = request.headers().get_all(AUTHORIZATION);
        // Of two headers a proxy may have looked at the other one.
        let header = match (headers.next(), headers.next()) {
            (Some(only), None) => only.to_str().ok().map(str::to_owned),
            _ => None,
        };
        Box::pin(async move {
            let verifier = verifier.ok_or_else(|| Problem::new(&code::FAULT, "no verifier is mounted"))?;
            let token = header.as_deref().and_then(|h| h.split_once(' '));
            match token {
                Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => verifier.verify(token.trim()).await,
                _ => Err(refused("no bearer token")),
            }
        })
    }
}

#[cfg(test)]
mod tests;
