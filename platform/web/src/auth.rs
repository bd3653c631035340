//! Bearer tokens and API keys: who calls, for which firm, and what they may do.
//!
//! Whoever a token or a key speaks for, the [`Directory`] has the last word, for every request.
//!
//! A token is verified against a JWKS (file or URL). The algorithm is the key's, never the token's (RFC 8725 §3.1);
//! every claim that is relied on must be there with the right type.

use crate::caller::Caller;
use crate::current::may_say_of_this;
use crate::front::Front;
use crate::problem::{Problem, code};
use crate::session::{self, Sessions, Shown as ShownCookie};
use actix_web::dev::Payload;
use actix_web::http::header::AUTHORIZATION;
use actix_web::{FromRequest, HttpMessage, HttpRequest, web};
use anyhow::{Context, Result, bail};
use credentials::{Credential, Directory, KeysInUse, ShownKey, Standing, Who};
use futures::future::{Either, LocalBoxFuture, Ready, ready};
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, JwkSet, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use kernel::{ApiKeyId, Permissions, Principal, Role, TenantId, UserId};
use parking_lot::RwLock;
use quick_cache::sync::Cache;
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::fmt::Display;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::Mutex;

/// Tokens remembered as verified.
const REMEMBERED_TOKENS_MAX: usize = 10_000;
/// How long a token is remembered at most; then its signature and claims are looked at again.
const REMEMBERED_SECONDS_MAX: u64 = 60;
/// What API keys begin with.
const API_KEY_PREFIX: &str = "ubk";
/// A token longer than this is not looked at.
const TOKEN_BYTES_MAX: usize = 8_192;
/// Unknown key ids make us read the keys again at most this often.
const RELOAD_SECONDS_MIN: u64 = 10;

/// What an access token may call itself (RFC 9068 §2.1); a logout or refresh token of the same issuer is none.
const ACCESS_TOKEN_TYPES: [&str; 3] = ["JWT", "at+jwt", "application/at+jwt"];

/// What whoever issued a token says its subject may do.
#[derive(Clone)]
struct Vouched {
    roles: Arc<[Role]>,
    permissions: Arc<Permissions>,
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

impl VerifierSettings {
    /// Tokens of one issuer for one audience; keys are read again, and clocks forgiven, as is usual.
    pub fn new(jwks: impl Display, issuer: &str, audience: &str) -> Self {
        Self {
            jwks: jwks.to_string(),
            refresh: Duration::from_secs(300),
            issuer: issuer.to_owned(),
            audience: audience.to_owned(),
            leeway_seconds: 30,
        }
    }
}

/// The keys of one JWKS by their id.
pub struct Keys(HashMap<String, (DecodingKey, Algorithm)>);

impl Keys {
    /// Takes the signature keys whose algorithm we accept: Ed25519, P-256, and RSA of at least 2048 bits.
    pub fn read(jwks: &str) -> Result<Self> {
        let set: JwkSet = serde_json::from_str(jwks).context("not a JWKS")?;
        let mut keys = HashMap::new();
        for jwk in &set.keys {
            let algorithm = match &jwk.algorithm {
                AlgorithmParameters::OctetKeyPair(p) if p.curve == EllipticCurve::Ed25519 => Algorithm::EdDSA,
                // 43 characters of base64url are the 256 bits of a coordinate.
                AlgorithmParameters::EllipticCurve(p)
                    if p.curve == EllipticCurve::P256 && p.x.len() == 43 && p.y.len() == 43 =>
                {
                    Algorithm::ES256
                }
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
            bail!("the JWKS holds no Ed25519, P-256 or RSA signature key with a key id");
        }
        Ok(Self(keys))
    }
}

#[derive(Deserialize)]
struct Claims {
    /// One issuer: a list that holds ours among others is no statement of ours (RFC 7519 §4.1.1).
    iss: String,
    sub: UserId,
    tenant: TenantId,
    /// What its issuer says the subject may do, which counts while the firm is not registered, and then must be there.
    roles: Option<Value>,
    exp: u64,
    iat: Option<u64>,
}

/// Whom a request has shown itself to be, before anybody was asked whether that one still comes in.
struct Shown {
    tenant: TenantId,
    credential: Credential,
    /// What whoever issued the token says its subject may do.
    vouched: Option<Vouched>,
}

/// A token whose signature and claims were found good.
#[derive(Clone)]
struct Verified {
    tenant: TenantId,
    subject: UserId,
    vouched: Option<Vouched>,
    /// The token's own end, in seconds since 1970, forgiveness included.
    expires: u64,
    /// When it is to be verified again, in seconds since 1970.
    stale: u64,
}

impl From<Verified> for Shown {
    fn from(token: Verified) -> Self {
        let credential = Credential::User(token.subject);
        Self { tenant: token.tenant, credential, vouched: token.vouched }
    }
}

/// Verifies tokens and keys; one per process, shared.
pub struct Verifier {
    settings: VerifierSettings,
    directory: Arc<dyn Directory>,
    keys: RwLock<Arc<Keys>>,
    started: Instant,
    /// When the keys were read, in milliseconds after `started`, so that a request finds out without a lock.
    loaded: AtomicU64,
    loading: Mutex<()>,
    verified: Cache<[u8; 32], Verified>,
    keys_in_use: KeysInUse,
    http: reqwest::Client,
}

impl Verifier {
    /// Reads the keys for the first time; fails if there are none.
    pub async fn start(settings: VerifierSettings, directory: Arc<dyn Directory>) -> Result<Self> {
        let http = reqwest::Client::builder()
            .timeout(Duration::from_secs(5))
            .redirect(reqwest::redirect::Policy::none())
            .build()?;
        let keys =
            fetch(&http, &settings.jwks).await.with_context(|| format!("reading keys from {}", settings.jwks))?;
        Ok(Self {
            settings,
            directory,
            keys: RwLock::new(Arc::new(keys)),
            started: Instant::now(),
            loaded: AtomicU64::new(0),
            loading: Mutex::new(()),
            verified: Cache::new(REMEMBERED_TOKENS_MAX),
            keys_in_use: KeysInUse::default(),
            http,
        })
    }

    /// The API keys that have let somebody in, for whoever writes that down.
    pub fn keys_in_use(&self) -> &KeysInUse {
        &self.keys_in_use
    }

    /// Whom a token or a key speaks for. The reason of a refusal is logged and not told.
    pub async fn verify(&self, token: &str) -> Result<Caller, Problem> {
        let shown = match self.shown_at_once(token)? {
            Some(shown) => shown,
            None => {
                self.refresh(self.settings.refresh).await;
                let digest: [u8; 32] = Sha256::digest(token).into();
                let now = seconds_now();
                match self.recall(&digest, now) {
                    Some(verified) => verified.into(),
                    None => self.verify_anew(token, digest, now).await?.into(),
                }
            }
        };
        self.settle(shown).await
    }

    /// Whom a browser's cookie speaks for.
    async fn by_session(
        &self,
        sessions: &Sessions,
        cookie: &ShownCookie,
        request: &HttpRequest,
    ) -> Result<Caller, Problem> {
        let found = sessions.find(cookie).await.map_err(|error| {
            tracing::error!(error = format!("{error:#}"), "sessions cannot be read");
            Problem::new(&code::UNAVAILABLE, "sessions cannot be read; repeat in a moment")
        })?;
        let session = found.ok_or_else(|| refused("no such session"))?;
        let who = Who { tenant: session.tenant, principal: session.principal, api_key: None };
        sessions
            .guard(request, &session)
            .map_err(|problem| problem.about(Some(who), "no page of the session asked for it"))?;
        let credential = match session.principal {
            Principal::User { id: user } => Credential::Session { user, id: session.id },
            Principal::PortalUser { id: user } => Credential::Portal { user, id: session.id },
            Principal::ServiceAccount { .. } => return Err(refused("a program has no session")),
        };
        let tenant = session.tenant;
        // A handler that is about the session itself finds it here, instead of asking Redis again.
        request.extensions_mut().insert(session);
        self.settle(Shown { tenant, credential, vouched: None }).await
    }

    async fn settle(&self, shown: Shown) -> Result<Caller, Problem> {
        let standing = match self.directory.recall(shown.tenant, &shown.credential) {
            Some(standing) => standing,
            None => self.directory.look_up(shown.tenant, &shown.credential).await.map_err(|error| {
                // The directory has said so once; here it would be said for every request.
                tracing::debug!(error = format!("{error:#}"), "who may come in cannot be found out");
                Problem::new(&code::UNAVAILABLE, "who may come in cannot be found out; repeat in a moment")
            })?,
        };
        self.let_in(shown, standing)
    }

    fn let_in(&self, shown: Shown, standing: Standing) -> Result<Caller, Problem> {
        let caller = settle(shown, standing)?;
        if let Some(key) = caller.api_key {
            self.keys_in_use.note(caller.tenant, key);
        }
        Ok(caller)
    }

    /// The same without waiting, for a key, or a token that is remembered while the keys are fresh, of a firm that is known;
    /// `None` asks for [`Verifier::verify`].
    fn verify_at_once(&self, token: &str) -> Option<Result<Caller, Problem>> {
        let shown = match self.shown_at_once(token) {
            Ok(shown) => shown?,
            Err(problem) => return Some(Err(problem)),
        };
        let standing = self.directory.recall(shown.tenant, &shown.credential)?;
        Some(self.let_in(shown, standing))
    }

    fn shown_at_once(&self, token: &str) -> Result<Option<Shown>, Problem> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(refused("longer than any token of ours"));
        }
        if token.starts_with(API_KEY_PREFIX) {
            let key = ShownKey::read(API_KEY_PREFIX, token).ok_or_else(|| refused("no API key, or mistyped"))?;
            let credential = Credential::ApiKey { id: ApiKeyId(key.id), secret_hash: key.secret_hash };
            return Ok(Some(Shown { tenant: key.tenant, credential, vouched: None }));
        }
        if self.is_due(self.settings.refresh) {
            return Ok(None);
        }
        Ok(self.recall(&Sha256::digest(token).into(), seconds_now()).map(Shown::from))
    }

    /// The whole token is the key, so that nothing about a remembered token has to be looked at again but the clock.
    fn recall(&self, digest: &[u8; 32], now: u64) -> Option<Verified> {
        self.verified.get(digest).filter(|verified| now < verified.expires && now < verified.stale)
    }

    /// Looks at signature and claims, and remembers the token if they are good.
    async fn verify_anew(&self, token: &str, digest: [u8; 32], now: u64) -> Result<Verified, Problem> {
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
        if claims.iss != self.settings.issuer {
            return Err(refused("is another issuer's"));
        }
        if claims.iat.is_some_and(|issued| issued > now.saturating_add(self.settings.leeway_seconds)) {
            return Err(refused("issued in the future"));
        }
        let roles = claims.roles.and_then(|roles| serde_json::from_value::<Vec<String>>(roles).ok());
        let roles =
            roles.and_then(|roles| roles.iter().map(|role| role.parse::<Role>().ok()).collect::<Option<Vec<_>>>());
        let verified = Verified {
            tenant: claims.tenant,
            subject: claims.sub,
            vouched: roles.map(|roles| Vouched { permissions: Arc::new(Permissions::of(&roles)), roles: roles.into() }),
            expires: claims.exp.saturating_add(self.settings.leeway_seconds),
            stale: now + REMEMBERED_SECONDS_MAX,
        };
        self.verified.insert(digest, verified.clone());
        Ok(verified)
    }

    /// Are the keys older than `age`?
    fn is_due(&self, age: Duration) -> bool {
        let loaded = Duration::from_millis(self.loaded.load(Ordering::Relaxed));
        self.started.elapsed().saturating_sub(loaded) >= age
    }

    /// Reads the keys again if they are older than `age`. Keeps the old ones when that fails.
    async fn refresh(&self, age: Duration) {
        if !self.is_due(age) {
            return;
        }
        // Whoever finds the lock taken goes on with the keys there are.
        let Ok(_alone) = self.loading.try_lock() else { return };
        if !self.is_due(age) {
            return;
        }
        let now = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.loaded.store(now, Ordering::Relaxed);
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

/// The last step for every request: what can change while a token is good is decided here, and nothing of it is remembered
/// with the token.
fn settle(shown: Shown, standing: Standing) -> Result<Caller, Problem> {
    let api_key = match &shown.credential {
        Credential::ApiKey { id, .. } => Some(*id),
        Credential::User(_)
        | Credential::Session { .. }
        | Credential::Portal { .. }
        | Credential::Subscriber { .. } => None,
    };
    let tenant = shown.tenant;
    match (standing, shown.credential, shown.vouched) {
        (Standing::In(principal, permissions), ..) => {
            Ok(Caller { tenant, principal, api_key, permissions, vouched_roles: Arc::default() })
        }
        (Standing::Unregistered, Credential::User(id), Some(Vouched { roles, permissions })) => {
            Ok(Caller { tenant, principal: Principal::User { id }, api_key, permissions, vouched_roles: roles })
        }
        (Standing::Reads { .. }, ..) => Err(refused("opens the stream of events, and nothing else")),
        (Standing::Unregistered, Credential::User(_), None) => Err(refused("says no roles that we know")),
        (Standing::Unregistered, ..) => Err(refused("a key or session of a firm that is not registered")),
        (Standing::Out(why, _), Credential::User(id), _) => {
            if may_say_of_this() {
                tracing::info!(%tenant, why, "kept out");
            }
            let who = Who { tenant, principal: Principal::User { id }, api_key };
            Err(Problem::new(&code::FORBIDDEN, why).about(Some(who), why))
        }
        (Standing::Out(why, who), ..) => {
            Err(refused(why).about(who.map(|principal| Who { tenant, principal, api_key }), why))
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

fn seconds_now() -> u64 {
    chrono::Utc::now().timestamp().unsigned_abs()
}

fn refused(reason: impl std::fmt::Display) -> Problem {
    tracing::debug!(reason = %reason, "token refused");
    Problem::new(&code::UNAUTHENTICATED, "expected a valid bearer token, API key or session")
}

impl FromRequest for Caller {
    type Error = Problem;
    type Future = Either<Ready<Result<Self, Problem>>, LocalBoxFuture<'static, Result<Self, Problem>>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let Some(verifier) = request.app_data::<web::Data<Verifier>>() else {
            return Either::Left(ready(Err(Problem::new(&code::FAULT, "no verifier is mounted"))));
        };
        let front = request.app_data::<web::Data<Front>>();
        // Whoever sends the header means it, even if a browser adds a cookie.
        if !request.headers().contains_key(AUTHORIZATION)
            && let Some(sessions) = request.app_data::<web::Data<Sessions>>()
            && let Some(shown) = session::shown(request)
        {
            let (verifier, sessions, request) = (verifier.clone(), sessions.clone(), request.clone());
            return later(
                front,
                request.clone(),
                async move { verifier.by_session(&sessions, &shown, &request).await },
            );
        }
        let Some(token) = bearer(request) else { return Either::Left(ready(Err(refused("no bearer token")))) };
        match verifier.verify_at_once(token) {
            Some(Err(problem)) => Either::Left(ready(Err(too_often(front, request, problem)))),
            Some(Ok(caller)) => match front.map_or(Some(Ok(())), |front| front.caller_at_once(request, &caller)) {
                Some(may) => Either::Left(ready(may.map(|()| caller))),
                None => later(front, request.clone(), ready(Ok(caller))),
            },
            None => {
                let (verifier, token) = (verifier.clone(), token.to_owned());
                later(front, request.clone(), async move { verifier.verify(&token).await })
            }
        }
    }
}

/// Finds out who calls, and whether that one may call again so soon.
fn later(
    front: Option<&web::Data<Front>>,
    request: HttpRequest,
    verified: impl Future<Output = Result<Caller, Problem>> + 'static,
) -> <Caller as FromRequest>::Future {
    let front = front.cloned();
    Either::Right(Box::pin(async move {
        let caller = verified.await.map_err(|problem| too_often(front.as_ref(), &request, problem))?;
        if let Some(front) = front {
            front.caller(&request, &caller).await?;
        }
        Ok(caller)
    }))
}

/// Whoever shows what is not good too often is told to come later. What is shown is looked at first, which costs little and
/// nothing that is shared, so that nobody is kept out for what others at the same address show.
fn too_often(front: Option<&web::Data<Front>>, request: &HttpRequest, problem: Problem) -> Problem {
    if problem.code() != code::UNAUTHENTICATED.code {
        return problem;
    }
    match front.map(|front| front.may_try(request)) {
        Some(Err(too_soon)) => too_soon,
        _ => problem,
    }
}

/// Does whoever sent this request come in?
pub(crate) async fn comes_in(request: &HttpRequest) -> bool {
    let Some(verifier) = request.app_data::<web::Data<Verifier>>() else { return false };
    if let Some(token) = bearer(request) {
        return verifier.verify(token).await.is_ok();
    }
    let sessions = request.app_data::<web::Data<Sessions>>().zip(session::shown(request));
    match sessions {
        Some((sessions, shown)) if !request.headers().contains_key(AUTHORIZATION) => {
            sessions.find(&shown).await.is_ok_and(|found| found.is_some())
        }
        _ => false,
    }
}

/// The token of the only `Authorization` header: of two headers a proxy may have looked at the other one.
fn bearer(request: &HttpRequest) -> Option<&str> {
    let mut headers = request.headers().get_all(AUTHORIZATION);
    let (only, None) = (headers.next()?, headers.next()) else { return None };
    let (scheme, token) = only.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

#[cfg(test)]
mod attacks;
#[cfg(test)]
mod tests;
